import type { View } from '../../compiler/plan.ts';
import { arranged } from './indices.ts';
import { constants, type Emitter, Views, workgroupMemory } from './shader.ts';

/** Of a block, both ways: a thread for each of its elements. */
const BLOCK = 16;
/** One more, so that threads that write a column meet different banks. */
const PITCH = BLOCK + 1;

/**
 * Forward substitution by blocks of 16 rows, of which a workgroup takes 16 columns of one system. Other triangles are this one, with axes exchanged or
 * turned around.
 *
 *     ┌───┐          ┌────┐
 *     │   │          │ X₁ │   for each block of rows
 *     │   ├───┐      ├────┤     R ← B₂ − A₂₁ · X₁, tile by tile
 *     │A₂₁│A₂₂│  ·   │ X₂ │     X₂ ← A₂₂⁻¹ · R, row by row
 *     └───┴───┘      └────┘
 */
export const triangularSolve: Emitter<'triangularSolve'> = ({ lower, transpose, inputs: [a, b], outputs: [out] }, context) => {
  const [batch = 0, size = 0, columns = 0] = out!.shape;
  const views = new Views(context, [a!, b!], [out!]);
  const backwards = lower === transpose;
  const turned = (view: View, axes: readonly number[]) => (backwards ? axes.reduce(reversed, view) : view);
  const [left, right, solution] = [turned(transpose ? arranged(a!, [0, 2, 1]) : a!, [1, 2]), turned(b!, [1]), turned(out!, [1])];
  // Neighbouring threads load what lies side by side.
  const [y, x] = Math.abs(left.strides[1]!) < Math.abs(left.strides[2]!) ? ['across', 'down'] : ['down', 'across'];
  const loadCoefficients = (from: string, within: string) => `coefficients[${y} * pitch + ${x}] = 0.0;
if (start + ${y} < size${within}) {
  coefficients[${y} * pitch + ${x}] = ${views.load(left, ['batch', `(start + ${y})`, `(${from} + ${x})`])};
}`;
  const memory = workgroupMemory({ coefficients: ['f32', BLOCK * PITCH], solved: ['f32', BLOCK ** 2] });
  const groupsAcross = Math.ceil(columns / BLOCK);
  return [
    views.shader({
      name: 'triangularSolve',
      threads: BLOCK ** 2,
      groups: batch * groupsAcross,
      workgroupBytes: memory.workgroupBytes,
      declarations: { ...constants({ size, columns, block: BLOCK, pitch: PITCH }), ...memory.declarations },
      body: `let batch = group / ${groupsAcross};
let across = thread % block;
let down = thread / block;
let column = group % ${groupsAcross} * block + across;
for (var start = 0; start < size; start += block) {
  let row = start + down;
  var rest = 0.0;
  if (row < size && column < columns) { rest = ${views.load(right, ['batch', 'row', 'column'])}; }
  for (var k = 0; k < start; k += block) {
${loadCoefficients('k', '')}
    solved[thread] = 0.0;
    if (column < columns) { solved[thread] = ${views.load(solution, ['batch', '(k + down)', 'column'])}; }
    workgroupBarrier();
    var part = 0.0;
    for (var j = 0; j < block; j++) { part += coefficients[down * pitch + j] * solved[j * block + across]; }
    rest -= part;
    workgroupBarrier();
  }
${loadCoefficients('start', ` && ${x} <= ${y}`)}
  workgroupBarrier();
  for (var j = 0; j < min(block, size - start); j++) {
    if (down == j) {
      rest /= coefficients[j * (pitch + 1)];
      solved[across] = rest;
    }
    workgroupBarrier();
    if (down > j) { rest -= coefficients[down * pitch + j] * solved[across]; }
    workgroupBarrier();
  }
  if (row < size && column < columns) { ${views.store(solution, ['batch', 'row', 'column'], 'rest')} }
  storageBarrier();
}`,
    }),
  ];
};

/** A view that begins at the other end of an axis. */
function reversed(view: View, axis: number): View {
  const stride = view.strides[axis]!;
  return { ...view, strides: view.strides.with(axis, -stride), offset: view.offset + stride * (view.shape[axis]! - 1) };
}
