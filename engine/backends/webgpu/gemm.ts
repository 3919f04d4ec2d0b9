import { programStatements } from './expressions.ts';
import { assemble, type Emitter, placeOf, placeStatements, Views } from './shader.ts';

const TILE = 16;

/**
 * A workgroup makes a 16×16 tile of the product: tiles of both factors pass through workgroup memory, a thread sums one element. Each
 * tile's sum is made apart and then added, so that rounding errors stay small.
 */
export const gemm: Emitter<'gemm'> = ({ inputs: [a, b, ...others], outputs: [out], epilogue }) => {
  const [batch = 0, rows = 0, columns = 0] = out!.shape;
  const inner = a!.shape[2]!;
  if (batch * rows * columns === 0) return [];
  const views = new Views([a!, b!, ...others], [out!]);
  const finish = epilogue && [
    `let i = (batch * ${rows} + row) * ${columns} + column;`,
    placeStatements('i', others, 'from'),
    ...others.map((view, k) => `let v${k} = ${view.buffer === out!.buffer ? 'total' : views.load(view, `from${k}`)};`),
    programStatements(epilogue, others).statements,
    `total = v${epilogue.results[0]};`,
  ];
  const code = `var<workgroup> left: array<f32, ${TILE * TILE}>;
var<workgroup> right: array<f32, ${TILE * TILE}>;
@compute @workgroup_size(${TILE}, ${TILE})
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_id) local: vec3u) {
let batch = i32(workgroup.z);
let x = i32(local.x);
let y = i32(local.y);
let column = i32(workgroup.x) * ${TILE} + x;
let row = i32(workgroup.y) * ${TILE} + y;
var total = 0.0;
for (var start = 0; start < ${inner}; start += ${TILE}) {
  var l = 0.0;
  var r = 0.0;
  if (row < ${rows} && start + x < ${inner}) { l = ${views.load(a!, placeOf(a!, ['batch', 'row', '(start + x)']))}; }
  if (column < ${columns} && start + y < ${inner}) { r = ${views.load(b!, placeOf(b!, ['batch', '(start + y)', 'column']))}; }
  left[y * ${TILE} + x] = l;
  right[y * ${TILE} + x] = r;
  workgroupBarrier();
  var part = 0.0;
  for (var k = 0; k < ${TILE}; k++) { part += left[y * ${TILE} + k] * right[k * ${TILE} + x]; }
  total += part;
  workgroupBarrier();
}
if (row < ${rows} && column < ${columns}) {
${finish?.join('\n') ?? ''}
${views.store(out!, placeOf(out!, ['batch', 'row', 'column']), 'total')}
}
}`;
  return [assemble(code, views, [Math.ceil(columns / TILE), Math.ceil(rows / TILE), batch])];
};
