/** Expressions that ask for more of one kernel than any backend has room for: what must be cut is the project's business, never the user's. */
import { expect } from 'vitest';
import type { Backend } from '../../../engine/backends/backend.ts';
import { createCpuBackend } from '../../../engine/backends/cpu/index.ts';
import { concat, realize, type Tensor, tensor, useBackend } from '../../../engine/index.ts';
import { sizeOf } from '../../../engine/shape.ts';
import { host, relativeError } from '../values.ts';

/** Makes operands, each of other values. */
type Operands = (...shape: number[]) => Tensor;

const range = (length: number): number[] => [...Array(length).keys()];
const total = (terms: readonly Tensor[]): Tensor => terms.reduce((sum, term) => sum.add(term));

/** `count` constants, no two alike. */
const constants = (x: Tensor, count: number): Tensor =>
  range(count).reduce((y, i) => (i % 2 === 0 ? y.add((i + 1) / 4096) : y.maximum(-i - 0.5)), x);
/** As many values as there are numbers, each used twice, so that all live until the first is used again. */
const twice = (x: Tensor, numbers: readonly number[]): Tensor[] => {
  const values = numbers.map((i) => x.mul(1 + i / 64).add(i / 8));
  return [total(values), total(values.map((value, i) => value.mul(i % 2 === 0 ? 0.5 : -0.25)))];
};

export const capacities: Readonly<Record<string, (operand: Operands) => readonly Tensor[]>> = {
  ...Object.fromEntries(
    [126, 127, 128, 200, 1000].map((count) => [`a chain of ${count} constants`, (operand: Operands) => [constants(operand(70), count)]]),
  ),
  'three constants for each of 300 operations': (operand) => {
    const x = operand(70);
    return [total(range(300).map((i) => x.greater(i / 300 - 0.5).where(i / 512, -1 - i / 1024)))];
  },
  'a chain of 130 constants behind a product': (operand) => [constants(operand(260, 20).matmul(operand(20, 256)), 130)],
  'a fold of a chain of 200 constants': (operand) => [constants(operand(6, 50), 200).sum(1), constants(operand(6, 50), 200).max(0)],
  '300 operands': (operand) => [total(range(300).map(() => operand(33)))],
  '300 operands, multiplied in pairs': (operand) => [total(range(150).map(() => operand(33).mul(operand(33))))],
  'a fold of 300 operands': (operand) => [total(range(300).map(() => operand(5, 40))).sum(1)],
  '300 operands side by side': (operand) => [
    concat(
      range(300).map((i) => operand(3, 1 + (i % 3))),
      1,
    ),
  ],
  '300 views of one operand': (operand) => {
    const x = operand(300, 9);
    return [total(range(300).map((i) => x.narrow(0, i, 1).mul(i + 1)))];
  },
  '15 results of 14 views each of one operand': (operand) => {
    const x = operand(210, 9);
    return range(15).map((k) => total(range(14).map((i) => x.narrow(0, 14 * k + i, 1).mul(i - k))));
  },
  '30 folds of 10 views each of one operand': (operand) => {
    const x = operand(20, 9);
    return range(30).map((k) => total(range(10).map((i) => x.narrow(0, (i * (k + 3)) % 20, 1).mul(i - k))).sum());
  },
  '100 values alive at once': (operand) => twice(operand(70), range(100)),
  '300 values alive at once': (operand) => {
    const x = operand(70);
    const groups = range(10).map((k) =>
      twice(
        x,
        range(30).map((i) => 30 * k + i),
      ),
    );
    return [...groups.map(([sum]) => sum!), ...groups.map(([, weighted]) => weighted!)];
  },
  '100 values of a fold alive at once': (operand) => twice(operand(7, 10), range(100)).flatMap((y) => [y.sum(1), y.max(1)]),
  '200 results of one operand': (operand) => {
    const x = operand(33);
    return range(200).map((i) => x.mul(i / 16).add(0.5));
  },
  '200 folds of one operand': (operand) => {
    const x = operand(9, 30);
    return range(200).map((i) => x.mul(i / 16).sum(1));
  },
  '18 axes in another order': (operand) => {
    const x = operand(...Array<number>(18).fill(2));
    // No two neighbours lie on one line.
    const turned = x.permute(range(18).map((axis) => (5 * axis) % 18));
    return [turned.add(x), turned.flip([0, 17]).sum([1, 3, 5, 7, 9, 11, 13, 15]), concat([turned, x.flip()], 4)];
  },
};

/** Rounding of 1000 operations. */
const TOLERANCE = 1e-4;
const doubles = createCpuBackend();

/** What a backend makes of it beside the reference in doubles. */
export async function checkCapacity(backend: Backend, name: string): Promise<void> {
  const run = async (target: Backend, dtype: 'f32' | 'f64'): Promise<ArrayLike<number>[]> => {
    await useBackend(target);
    let made = 0;
    const results = capacities[name]!((...shape) => {
      const seed = ++made;
      return tensor(
        host(
          shape,
          Float32Array.from({ length: sizeOf(shape) }, (_, i) => Math.sin(1.7 * i + seed) / 2),
          dtype,
        ),
      );
    });
    await realize(...results);
    return Promise.all(results.map((result) => result.data()));
  };
  const [actual, expected] = [await run(backend, 'f32'), await run(doubles, 'f64')];
  expect(actual.length).toBe(expected.length);
  for (const [k, values] of expected.entries()) expect(relativeError(actual[k]!, values, 1), `result ${k}`).toBeLessThan(TOLERANCE);
}
