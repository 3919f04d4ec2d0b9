import type { View } from '../../compiler/plan.ts';
import { contiguousStrides, sizeOf } from '../../shape.ts';
import { wgslType } from './expressions.ts';
import { type Context, coordinateStatements, type Emitter, placeOf, type Shader, THREADS, Views } from './shader.ts';
import { sorted } from './sort.ts';

/** How many indices each output looks through one by one, rather than having them sorted. */
const FEW = 64;
/** How many updates of an output, on average, one thread adds alone. */
const RUN = 32;

/** A few indices are looked through by a thread for each output. More are sorted first, so that an output finds its own next to each other, in ascending order. */
export const scatterAdd: Emitter<'scatterAdd'> = ({ inputs: [index, updates], outputs: [out] }, context) => {
  if (sizeOf(out!.shape) === 0) return [];
  if (index!.shape[1]! <= FEW) return [scanned(index!, updates!, out!, context)];
  const columns = columnsOf(index!);
  const order = context.temporary('i32', sizeOf(columns.shape));
  const positions: View = { buffer: order, dtype: 'i32', shape: columns.shape, strides: contiguousStrides(columns.shape), offset: 0 };
  return [...sorted(columns, positions, false, context), summed(columns, positions, updates!, out!, context)];
};

/** [A, M, B] as [A, B, M], without the axes along which it is the same. */
function columnsOf({ shape: [a = 1, m = 1, b = 1], strides: [alongA = 0, alongM = 0, alongB = 0], ...rest }: View): View {
  return { ...rest, shape: [alongA === 0 ? 1 : a, alongB === 0 ? 1 : b, m], strides: [alongA, alongB, alongM] };
}

const zeroOf = ({ dtype }: View): string => (dtype === 'f32' ? '0.0' : '0');

function scanned(index: View, updates: View, out: View, context: Context): Shader {
  const size = sizeOf(out.shape);
  const views = new Views(context, [index, updates], [out]);
  const here = ['a', 'm', 'b'];
  const body = `let i = group * ${THREADS} + thread;
if (i >= ${size}) { return; }
${coordinateStatements('i', out.shape, ['a', 'n', 'b'])}
var total = ${zeroOf(out)};
for (var m = 0; m < ${index.shape[1]}; m++) {
  if (${views.load(index, placeOf(index, here))} == n) { total += ${views.load(updates, placeOf(updates, here))}; }
}
${views.store(out, placeOf(out, ['a', 'n', 'b']), 'total')}`;
  return views.shader({ name: 'scatterAdd', groups: Math.ceil(size / THREADS), body });
}

/** Each output has a team of threads that take turns with its updates; then the team's halves merge, always in the same order. */
function summed(columns: View, order: View, updates: View, out: View, context: Context): Shader {
  const size = sizeOf(out.shape);
  const count = columns.shape[2]!;
  const team = Math.min(THREADS, 2 ** Math.ceil(Math.log2(Math.max(1, count / out.shape[1]! / RUN))));
  const teams = THREADS / team;
  const views = new Views(context, [columns, order, updates], [out]);
  const place = (j: string) => views.load(order, placeOf(order, ['a', 'b', j]));
  const findFirst = `fn findFirst(n: i32, a: i32, b: i32) -> i32 {
  var low = 0;
  var high = ${count};
  while (low < high) {
    let middle = (low + high) / 2;
    let m = ${place('middle')};
    if (${views.load(columns, placeOf(columns, ['a', 'b', 'm']))} < n) { low = middle + 1; } else { high = middle; }
  }
  return low;
}`;
  const sums = `var<workgroup> sums: array<${wgslType(out.dtype === 'f32' ? 'f32' : 'i32')}, ${THREADS}>;`;
  const merge = `sums[thread] = total;
workgroupBarrier();
for (var half = ${team / 2}; half > 0; half /= 2) {
  if (member < half) { sums[thread] += sums[thread + half]; }
  workgroupBarrier();
}
total = sums[thread];`;
  const body = `let member = thread % ${team};
let i = group * ${teams} + thread / ${team};
${coordinateStatements('i', out.shape, ['a', 'n', 'b'])}
var total = ${zeroOf(out)};
if (i < ${size}) {
  let end = findFirst(n + 1, a, b);
  for (var j = findFirst(n, a, b) + member; j < end; j += ${team}) {
    let m = ${place('j')};
    total += ${views.load(updates, placeOf(updates, ['a', 'm', 'b']))};
  }
}
${team > 1 ? merge : ''}
if (member == 0 && i < ${size}) {
${views.store(out, placeOf(out, ['a', 'n', 'b']), 'total')}
}`;
  const teamwork = team > 1 ? { workgroupBytes: THREADS * 4 } : {};
  const declarations = { findFirst, ...(team > 1 ? { sums } : {}) };
  return views.shader({ name: 'scatterAdd', groups: Math.ceil(size / teams), declarations, body, ...teamwork });
}
