import type { PoolKernel } from '../../compiler/plan.ts';
import { type Fold, folds } from './fold.ts';
import { type Emitter, Views } from './shader.ts';

const foldOf: { readonly [M in PoolKernel['mode']]: (lane: 'f32') => Fold } = {
  sum: folds.sum,
  sumTranspose: folds.sum,
  max: folds.max,
  argmax: folds.argmax,
};

/** A thread for each element: it visits the pixels of its window or, transposed, the windows that its pixel is in. */
export const pool: Emitter<'pool'> = ({ mode, kernel, stride, padding, inputs: [from], outputs: [to] }, context) => {
  const views = new Views(context, [from!], [to!]);
  const fold = foldOf[mode]('f32');
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
var total = ${fold.neutral};
for (var v = ${top}; v < bottom; v++) {
  for (var u = ${left}; u < right; u++) {
    total = ${fold.merge('total', fold.lift([views.load(from!, ['n', 'c', 'v', 'u'])], `v * ${width} + u`))};
  }
}
${views.store(to!, ['n', 'c', 'y', 'x'], fold.results('total')[0]!)}`;
  return [views.forEach(to!.shape, ['n', 'c', 'y', 'x'], { name: 'pool', declarations: fold.declarations, body })];
};
