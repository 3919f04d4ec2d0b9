import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { compile, type DType, grad, type Tensor, tensor, useBackend } from '../../../engine/index.ts';
import { crossEntropy } from '../../../models/nn/functional.ts';
import { gpu } from '../../engine/backends/webgpu/gpu.ts';
import { backends, reference } from '../../engine/support.ts';
import { property } from '../../support/property.ts';
import { expectError, expectGradient, f64, gaussian, normalMatrix, seeds, sizes, values } from '../support.ts';

afterEach(async () => {
  await useBackend(reference);
});

const ints = (...labels: number[]): Tensor => tensor(Int32Array.from(labels));

describe('crossEntropy', () => {
  beforeAll(() => useBackend(reference));

  it('is −mean log softmax at the label, mixed with all labels, over those that are not ignored', () =>
    property(
      [sizes([1, 6], [1, 5]), seeds, fc.constantFrom(0, 0.1, 1), fc.constantFrom(undefined, -100, 2, 2 ** 31 - 1)],
      async ({ n, d }, seed, labelSmoothing, ignoreIndex) => {
        const logits = normalMatrix(seed, n, d).mul(10);
        const labels = Array.from({ length: n }, (_, i) => (ignoreIndex === -100 && (seed + i) % 3 === 0 ? -100 : (seed + 7 * i) % d));
        // Known while the graph is built, or not.
        for (const given of [ints(...labels), ints(...labels).bitwiseXor(0)]) {
          const loss = (x: Tensor): Tensor => crossEntropy(x, given, { labelSmoothing, ...(ignoreIndex !== undefined && { ignoreIndex }) });
          const [found, log] = await values(loss(logits), logits.logSoftmax(1));
          const counted = labels.flatMap((label, i) =>
            label === ignoreIndex ? [] : [[label, log!.subarray(i * d, (i + 1) * d)] as const],
          );
          const expected = counted.reduce(
            (sum, [label, row]) =>
              sum - (1 - labelSmoothing) * row[label]! - (labelSmoothing / d) * row.reduce((total, value) => total + value, 0),
            0,
          );
          if (counted.length === 0) {
            expect(found![0]).toBeNaN();
            continue;
          }
          expect(found![0]).toBeCloseTo(expected / counted.length, 10);
          await expectGradient(loss, gaussian(seed, [n, d]), 1e-6, 1);
        }
      },
    ));

  it('stays finite where probabilities vanish', async () => {
    expect(await crossEntropy(f64([[1e4, 0]]), ints(1)).item()).toBe(1e4);
  });

  it('says what is wrong', () => {
    const two = f64([
      [1, 2],
      [3, 4],
    ]);
    expectError(() => crossEntropy(two, f64([1, 0])), 'dtype', /integers/);
    expectError(() => crossEntropy(two, ints(0)), 'shape', /\[2, 2\] and \[1\]/);
    expectError(() => crossEntropy(two, ints(0, 1), { labelSmoothing: 2 }), 'argument', /from 0 to 1/);
    expectError(
      () => crossEntropy(two, ints(0, 1), { ignoreIndex: 0.5 }),
      'argument',
      /ignoreIndex must be a whole number of 32 bits, got 0.5/,
    );
    expectError(() => crossEntropy(two, ints(0, 1), { ignoreIndex: 2 ** 31 }), 'argument', /32 bits, got 2147483648/);
    for (const [wrong, labels] of [
      [9, ints(0, 9)],
      [-1, ints(-1, 0)],
      [-100, ints(1, -100)],
      [2, tensor([0, 2.5]).cast('i32')],
      [7, tensor(Uint8Array.of(7, 0))],
    ] as const)
      expectError(
        () => crossEntropy(two, labels),
        'argument',
        new RegExp(`label ${wrong} is none of the 2 classes, 0 to 1; name it as ignoreIndex`),
      );
    expectError(() => crossEntropy(two, ints(-100, 9), { ignoreIndex: -100 }), 'argument', /label 9 /);
  });
});

describe.for([...backends, ...(gpu ? [gpu] : [])].map((backend) => [backend.name, backend] as const))(
  'crossEntropy on %s',
  ([, backend]) => {
    const dtype: DType = backend === reference ? 'f64' : 'f32';
    const logits = [
      [1, 2],
      [3, 5],
      [0, 4],
    ];
    /** Loss and gradient, of labels that a plan is given. */
    const found = async (labels: Tensor, ignoreIndex?: number): Promise<[loss: number, gradient: number[]]> => {
      await useBackend(backend);
      const both = compile((x: Tensor, given: Tensor) => {
        const loss = crossEntropy(x, given, ignoreIndex === undefined ? {} : { ignoreIndex });
        return [loss, ...grad(loss, [x])];
      });
      const [loss, gradient] = await both(tensor(logits, { dtype }), labels);
      const result = [await loss!.item(), [...(await gradient!.data())]] as [number, number[]];
      both.dispose();
      return result;
    };
    /** In closed form, for two classes: ln(1 + e^(other − own)), and its slope. */
    const expected = (labels: readonly number[]): [number, number[]] => {
      const counted = labels.filter((label) => label >= 0).length;
      const rows = labels.map((label, i) => {
        const gap = label < 0 ? -Infinity : logits[i]![1 - label]! - logits[i]![label]!;
        const slope = 1 / (1 + Math.exp(-gap)) / counted;
        return { loss: Math.log1p(Math.exp(gap)) / counted, slopes: label < 0 ? [0, 0] : label === 0 ? [-slope, slope] : [slope, -slope] };
      });
      return [rows.reduce((sum, { loss }) => sum + loss, 0), rows.flatMap(({ slopes }) => slopes)];
    };

    it.for([
      ['none ignored', [0, 1, 1], undefined],
      ['none that there are', [0, 1, 1], -100],
      ['−100', [-100, 1, 0], -100],
      ['−1', [0, -1, 0], -1],
      ['a class', [0, 1, 0], 1],
    ] as const)('ignores labels by option: %s', async ([, labels, ignoreIndex]) => {
      const [loss, gradient] = await found(ints(...labels), ignoreIndex);
      const [value, slopes] = expected(labels.map((label) => (label === ignoreIndex ? -1 : label)));
      expect(loss).toBeCloseTo(value, 5);
      gradient.forEach((slope, i) => expect(slope).toBeCloseTo(slopes[i]!, 5));
    });

    it('of ignored labels alone is NaN, with a gradient of 0, as in PyTorch', async () => {
      expect(await found(ints(-100, -100, -100), -100)).toEqual([Number.NaN, [0, 0, 0, 0, 0, 0]]);
    });

    it.for([9, -1, -100, 2, 2 ** 31 - 1])('of label %d of 2 classes is NaN, and so is the gradient of its sample', async (label) => {
      for (const ignoreIndex of [undefined, -7]) {
        const [loss, gradient] = await found(ints(0, label, 1), ignoreIndex);
        expect(loss).toBeNaN();
        expect(gradient.map(Number.isNaN)).toEqual([false, false, true, true, false, false]);
      }
    });
  },
);

afterAll(() => gpu?.dispose());
