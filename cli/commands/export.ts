import { access, constants, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { named, shown } from '../../engine/arguments.ts';
import type { DType } from '../../engine/dtype.ts';
import { compile, TensegrityError, type Tensor, useBackend, zeros } from '../../engine/index.ts';
import { show } from '../../engine/shape.ts';
import { withStorageErrors, writeFileAtomically } from '../../models/io/node.ts';
import { featureMapOf } from '../../models/train/evaluate.ts';
import { encoderFiles, exportEncoder } from '../exportEncoder.ts';
import { exportRun } from '../exportRun.ts';
import { asUsage, type Command, type Input, type OptionTable, UsageError } from '../options.ts';
import { checkOutputs } from '../outputs.ts';
import { jsonOf, print } from '../text.ts';
import { encoderOptions, loadEncoder, scaleOf } from './embed.ts';

const { weights: _, mean, ...ofEncoder } = encoderOptions;
const targets = ['plan', 'jax'] as const;
const pixelTypes = ['u8', 'f32'] as const satisfies readonly DType[];
const precisions = ['f32', 'f16'] as const;

/** What a function of JAX, which takes any number of images, has no use for. */
const ofCalls: OptionTable = {
  batch: { type: 'string', value: 'N,…', help: 'how many images a call takes; the plan has one part for each (1)' },
  weights: { type: 'string', value: precisions.join('|'), help: 'how matrices and filters are stored (f32)' },
  portable: { type: 'boolean', help: 'kernels of at most 8 buffers, for webgpu too' },
};

/** What an encoder is exported with, beside its run. */
const ofEncoders: OptionTable = {
  ...ofCalls,
  size: { type: 'string', value: 'H,W', help: 'of the images (those of its training)' },
  pixels: {
    type: 'string',
    value: pixelTypes.join('|'),
    help: 'how they are stored: u8, which the plan normalises, or f32 (as in its training)',
  },
  ...ofEncoder,
  encoder: { ...ofEncoder['encoder']!, bare: true },
  mean: { ...mean!, help: 'of u8 images scaled to [0, 1], by channel (those of its training)' },
};

export const exportCommand: Command = {
  summary: 'Write an encoder as a plan that runs without the library, or a run as a JAX program for any number of devices',
  usage: 'RUN|FILE.safetensors --to plan --out FILE.plan [options] | RUN --to jax [--encoder] --out FOLDER',
  positionals: [1, 1],
  options: {
    to: {
      type: 'string',
      value: targets.join('|'),
      help: 'what it becomes: a plan of the encoder, for loadPlan of tensegrity/plan; a program for JAX that trains on, or with --encoder a function of JAX from images to features',
    },
    out: { type: 'string', value: 'FILE|FOLDER', help: 'where it goes' },
    ...ofEncoders,
  },
  examples: [
    ['tensegrity export runs/vicreg --to plan --out encoder.plan', 'the encoder of a run, for one image a call'],
    [
      'tensegrity export w.safetensors --to plan --out w.plan --batch 1,8 --weights f16 --size 224 --encoder resnet18 --mean .485,.456,.406 --deviation .229,.224,.225',
      "PyTorch's ResNet-18",
    ],
    ['tensegrity export runs/vicreg --to jax --out cluster/vicreg', 'the run, to go on with on many devices: docs/cluster.md'],
    [
      'tensegrity export runs/vicreg --to jax --encoder --out features',
      'the encoder of a run as a function of JAX, from images to features',
    ],
  ],
  run: async (input) => {
    const [to, out] = [input.choice('to', targets), input.text('out')];
    if (to === undefined || out === undefined) throw new UsageError(`export needs --to ${targets.join('|')} and --out FILE|FOLDER`);
    const encoderOnly = input.text('encoder') !== undefined;
    if (to === 'jax' && !encoderOnly) {
      input.refuse(Object.keys(ofEncoders), 'a run is exported with its own settings');
      return exportRun(input, input.positionals[0]!, out);
    }
    if (to === 'jax') input.refuse(Object.keys(ofCalls), 'a function of JAX takes any number of images, and f32 weights');
    const batches = batchesOf(input);
    const given = input.positionals[0]!;
    const path = (await isFolder(given)) ? join(given, 'encoder.safetensors') : given;
    await checkOutputs([path], to === 'jax' ? encoderFiles.map((name) => join(out, name)) : [out]);
    await withStorageErrors('write', out, () => access(dirname(out), constants.W_OK));
    // Nothing runs: it only holds the weights.
    await useBackend('cpu');
    const { encoder, architecture, channels, metadata } = await loadEncoder(input, path);
    const dtype = input.choice('pixels', pixelTypes) ?? (metadata.get('pixels') === 'f32' ? 'f32' : 'u8');
    const scale = scaleOf(input, metadata, { dtype, channels, own: null }, path);
    const size = imageSizeOf(input, metadata, path);
    if (to === 'jax') return exportEncoder(input, encoder, architecture, { dtype, image: [channels, ...size], scale }, out);
    const embed = compile((images: Tensor) => ({ features: featureMapOf(encoder, images, scale).mean([2, 3]) }));
    const shapes = batches.map((count) => [count, channels, ...size]);
    const bytes = await asUsage(() =>
      embed.save(
        shapes.map((shape) => [zeros(shape, dtype)] as const),
        { weights: input.choice('weights', precisions) ?? 'f32', portable: input.flag('portable') ?? false },
      ),
    );
    await writeFileAtomically(out, bytes);
    const inputs = shapes.map((shape) => `${dtype} ${show(shape)}`);
    const outputs = shapes.map(([count]) => ({ features: [count, encoder.width] }));
    print(
      input.flag('json')
        ? jsonOf({ out, bytes: bytes.length, arguments: shapes.map((shape) => [{ dtype, shape }]), outputs })
        : `${named(out)}: ${bytes.length} bytes; images ${inputs.join(' or ')} → { features: f32 [N, ${encoder.width}] }`,
    );
  },
};

async function isFolder(path: string): Promise<boolean> {
  return (await stat(path).catch(() => null))?.isDirectory() ?? false;
}

/** Whole numbers ≥ 1, separated by commas; undefined for anything else. */
function wholeNumbers(text: string): number[] | undefined {
  return /^[1-9]\d{0,8}(,[1-9]\d{0,8})*$/.test(text) ? text.split(',').map(Number) : undefined;
}

/** @throws UsageError for anything but whole numbers ≥ 1, separated by commas. */
function batchesOf(input: Input): readonly number[] {
  const text = input.text('batch') ?? '1';
  const values = wholeNumbers(text);
  if (!values) throw new UsageError(`--batch takes whole numbers ≥ 1 separated by commas, got ${shown(text)}`);
  return [...new Set(values)];
}

/** Height and width. @throws UsageError where nothing says them, TensegrityError `format` where the file says something else. */
function imageSizeOf(input: Input, metadata: ReadonlyMap<string, string>, path: string): readonly [number, number] {
  const text = input.text('size') ?? metadata.get('size');
  if (text === undefined) throw new UsageError(`${named(path)} does not say how large its images were; say it with --size H,W`);
  const [height, width = height, ...more] = wholeNumbers(text) ?? [];
  if (height !== undefined && width !== undefined && more.length === 0) return [height, width];
  const expected = `a height and a width, as 224 or 28,28, got ${shown(text)}`;
  if (input.text('size') !== undefined) throw new UsageError(`--size takes ${expected}`);
  throw new TensegrityError('format', `${named(path)}: its size must be ${expected}; say what it is with --size`);
}
