import { programStatements } from './expressions.ts';
import { type Emitter, placeOf, placeStatements, Views } from './shader.ts';

const TILE = 16;

/**
 * A workgroup makes a 16×16 tile of the product: tiles of both factors pass through workgroup memory, a thread sums one element. Each
 * tile's sum is made apart and then added, so that rounding errors stay small.
 */
export const gemm: Emitter<'gemm'> = ({ inputs: [a, b, ...others], outputs: [out], epilogue }, context) => {
  const [batch = 0, rows = 0, columns = 0] = out!.shape;
  const inner = a!.shape[2]!;
  if (batch * rows * columns === 0) return [];
  const views = new Views(context, [a!, b!, ...others], [out!]);
  const finish = epilogue && [
    `let i = (batch * ${rows} + row) * ${columns} + column;`,
    placeStatements('i', others, 'from'),
    ...others.map((view, k) => `let v${k} = ${view.buffer === out!.buffer ? 'total' : views.load(view, `from${k}`)};`),
    programStatements(epilogue, others).statements,
    `total = v${epilogue.results[0]};`,
  ];
  const [across, down] = [Math.ceil(columns / TILE), Math.ceil(rows / TILE)];
  const tile = (name: string) => `var<workgroup> ${name}: array<f32, ${TILE * TILE}>;`;
  const body = `let batch = group / ${across * down};
let x = thread % ${TILE};
let y = thread / ${TILE};
let column = group % ${across} * ${TILE} + x;
let row = group / ${across} % ${down} * ${TILE} + y;
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
}`;
  const declarations = { left: tile('left'), right: tile('right') };
  return [views.shader({ name: 'gemm', threads: TILE * TILE, groups: across * down * batch, declarations, body })];
};
