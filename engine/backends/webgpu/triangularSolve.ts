import type { View } from '../../compiler/plan.ts';
import { type Emitter, placeOf, Views } from './shader.ts';

/** Of a block, both ways: a thread for each of its elements. */
const BLOCK = 16;

/**
 * Forward substitution by blocks of rows: what the rows above have to say of a block is a product, tile by tile, as in gemm.ts; what then is left
 * is solved row by row. A workgroup takes 16 columns of one system. Other triangles are this one, with axes exchanged or turned around.
 */
export const triangularSolve: Emitter<'triangularSolve'> = ({ lower, transpose, inputs: [a, b], outputs: [x] }, context) => {
  const [batch = 0, size = 0, columns = 0] = x!.shape;
  if (batch * size * columns === 0) return [];
  const views = new Views(context, [a!, b!], [x!]);
  const backwards = lower === transpose;
  const turned = (view: View, axes: readonly number[]) => (backwards ? axes.reduce(reversed, view) : view);
  const [left, right, solution] = [turned(transpose ? transposed(a!) : a!, [1, 2]), turned(b!, [1]), turned(x!, [1])];
  const across = Math.ceil(columns / BLOCK);
  const coefficient = (row: string, column: string) => views.load(left, placeOf(left, ['batch', row, column]));
  const body = `let batch = group / ${across};
let across = thread % ${BLOCK};
let down = thread / ${BLOCK};
let column = group % ${across} * ${BLOCK} + across;
for (var start = 0; start < ${size}; start += ${BLOCK}) {
  let row = start + down;
  var rest = 0.0;
  if (row < ${size} && column < ${columns}) { rest = ${views.load(right, placeOf(right, ['batch', 'row', 'column']))}; }
  for (var k = 0; k < start; k += ${BLOCK}) {
    coefficients[thread] = 0.0;
    if (row < ${size}) { coefficients[thread] = ${coefficient('row', '(k + across)')}; }
    solved[thread] = 0.0;
    if (column < ${columns}) { solved[thread] = ${views.load(solution, placeOf(solution, ['batch', '(k + down)', 'column']))}; }
    workgroupBarrier();
    var part = 0.0;
    for (var j = 0; j < ${BLOCK}; j++) { part += coefficients[down * ${BLOCK} + j] * solved[j * ${BLOCK} + across]; }
    rest -= part;
    workgroupBarrier();
  }
  coefficients[thread] = 0.0;
  if (row < ${size} && across <= down) { coefficients[thread] = ${coefficient('row', '(start + across)')}; }
  workgroupBarrier();
  for (var j = 0; j < min(${BLOCK}, ${size} - start); j++) {
    if (down == j) {
      rest /= coefficients[j * ${BLOCK + 1}];
      solved[across] = rest;
    }
    workgroupBarrier();
    if (down > j) { rest -= coefficients[down * ${BLOCK} + j] * solved[across]; }
    workgroupBarrier();
  }
  if (row < ${size} && column < ${columns}) { ${views.store(solution, placeOf(solution, ['batch', 'row', 'column']), 'rest')} }
  storageBarrier();
}`;
  const tile = (name: string) => `var<workgroup> ${name}: array<f32, ${BLOCK * BLOCK}>;`;
  const declarations = { coefficients: tile('coefficients'), solved: tile('solved') };
  const [threads, workgroupBytes] = [BLOCK * BLOCK, 8 * BLOCK * BLOCK];
  return [views.shader({ name: 'triangularSolve', threads, workgroupBytes, groups: batch * across, declarations, body })];
};

const transposed = ({ strides: [batch = 0, down = 0, across = 0], ...view }: View): View => ({ ...view, strides: [batch, across, down] });

/** A view that begins at the other end of an axis. */
function reversed(view: View, axis: number): View {
  const stride = view.strides[axis]!;
  return { ...view, strides: view.strides.with(axis, -stride), offset: view.offset + stride * (view.shape[axis]! - 1) };
}
