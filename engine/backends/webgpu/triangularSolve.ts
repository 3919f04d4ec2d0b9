import type { View } from '../../compiler/plan.ts';
import { type Emitter, Views } from './shader.ts';

/** Of a block, both ways: a thread for each of its elements. */
const BLOCK = 16;
/** One more, so that threads that write a column meet different banks. */
const PITCH = BLOCK + 1;

/**
 * Forward substitution by blocks of rows: what the rows above have to say of a block is a product, tile by tile, as in matmul.ts; what then is left
 * is solved row by row. A workgroup takes 16 columns of one system. Other triangles are this one, with axes exchanged or turned around.
 */
export const triangularSolve: Emitter<'triangularSolve'> = ({ lower, transpose, inputs: [a, b], outputs: [out] }, context) => {
  const [batch = 0, size = 0, columns = 0] = out!.shape;
  const views = new Views(context, [a!, b!], [out!]);
  const backwards = lower === transpose;
  const turned = (view: View, axes: readonly number[]) => (backwards ? axes.reduce(reversed, view) : view);
  const [left, right, solution] = [turned(transpose ? transposed(a!) : a!, [1, 2]), turned(b!, [1]), turned(out!, [1])];
  const across = Math.ceil(columns / BLOCK);
  // Neighbouring threads load what lies side by side.
  const [y, x] = Math.abs(left.strides[1]!) < Math.abs(left.strides[2]!) ? ['across', 'down'] : ['down', 'across'];
  const loadCoefficients = (from: string, within: string) => `coefficients[${y} * ${PITCH} + ${x}] = 0.0;
if (start + ${y} < ${size}${within}) {
  coefficients[${y} * ${PITCH} + ${x}] = ${views.load(left, ['batch', `(start + ${y})`, `(${from} + ${x})`])};
}`;
  const body = `let batch = group / ${across};
let across = thread % ${BLOCK};
let down = thread / ${BLOCK};
let column = group % ${across} * ${BLOCK} + across;
for (var start = 0; start < ${size}; start += ${BLOCK}) {
  let row = start + down;
  var rest = 0.0;
  if (row < ${size} && column < ${columns}) { rest = ${views.load(right, ['batch', 'row', 'column'])}; }
  for (var k = 0; k < start; k += ${BLOCK}) {
${loadCoefficients('k', '')}
    solved[thread] = 0.0;
    if (column < ${columns}) { solved[thread] = ${views.load(solution, ['batch', '(k + down)', 'column'])}; }
    workgroupBarrier();
    var part = 0.0;
    for (var j = 0; j < ${BLOCK}; j++) { part += coefficients[down * ${PITCH} + j] * solved[j * ${BLOCK} + across]; }
    rest -= part;
    workgroupBarrier();
  }
${loadCoefficients('start', ` && ${x} <= ${y}`)}
  workgroupBarrier();
  for (var j = 0; j < min(${BLOCK}, ${size} - start); j++) {
    if (down == j) {
      rest /= coefficients[j * ${PITCH + 1}];
      solved[across] = rest;
    }
    workgroupBarrier();
    if (down > j) { rest -= coefficients[down * ${PITCH} + j] * solved[across]; }
    workgroupBarrier();
  }
  if (row < ${size} && column < ${columns}) { ${views.store(solution, ['batch', 'row', 'column'], 'rest')} }
  storageBarrier();
}`;
  const declarations = {
    coefficients: `var<workgroup> coefficients: array<f32, ${BLOCK * PITCH}>;`,
    solved: `var<workgroup> solved: array<f32, ${BLOCK * BLOCK}>;`,
  };
  const [threads, workgroupBytes] = [BLOCK * BLOCK, 4 * BLOCK * (PITCH + BLOCK)];
  return [views.shader({ name: 'triangularSolve', threads, workgroupBytes, groups: batch * across, declarations, body })];
};

const transposed = ({ strides: [batch = 0, down = 0, across = 0], ...view }: View): View => ({ ...view, strides: [batch, across, down] });

/** A view that begins at the other end of an axis. */
function reversed(view: View, axis: number): View {
  const stride = view.strides[axis]!;
  return { ...view, strides: view.strides.with(axis, -stride), offset: view.offset + stride * (view.shape[axis]! - 1) };
}
