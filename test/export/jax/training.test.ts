/** Steps of every kind of method by JAX, and here: the same losses, on one device and on several. */
import { beforeAll, describe, expect, it } from 'vitest';
import { type HostArray, type Tensor, tensor, useBackend } from '../../../engine/index.ts';
import { graphOf, inTurn } from '../../../engine/internal.ts';
import { bodyOf } from '../../../export/jax/body.ts';
import { stepModule } from '../../../export/jax/index.ts';
import { Constants, moduleOf } from '../../../export/jax/module.ts';
import { type ImageDataset, takeSplit } from '../../../models/data/images.ts';
import { batches } from '../../../models/data/loader.ts';
import { loadDataset } from '../../../models/data/node.ts';
import type { MethodName } from '../../../models/methods/index.ts';
import { vicreg } from '../../../models/methods/vicreg.ts';
import { type TrainingConfig, trainingConfig } from '../../../models/train/config.ts';
import { Trainer } from '../../../models/train/trainer.ts';
import { type Arrays, hasJax, runPython } from './python.ts';

const BATCH = 32;
const STEPS = 20;
const DIVIDED = { method: 'vicreg', steps: 5, devices: [1, 2, 4, 8] } as const;
const chosen: readonly MethodName[] = ['vicreg', 'barlow-twins', 'w-mse', 'simclr', 'moco', 'swav', 'byol', 'dino'];

/**
 * A rate at which what rounding makes different stays as small in 20 steps: training is chaotic, and at the usual rates 1e-7 grows to 1e-4 or 1e-3, most of all
 * through the temperatures of SwAV. And what so small a batch asks for.
 */
const settings: Partial<Record<MethodName, Partial<TrainingConfig>>> = {
  swav: { learningRate: 1e-5 },
  'w-mse': { methodOptions: { subBatch: BATCH } },
};

/** A loss of embeddings as a Python function. */
async function lossText(name: string, za: HostArray, zb: HostArray): Promise<string> {
  const { leaves } = await inTurn(() => graphOf((a: Tensor, b: Tensor) => vicreg(a, b).loss, [tensor(za), tensor(zb)]));
  const sources = { placeholder: (i: number) => ['za', 'zb'][i]!, slot: () => '', constant: () => '' };
  const { lines, results } = await bodyOf(leaves, sources, new Map());
  return [`def ${name}(za, zb):`, ...lines.map((line) => `    ${line}`), `    return ${results[0]}`].join('\n');
}

const rows = ({ dtype, shape, data }: HostArray, count: number): HostArray => ({
  dtype,
  shape: [count, ...shape.slice(1)],
  data: data.slice(0, (data.length / shape[0]!) * count),
});

describe.runIf(hasJax)('training by JAX', () => {
  const expected = new Map<string, number[]>();
  let found: Arrays;
  let collectives: Readonly<Record<string, readonly string[]>>;

  beforeAll(async () => {
    await useBackend('wasm');
    const all = await loadDataset('fashion-mnist-subset');
    const some = Int32Array.from({ length: BATCH * STEPS }, (_, i) => i);
    const dataset: ImageDataset = { ...all, train: takeSplit(all.train, some) };
    const files: Record<string, string> = {};
    const arrays = new Map<string, HostArray>();
    for (const method of chosen) {
      const config = trainingConfig({ method, batchSize: BATCH, epochs: 1, widths: [32, 32, 16], learningRate: 1e-4, ...settings[method] });
      const trainer = new Trainer(config, dataset);
      const { source, constants } = await stepModule(await trainer.graph(), `A step of ${method}.`);
      expect(constants).toEqual([]);
      files[`step_${method.replaceAll('-', '_')}.py`] = source;
      for (const [name, array] of (await trainer.state()).tensors) arrays.set(`${method}/state/${name}`, array);
      const numbers = Array.from({ length: STEPS }, (_, step) => trainer.numbersAt(step));
      arrays.set(`${method}/numbers`, { dtype: 'f32', shape: [STEPS, numbers[0]!.length], data: Float32Array.from(numbers.flat()) });
      const given = [...batches(dataset.train, { batchSize: BATCH, seed: config.seed }, 0, 0)];
      arrays.set(`${method}/batches/indices`, {
        dtype: 'i32',
        shape: [STEPS, BATCH],
        data: Int32Array.from(given.flatMap(({ indices }) => [...indices])),
      });
      arrays.set(`${method}/batches/images`, {
        dtype: 'u8',
        shape: [STEPS, ...given[0]!.images.shape],
        data: Uint8Array.from(given.flatMap(({ images }) => [...images.data])),
      });
      if (method === DIVIDED.method) {
        const [za, zb] = await trainer.embeddings();
        arrays.set('za', za!).set('zb', zb!);
        const each = BATCH / 8;
        files['loss.py'] = moduleOf(
          'A loss of embeddings, of all of a batch and of an eighth.',
          [await lossText('whole', za!, zb!), await lossText('part', rows(za!, each), rows(zb!, each))],
          new Constants(),
        );
      }
      const losses: number[] = [];
      for await (const { loss } of trainer.run()) losses.push(loss);
      expected.set(method, losses);
      trainer.dispose();
    }
    files['plan.json'] = JSON.stringify({
      methods: chosen,
      steps: STEPS,
      divided: DIVIDED.method,
      dividedSteps: DIVIDED.steps,
      devices: DIVIDED.devices,
    });
    const { arrays: outputs, printed } = await runPython('training.py', files, arrays, {
      XLA_FLAGS: '--xla_force_host_platform_device_count=8',
    });
    found = outputs;
    collectives = JSON.parse(printed) as typeof collectives;
  }, 1_200_000);

  it.for(chosen)('%s: the losses of 20 steps', (method) => {
    const { data } = found.get(`${method}/losses`)!;
    const wanted = expected.get(method)!;
    const errors = wanted.map((loss, step) => Math.abs(data[step]! - loss) / Math.abs(loss));
    expect(Math.max(...errors)).toBeLessThan(1e-4);
  });

  it('any number of devices: the losses of one, by collectives', () => {
    const [one, ...several] = DIVIDED.devices.map((count) => found.get(`devices/${count}`)!.data);
    for (const [i, losses] of several.entries())
      losses.forEach((loss: number, step: number) => {
        expect(Math.abs(loss - one![step]!) / one![step]!, `${DIVIDED.devices[i + 1]} devices, step ${step}`).toBeLessThan(1e-5);
      });
    for (const count of DIVIDED.devices) expect(collectives[count]!.some((line) => line.includes('all-reduce'))).toBe(count > 1);
    console.log(
      `8 devices: ${collectives[8]!.length} collectives, as\n${collectives[8]!
        .slice(0, 5)
        .map((line) => line.slice(0, 160))
        .join('\n')}`,
    );
  });

  it('is that of the whole batch, which statistics of each device are not', () => {
    const [whole, parts] = ['whole', 'parts'].map((name) => found.get(name)!.data[0]!) as [number, number];
    console.log(`VICReg of a batch of ${BATCH}: ${whole}; the mean of what 8 devices would find, each in its own images: ${parts}`);
    expect(Math.abs(parts - whole) / whole).toBeGreaterThan(0.01);
  });
});
