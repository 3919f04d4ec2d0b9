import type { HostArray } from '../../engine/dtype.ts';
import { check, TensegrityError } from '../../engine/errors.ts';
import { show } from '../../engine/shape.ts';
import { channelStatistics } from '../../models/data/images.ts';
import { readArray, readSafetensors, writeArray } from '../../models/io/node.ts';
import { type Encoder, encoders } from '../../models/nn/networks.ts';
import { features } from '../../models/train/evaluate.ts';
import { backendOptions, startBackend } from '../backend.ts';
import { type Command, type Input, type OptionTable, UsageError } from '../options.ts';

export const encoderOptions: OptionTable = {
  weights: {
    type: 'string',
    value: 'FILE.safetensors',
    help: "the encoder's weights by PyTorch's names; a classifier head (fc.*) is ignored",
  },
  encoder: { type: 'string', value: Object.keys(encoders).join('|'), help: 'its architecture (small-conv)' },
  stem: { type: 'string', value: 'imagenet|cifar', help: 'of a ResNet: imagenet, unless the weights have a 3×3 first layer' },
};

/** An encoder with weights from a file. @throws TensegrityError `format` naming what is missing or left over. */
export async function loadEncoder(input: Input, path: string): Promise<Encoder> {
  const name = input.choice('encoder', Object.keys(encoders) as (keyof typeof encoders)[]) ?? 'small-conv';
  const { tensors } = await readSafetensors(path);
  const first = tensors.get(name === 'small-conv' ? '0.0.weight' : 'conv1.weight');
  const inputs = first?.shape[1] ?? 3;
  const stem = input.choice('stem', ['imagenet', 'cifar']) ?? (first?.shape[2] === 3 ? 'cifar' : 'imagenet');
  const encoder = encoders[name]({ key: 0, inputs, stem });
  try {
    encoder.loadStateDict(tensors, { ignore: ['fc.'] });
  } catch (cause) {
    if (!(cause instanceof TensegrityError)) throw cause;
    throw new TensegrityError(cause.code, `${path} does not hold a ${name}: ${cause.message}`, cause.details, cause);
  }
  return encoder;
}

/** Images for an encoder: [N, C, H, W], u8 or f32. */
export async function readImages(path: string): Promise<HostArray> {
  const array = await readArray(path);
  const images: HostArray = array.dtype === 'f64' ? { dtype: 'f32', shape: array.shape, data: Float32Array.from(array.data) } : array;
  const shaped = images.shape.length === 3 ? { ...images, shape: [images.shape[0]!, 1, ...images.shape.slice(1)] } : images;
  check(
    shaped.shape.length === 4 && shaped.dtype !== 'i32',
    'shape',
    () => `${path}: images must be u8 or float [N, C, H, W], got ${array.dtype} ${show(array.shape)}`,
  );
  return shaped;
}

export const embed: Command = {
  summary: 'Turn images into features with a trained encoder',
  usage: '--weights FILE.safetensors IMAGES.npy --out Z.npy [options]',
  positionals: [1, 1],
  options: {
    ...encoderOptions,
    out: { type: 'string', value: 'FILE.npy', help: 'where the features go, f32 [N, width]' },
    mean: { type: 'string', value: 'M,…', help: 'of u8 images scaled to [0, 1], by channel; those of the images themselves, unless given' },
    deviation: { type: 'string', value: 'S,…', help: 'likewise' },
    ...backendOptions,
  },
  examples: [
    ['tensegrity embed --weights runs/vicreg/encoder.safetensors images.npy --out z.npy', 'features of the small encoder'],
    ['tensegrity embed --weights resnet18.safetensors --encoder resnet18 images.npy --out z.npy', "PyTorch's ResNet-18"],
  ],
  run: async (input) => {
    const [path, out] = [input.text('weights'), input.text('out')];
    if (path === undefined || out === undefined) throw new UsageError('embed needs --weights FILE.safetensors and --out FILE.npy');
    await startBackend(input);
    const encoder = await loadEncoder(input, path);
    const images = await readImages(input.positionals[0]!);
    const z = await features(encoder, images, scaleOf(input, images));
    await writeArray(out, z.pooled);
    const shape = z.pooled.shape;
    console.log(input.flag('json') ? JSON.stringify({ out, shape }) : `${out}: f32 ${show(shape)}`);
  },
};

/** Float images are used as they are; u8 ones are normalised. */
export function scaleOf(input: Input, images: HostArray): { mean: readonly number[]; deviation: readonly number[] } {
  const statistics = channelStatistics(images);
  if (images.dtype !== 'u8') return statistics;
  return { mean: list(input, 'mean') ?? statistics.mean, deviation: list(input, 'deviation') ?? statistics.deviation };
}

function list(input: Input, name: string): number[] | undefined {
  const values = input.text(name)?.split(',').map(Number);
  if (values?.some((value) => !Number.isFinite(value))) throw new UsageError(`--${name} takes numbers separated by commas`);
  return values;
}
