import { folds } from './fold.ts';
import { type Emitter, Views } from './shader.ts';

/** A thread for each element: it visits the pixels of its window or, transposed, the windows that its pixel is in. */
export const pool: Emitter<'pool'> = ({ mode, kernel, stride, padding, inputs: [from], outputs: [to] }, context) => {
  const views = new Views(context, [from!], [to!]);
  const fold = folds[mode === 'sumTranspose' ? 'sum' : mode]('f32');
  /** Which pixels a window has along an axis, or which windows a pixel is in: the first, and the one behind the last. */
  const range = (at: string, axis: 0 | 1): readonly [string, string] => {
    const [step, before, extent, end] = [stride[axis], padding[axis], kernel[axis], from!.shape[axis + 2]!];
    const first = `${at} * ${step} - ${before}`;
    return mode === 'sumTranspose'
      ? [`max(${at} + ${before - extent + step}, 0) / ${step}`, `min((${at} + ${before}) / ${step} + 1, ${end})`]
      : [`max(${first}, 0)`, `min(${first} + ${extent}, ${end})`];
  };
  const [top, bottom] = range('y', 0);
  const [left, right] = range('x', 1);
  const body = `let bottom = ${bottom};
let right = ${right};
var total = ${fold.neutral};
for (var v = ${top}; v < bottom; v++) {
  for (var u = ${left}; u < right; u++) {
    total = ${fold.merge('total', fold.lift([views.load(from!, ['n', 'c', 'v', 'u'])], `v * ${from!.shape[3]} + u`))};
  }
}
${views.store(to!, ['n', 'c', 'y', 'x'], fold.results('total')[0]!)}`;
  return [views.forEach(to!.shape, ['n', 'c', 'y', 'x'], { name: 'pool', declarations: fold.declarations, body })];
};
