import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { HostArray } from '../../engine/index.ts';
import { readArray, writeArray, writeSafetensors } from '../../models/io/node.ts';
import { errorOf } from '../models/recorded.ts';
import { formulaWeights, readRecording, signed } from '../recordings/recordings.ts';
import { fails, succeeds, temporaryFolder } from './support.ts';

const folder = temporaryFolder();
const losses = readRecording('losses');

/** The call that a recorded loss is: the method's name and its options. Others are not what the command can be asked. */
const calls: Readonly<Record<string, (attributes: Readonly<Record<string, unknown>>) => string[]>> = {
  vicreg: (attributes) => ['vicreg', ...Object.entries(attributes).flatMap(([name, value]) => [`--${name}`, String(value)])],
  barlowTwins: ({ lambda, scale, epsilon }) => [
    'barlow-twins',
    '--off-diagonal',
    `${lambda}`,
    '--scale',
    `${scale}`,
    '--epsilon',
    `${epsilon}`,
  ],
  wmse: ({ epsilon, whitening, loss }) => ['w-mse', '--epsilon', `${epsilon}`, '--whitening', `${whitening}`, '--distance', `${loss}`],
};
/** Of W-MSE's recordings, those of the whole batch: the others are of PyTorch's own permutations. */
const chosen = losses.cases.filter(({ op, name }) =>
  (op === 'vicreg' || op === 'barlowTwins' ? / 64x16/ : /^wmse\/whole batch (norm|mse)/).test(name),
);
const partsOf: Readonly<Record<string, readonly string[]>> = {
  vicreg: ['loss', 'invariance', 'variance', 'covariance'],
  barlowTwins: ['loss', 'onDiagonal', 'offDiagonal'],
  wmse: ['loss'],
};

describe('tensegrity loss', () => {
  it('has recordings of every method and dialect', () => {
    expect(chosen).toHaveLength(14);
  });

  describe.each([
    { backend: 'cpu', dtype: 'f64', tolerance: 1e-10, cases: chosen },
    { backend: 'wasm', dtype: 'f32', tolerance: 1e-5, cases: chosen.filter(({ op }, i) => op !== chosen[i - 1]?.op) },
  ] as const)('on $backend in $dtype', ({ backend, dtype, tolerance, cases }) => {
    it.concurrent.each(cases.map((recorded, i) => ({ ...recorded, i })))(
      'gives what PyTorch gives for $name',
      async ({ op, attributes, inputs, outputs, cotangents, gradients, i }) => {
        const own = join(folder, `${backend}-${i}`);
        const paths = await Promise.all(
          inputs.slice(0, 2).map(async (name, view) => {
            const { shape, data } = losses.tensor(name);
            const path = `${own}-${view}.npy`;
            await writeArray(path, { dtype, shape, data: dtype === 'f64' ? Float64Array.from(data) : Float32Array.from(data) });
            return path;
          }),
        );
        const [method, ...options] = calls[op]!(attributes);
        const { stdout } = await succeeds(['loss', method!, ...paths, ...options, '--backend', backend, '--grad', own, '--json']);
        const values = JSON.parse(stdout) as Record<string, number>;
        for (const [k, part] of partsOf[op]!.entries()) {
          expect(errorOf([values[part]!], losses.tensor(outputs[k]!).data), part).toBeLessThanOrEqual(tolerance);
        }
        // The recorded gradients are of the loss times a cotangent.
        const scale = losses.tensor(cotangents![0]!).data[0]!;
        for (const [view, file] of ['za.npy', 'zb.npy'].entries()) {
          const gradient = await readArray(join(own, file));
          expect(gradient.dtype).toBe(dtype);
          const recorded = Float64Array.from(losses.tensor(gradients![view]!).data, (value) => value / scale);
          expect(errorOf(gradient.data, recorded), file).toBeLessThanOrEqual(tolerance);
        }
      },
    );
  });
});

interface Described {
  readonly name: string;
  readonly shape: readonly number[];
  readonly stream: number;
}

describe('tensegrity embed', () => {
  const networks = readRecording<{
    readonly name: string;
    readonly input: Omit<Described, 'name'> & { readonly amplitude: number };
    readonly parameters: readonly Described[];
    readonly buffers: readonly Described[];
    readonly output: string;
  }>('networks');

  it.each(['cifar', 'imagenet'])('gives the features of PyTorch’s ResNet-18 with the %s stem from its state dict', async (stem) => {
    const recorded = networks.cases.find(({ name }) => name === `resnet18/${stem}/eval`)!;
    const f32 = (shape: readonly number[], values: Float64Array): HostArray => ({ dtype: 'f32', shape, data: Float32Array.from(values) });
    const state = [...recorded.parameters, ...recorded.buffers].map((part) => [part.name, f32(part.shape, formulaWeights(part))] as const);
    const counters = recorded.buffers.flatMap(({ name }) =>
      name.endsWith('running_mean')
        ? [[name.replace('running_mean', 'num_batches_tracked'), { dtype: 'i32', shape: [], data: Int32Array.of(3) } as HostArray] as const]
        : [],
    );
    const head = [['fc.weight', f32([10, 512], new Float64Array(5120))] as const, ['fc.bias', f32([10], new Float64Array(10))] as const];
    const [weights, images, z] = ['weights.safetensors', 'images.npy', 'z.npy'].map((name) => join(folder, `${stem}-${name}`)) as [
      string,
      string,
      string,
    ];
    await writeSafetensors(weights, [...state, ...counters, ...head]);
    const { shape, stream, amplitude } = recorded.input;
    const size = shape.reduce((product, dimension) => product * dimension, 1);
    await writeArray(images, f32(shape, signed(stream, size, amplitude)));
    // The first layer's kernel tells the stem.
    await succeeds(['embed', '--weights', weights, '--encoder', 'resnet18', images, '--out', z]);
    expect(errorOf((await readArray(z)).data, networks.tensor(recorded.output).data)).toBeLessThanOrEqual(1e-5);
    if (stem === 'imagenet') return;
    await fails(
      ['embed', '--weights', weights, images, '--out', z],
      1,
      /does not hold a small-conv: .*missing: .*left over: .*choose its architecture with --encoder/,
    );
    await fails(
      ['embed', '--weights', weights, '--encoder', 'resnet34', images, '--out', z],
      1,
      /does not hold a resnet34: .*missing: layer1\.2\.conv1\.weight/,
    );
    await fails(
      ['embed', '--weights', weights, '--encoder', 'resnet18', images, '--out', '/dev/full'],
      1,
      /cannot write \/dev\/full: the disk is full/,
    );
    await fails(
      ['embed', '--weights', '/nowhere/w.safetensors', images, '--out', '/nowhere/z.npy'],
      1,
      /cannot write \/nowhere\/z\.npy: there is no such file or folder/,
    );
    const grey = join(folder, 'grey.npy');
    await writeArray(grey, { dtype: 'u8', shape: [2, 1, 16, 16], data: new Uint8Array(512) });
    await fails(
      ['embed', '--weights', weights, '--encoder', 'resnet18', grey, '--out', z],
      1,
      /takes images of 3 channels, and grey has \[2, 1, 16, 16\]/,
    );
  });
});
