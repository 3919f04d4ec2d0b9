import { describe, expect, it } from 'vitest';
import { type DType, grad, type HostArray, realize, tensor } from '../../../engine/index.ts';
import { type Encoder, ResNet, SmallConvNet } from '../../../models/index.ts';
import { digest, formulaWeights, readRecording, signed } from '../../recordings/recordings.ts';
import { atEachPrecision, converted, errorOf, type Precision } from '../recorded.ts';

interface Described {
  readonly name: string;
  readonly shape: readonly number[];
  readonly stream: number;
}

interface NetworkCase {
  readonly name: string;
  readonly op: 'smallConvNet' | 'resnet18';
  readonly attributes: { readonly stem?: 'imagenet' | 'cifar'; readonly training: boolean };
  readonly input: Omit<Described, 'name'> & { readonly amplitude: number };
  readonly cotangent: Omit<Described, 'name'> & { readonly amplitude: number };
  readonly parameters: readonly Described[];
  readonly buffers: readonly Described[];
  readonly output: string;
  readonly inputGradient?: string;
  readonly inputGradientStats: string;
  readonly inputGradientHead: string;
  readonly gradientStats: string;
  readonly gradientHead: string;
  readonly bufferStats?: string;
  readonly bufferHead?: string;
}

const recording = readRecording<NetworkCase>('networks');

function build({ op, attributes: { stem } }: NetworkCase, dtype: DType): Encoder {
  return op === 'smallConvNet' ? new SmallConvNet({ key: 0, dtype }) : new ResNet('resnet18', { key: 0, dtype, ...(stem && { stem }) });
}

/**
 * Sums and dots relative to the L1 norm, norms to themselves, heads to the tensor's largest entry, as all recordings are compared. That one is
 * not recorded: ours stands for it, whose norms have just been held to PyTorch's.
 */
function expectDigest(
  values: ArrayLike<number>,
  stream: number,
  row: ArrayLike<number>,
  head: ArrayLike<number>,
  limit: number,
  what: string,
): void {
  const found = digest(values, stream);
  const [sum, norm, dot, absolute] = [row[0]!, row[1]!, row[2]!, row[3]!];
  let largest = Number.MIN_VALUE;
  for (let i = 0; i < values.length; i++) largest = Math.max(largest, Math.abs(values[i]!));
  const errors = {
    sum: Math.abs(found.stats[0] - sum) / absolute,
    norm: Math.abs(found.stats[1] - norm) / norm,
    dot: Math.abs(found.stats[2] - dot) / absolute,
    absolute: Math.abs(found.stats[3] - absolute) / absolute,
    head: Math.max(...found.head.map((value, i) => Math.abs(value - head[i]!))) / largest,
  };
  for (const [name, error] of Object.entries(errors)) expect(error, `${what}: ${name}`).toBeLessThanOrEqual(limit);
}

/** Row k of a matrix. */
function row({ shape, data }: HostArray, k: number): ArrayLike<number> {
  return data.subarray(k * shape[1]!, (k + 1) * shape[1]!);
}

/** The reference takes 15 seconds for a ResNet: it does those in training mode, in f64. */
function isChosen({ backend, dtype }: Precision, { op, attributes }: NetworkCase): boolean {
  return backend === 'wasm' || op === 'smallConvNet' || (dtype === 'f64' && attributes.training);
}

atEachPrecision((precision) => {
  const { dtype, tolerance } = precision;
  describe.each(recording.cases.filter((recorded) => isChosen(precision, recorded)))('$name', (recorded) => {
    it('computes PyTorch’s features, all gradients and the running statistics', async () => {
      const network = build(recorded, dtype);
      const described = [...recorded.parameters, ...recorded.buffers];
      network.loadStateDict(
        new Map(described.map((part) => [part.name, converted({ dtype: 'f64', shape: part.shape, data: formulaWeights(part) }, dtype)])),
      );
      const drawn = ({ shape, stream, amplitude }: NetworkCase['input']) =>
        tensor(
          converted(
            {
              dtype: 'f64',
              shape,
              data: signed(
                stream,
                shape.reduce((a, b) => a * b, 1),
                amplitude,
              ),
            },
            dtype,
          ),
        );

      const x = drawn(recorded.input);
      const y = network.forward(x, { train: recorded.attributes.training });
      const named = network.namedParameters();
      expect(named.map(([name]) => name)).toEqual(recorded.parameters.map(({ name }) => name));
      const [inputGradient, ...gradients] = grad(y.mul(drawn(recorded.cotangent)).sum(), [x, ...named.map(([, parameter]) => parameter)]);
      await realize(y, inputGradient!, ...gradients);

      expect(errorOf(await y.data(), recording.tensor(recorded.output).data)).toBeLessThanOrEqual(tolerance);
      const gx = await inputGradient!.data();
      if (recorded.inputGradient !== undefined)
        expect(errorOf(gx, recording.tensor(recorded.inputGradient).data)).toBeLessThanOrEqual(tolerance);
      expectDigest(
        gx,
        2999,
        recording.tensor(recorded.inputGradientStats).data,
        recording.tensor(recorded.inputGradientHead).data,
        tolerance,
        'input',
      );
      const [stats, heads] = [recording.tensor(recorded.gradientStats), recording.tensor(recorded.gradientHead)];
      for (const [p, gradient] of gradients.entries())
        expectDigest(await gradient.data(), 3000 + p, row(stats, p), row(heads, p), tolerance, named[p]![0]);
      if (recorded.bufferStats === undefined || recorded.bufferHead === undefined) return;
      const [bufferStats, bufferHeads] = [recording.tensor(recorded.bufferStats), recording.tensor(recorded.bufferHead)];
      for (const [b, [name, buffer]] of network.namedBuffers().entries()) {
        expectDigest(await buffer.data(), 4000 + b, row(bufferStats, b), row(bufferHeads, b), tolerance, name);
      }
    }, 300_000);
  });
});
