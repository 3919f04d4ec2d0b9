import type { PoolKernel } from '../../compiler/plan.ts';
import { literal } from './expressions.ts';
import { type Emitter, Views } from './shader.ts';

/** What a thread begins with, does with each `value` at row `v` and column `u`, and stores. */
interface Mode {
  readonly start: string;
  readonly step: (width: number) => string;
  readonly result: string;
}

const total: Mode = { start: 'var total = 0.0;', step: () => 'total += value;', result: 'total' };

const modes: { readonly [M in PoolKernel['mode']]: Mode } = {
  sum: total,
  sumTranspose: total,
  max: {
    start: `var best = ${literal(Number.NEGATIVE_INFINITY, 'f32')};`,
    step: () => 'best = larger(best, value);',
    result: 'best',
  },
  argmax: {
    start: `var best = ${literal(Number.NEGATIVE_INFINITY, 'f32')};
var place = -1;`,
    // Larger, or the first NaN.
    step: (width) => `if (place < 0 || (!isNan(best) && (value > best || isNan(value)))) {
  best = value;
  place = v * ${width} + u;
}`,
    result: 'place',
  },
};

/** A thread for each element: it visits the pixels of its window or, transposed, the windows that its pixel is in. */
export const pool: Emitter<'pool'> = ({ mode, kernel, stride, padding, inputs: [from], outputs: [to] }, context) => {
  const views = new Views(context, [from!], [to!]);
  const { start, step, result } = modes[mode];
  const [, , height = 0, width = 0] = from!.shape;
  const pixels = (at: string, axis: 0 | 1) => `${at} * ${stride[axis]} - ${padding[axis]}`;
  const range =
    mode === 'sumTranspose'
      ? (at: string, axis: 0 | 1, extent: number) => [
          `max(${at} + ${padding[axis] - kernel[axis] + stride[axis]}, 0) / ${stride[axis]}`,
          `min((${at} + ${padding[axis]}) / ${stride[axis]} + 1, ${extent})`,
        ]
      : (at: string, axis: 0 | 1, extent: number) => [
          `max(${pixels(at, axis)}, 0)`,
          `min(${pixels(at, axis)} + ${kernel[axis]}, ${extent})`,
        ];
  const [top, bottom] = range('y', 0, height);
  const [left, right] = range('x', 1, width);
  const body = `let bottom = ${bottom};
let right = ${right};
${start}
for (var v = ${top}; v < bottom; v++) {
  for (var u = ${left}; u < right; u++) {
    let value = ${views.load(from!, ['n', 'c', 'v', 'u'])};
${step(width)}
  }
}
${views.store(to!, ['n', 'c', 'y', 'x'], result)}`;
  return [views.forEach(to!.shape, ['n', 'c', 'y', 'x'], { name: 'pool', body })];
};
