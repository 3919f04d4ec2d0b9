import { availableParallelism } from 'node:os';
import { type BackendName, compile, tensor, useBackend } from '../../engine/index.ts';
import { imageKinds } from '../../models/data/imageFolder.ts';
import { datasetNames, loadDataset } from '../../models/data/node.ts';
import { findSharp } from '../../models/data/sharp.ts';
import { type GpuReport, gpuRemedy, gpuRows, gpuTitle, inspectGpu } from '../gpu.ts';
import type { Command } from '../options.ts';
import { v8ReleaseRelaxedSimd } from '../relaxed.ts';
import { columns } from '../table.ts';
import { jsonOf, print } from '../text.ts';

interface Finding {
  readonly works: boolean;
  readonly detail: string;
}

/** Runs a small plan on a backend and checks what comes out. */
async function tryBackend(name: BackendName): Promise<Finding> {
  try {
    const backend = await useBackend(name);
    const square = compile((x) => x.matmul(x).sum());
    const result = await (
      await square(
        tensor([
          [1, 2],
          [3, 4],
        ]),
      )
    ).item();
    square.dispose();
    const detail = 'build' in backend ? `${String(backend.build)} build; ` : '';
    backend.dispose();
    return {
      works: result === 54,
      detail: result === 54 ? `${detail}element types ${backend.dtypes.join(', ')}` : `a product came out as ${result}, not 54`,
    };
  } catch (error) {
    return { works: false, detail: error instanceof Error ? error.message : String(error) };
  }
}

/** Whether data are here, and what `describe` says of them. */
async function tryData(describe: () => Promise<string>): Promise<Finding> {
  try {
    return { works: true, detail: await describe() };
  } catch (error) {
    return {
      works: false,
      detail: (error instanceof Error ? error.message : String(error)).split('\n')[0]!.replace(/\. Any one of these brings it:$/, ''),
    };
  }
}

async function describeDataset(name: string): Promise<string> {
  const { train, test } = await loadDataset(name, { download: null });
  return `${train.images.shape[0]} training and ${test?.images.shape[0] ?? 0} test images of ${train.images.shape.slice(1).join('×')}`;
}

async function describeFolders(): Promise<string> {
  await findSharp();
  return `${imageKinds}, decoded by sharp`;
}

/** What the webgpu backend runs on, or how to get there. */
function withGpu({ works, detail }: Finding, gpu: GpuReport | null): Finding {
  if (works) return { works, detail: gpu?.software ? `${detail}; but a CPU plays the GPU: slow` : detail };
  return { works, detail: /no adapter/.test(detail) ? `${detail}. ${gpuRemedy(process.platform)}` : detail };
}

export const doctor: Command = {
  summary: 'Say which backends, GPU features and data sets work here, and why others do not',
  usage: '[--json]',
  options: {},
  examples: [
    ['tensegrity doctor', 'a list'],
    ['tensegrity doctor --json', 'for programs'],
  ],
  run: async (input) => {
    v8ReleaseRelaxedSimd();
    const backends: Record<string, Finding> = {};
    for (const name of ['wasm', 'cpu', 'webgpu'] as const) backends[name] = await tryBackend(name);
    const gpu = await inspectGpu();
    backends['webgpu'] = withGpu(backends['webgpu']!, gpu);
    const datasets: Record<string, Finding> = {};
    for (const name of datasetNames) datasets[name] = await tryData(() => describeDataset(name));
    datasets['folders of images'] = await tryData(describeFolders);
    const platform = {
      node: process.version,
      system: `${process.platform} ${process.arch}`,
      cores: availableParallelism(),
      sharedMemory: typeof SharedArrayBuffer !== 'undefined',
    };
    if (input.flag('json')) {
      print(jsonOf({ platform, backends, gpu, datasets }));
      return;
    }
    const lines = (findings: Record<string, Finding>): string[] =>
      columns(Object.entries(findings).map(([name, { works, detail }]) => [`${works ? '✓' : '✗'} ${name}`, detail] as const));
    print(
      [
        `Node ${platform.node} on ${platform.system}, ${platform.cores} cores${platform.sharedMemory ? ', shared memory' : ', no shared memory'}`,
        '',
        'backends',
        ...lines(backends),
        '',
        ...(gpu ? [`GPU: ${gpuTitle(gpu)}`, ...columns(gpuRows(gpu)), ''] : []),
        'data sets',
        ...lines(datasets),
      ].join('\n'),
    );
  },
};
