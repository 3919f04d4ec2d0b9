import type { View } from '../../compiler/plan.ts';
import { literal } from './expressions.ts';
import { type Context, type Emitter, Views } from './shader.ts';

/** After which a matrix is taken as it is: several times what has ever been seen to be needed. */
const MOST_SWEEPS = 30;
/** Off the diagonal of a matrix whose largest element is 1 to 2, less than this counts as 0. */
const NEGLIGIBLE = 2 ** -30;
/** Components of a vector whose magnitudes differ by less count as equal, and are made so: which one decides the sign is not left to rounding. */
const ALIKE = 2 ** -18;

/**
 * The cyclic Jacobi method, a workgroup for each matrix: A ← JᵀAJ takes an off-diagonal element to zero. The rows and columns of disjoint pairs
 * are rotated at once; a round-robin tournament, in which one index stays and the others move on around a circle, brings each pair together once
 * a sweep. (Golub & Van Loan, Matrix Computations, §8.5)
 * Diagonal elements get what the rotation adds to them, so that errors of the sines and cosines do not add up there; vectors are made of unit length
 * at the end, for the same reason.
 */
export const eigh: Emitter<'eigh'> = ({ inputs: [from], outputs: [to] }, context) => {
  const [batch = 0, , size = 0] = to!.shape;
  const threads = size <= 32 ? 64 : Math.min(size <= 64 ? 256 : 1024, context.gpu.threads);
  // One without a partner gets one that is zero.
  const even = size + (size % 2);
  const pairs = even / 2;
  const matrices = squares(batch, even, 8 * even, context);
  const views = new Views(context, [from!], matrices.flatMap(({ view }) => view ?? []).concat(to!));
  const [matrix, vectors] = matrices.map(({ name, view }) => (row: string, column: string) => {
    if (view === null) return `${name}[(${row}) * ${even} + ${column}]`;
    return views.load(view, ['group', `(${row})`, column]);
  }) as [Element, Element];
  const inStorage = matrices.some(({ view }) => view !== null);
  const each = (count: string | number, statements: string) => `for (var e = thread; e < ${count}; e += ${threads}) {\n${statements}\n}`;
  const result = (row: string, column: string, value: string) => views.store(to!, ['group', row, column], value);
  const barrier = `${inStorage ? 'storageBarrier();\n' : ''}workgroupBarrier();`;
  const body = `if (thread == 0) {
  atomicStore(&largestBits, 0u);
  atomicStore(&rotations, 0);
}
workgroupBarrier();
${each(
  size * size,
  `let row = e / ${size};
let column = e % ${size};
if (column <= row) { atomicMax(&largestBits, bitcast<u32>(${views.load(from!, ['group', 'row', 'column'])}) & 0x7fffffffu); }`,
)}
workgroupBarrier();
if (thread == 0) { magnitude = atomicLoad(&largestBits); }
// Of what is not finite, the bits are beyond those of all numbers.
let bits = workgroupUniformLoad(&magnitude);
if (bits >= 0x7f800000u) {
${each((size + 1) * size, result(`(e / ${size})`, `(e % ${size})`, literal(Number.NaN, 'f32')))}
  return;
}
// By a power of two, in two factors, neither of which is too large or small.
let exponent = i32(bits >> 23u) - 127;
let scale = vec2f(powerOfTwo(exponent / 2), powerOfTwo(exponent - exponent / 2));
let unscale = vec2f(powerOfTwo(-(exponent / 2)), powerOfTwo(exponent / 2 - exponent));
${each(
  even * even,
  `let row = e / ${even};
let column = e % ${even};
var value = 0.0;
if (max(row, column) < ${size}) { value = ${views.load(from!, ['group', 'max(row, column)', 'min(row, column)'])}; }
${matrix('row', 'column')} = value * unscale.x * unscale.y;
${vectors('row', 'column')} = select(0.0, 1.0, row == column);`,
)}
${barrier}
for (var sweep = 0; sweep < ${MOST_SWEEPS}; sweep++) {
for (var round = 0; round < ${even - 1}; round++) {
${each(
  pairs,
  `let p = firstOf(e, round);
let q = secondOf(e, round);
let off = ${matrix('p', 'q')};
sines[e] = 0.0;
cosines[e] = 1.0;
if (abs(off) > ${literal(NEGLIGIBLE, 'f32')}) {
  atomicStore(&rotations, 1);
  let tau = (${matrix('q', 'q')} - ${matrix('p', 'p')}) / (2.0 * off);
  // The smaller root of t² + 2τt − 1 = 0 is the rotation's tangent.
  let tangent = select(1.0, -1.0, tau < 0.0) / (abs(tau) + sqrt(1.0 + tau * tau));
  cosines[e] = 1.0 / sqrt(1.0 + tangent * tangent);
  sines[e] = tangent * cosines[e];
  ${matrix('p', 'p')} -= tangent * off;
  ${matrix('q', 'q')} += tangent * off;
  ${matrix('p', 'q')} = 0.0;
  ${matrix('q', 'p')} = 0.0;
}`,
)}
workgroupBarrier();
${each(
  pairs * pairs,
  `let i = e / ${pairs};
let j = e % ${pairs};
if (i == j || (sines[i] == 0.0 && sines[j] == 0.0)) { continue; }
let p = firstOf(i, round);
let q = secondOf(i, round);
let r = firstOf(j, round);
let s = secondOf(j, round);
let upper = rotated(vec2f(${matrix('p', 'r')}, ${matrix('p', 's')}), j);
let lower = rotated(vec2f(${matrix('q', 'r')}, ${matrix('q', 's')}), j);
let left = rotated(vec2f(upper.x, lower.x), i);
let right = rotated(vec2f(upper.y, lower.y), i);
${matrix('p', 'r')} = left.x;
${matrix('q', 'r')} = left.y;
${matrix('p', 's')} = right.x;
${matrix('q', 's')} = right.y;`,
)}
${each(
  pairs * size,
  `let i = e / ${size};
let k = e % ${size};
if (sines[i] == 0.0) { continue; }
let p = firstOf(i, round);
let q = secondOf(i, round);
let pair = rotated(vec2f(${vectors('p', 'k')}, ${vectors('q', 'k')}), i);
${vectors('p', 'k')} = pair.x;
${vectors('q', 'k')} = pair.y;`,
)}
${barrier}
}
if (thread == 0) {
  rotatedOnce = atomicLoad(&rotations);
  atomicStore(&rotations, 0);
}
if (workgroupUniformLoad(&rotatedOnce) == 0) { break; }
}
${each(
  size,
  `let value = ${matrix('e', 'e')};
var rank = 0;
var largest = 0.0;
var squares = 0.0;
for (var k = 0; k < ${size}; k++) {
  let other = ${matrix('k', 'k')};
  if (other < value || (other == value && k < e)) { rank++; }
  let component = ${vectors('e', 'k')};
  largest = max(largest, abs(component));
  squares += component * component;
}
${result('0', 'rank', 'value * scale.x * scale.y')}
// The first of the largest.
var signed = sqrt(squares);
for (var k = 0; k < ${size}; k++) {
  let component = ${vectors('e', 'k')};
  if (abs(component) < largest * ${literal(1 - ALIKE, 'f32')}) { continue; }
  if (component < 0.0) { signed = -signed; }
  break;
}
for (var k = 0; k < ${size}; k++) {
  var component = ${vectors('e', 'k')};
  if (abs(component) >= largest * ${literal(1 - ALIKE, 'f32')}) { component = select(largest, -largest, component < 0.0); }
  ${result('(k + 1)', 'rank', 'component / signed')}
}`,
)}`;
  const declarations = {
    ...Object.fromEntries(
      matrices.flatMap(({ name, view }) => (view ? [] : [[name, `var<workgroup> ${name}: array<f32, ${even * even}>;`]])),
    ),
    sines: `var<workgroup> sines: array<f32, ${pairs}>;`,
    cosines: `var<workgroup> cosines: array<f32, ${pairs}>;`,
    rotations: 'var<workgroup> rotations: atomic<i32>;',
    rotatedOnce: 'var<workgroup> rotatedOnce: i32;',
    largestBits: 'var<workgroup> largestBits: atomic<u32>;',
    magnitude: 'var<workgroup> magnitude: u32;',
    powerOfTwo: 'fn powerOfTwo(exponent: i32) -> f32 { return bitcast<f32>((exponent + 127) << 23u); }',
    firstOf: `fn firstOf(pair: i32, round: i32) -> i32 { return select((round + pair) % ${even - 1}, ${even - 1}, pair == 0); }`,
    secondOf: `fn secondOf(pair: i32, round: i32) -> i32 { return (round + ${even - 1} - pair) % ${even - 1}; }`,
    rotated: `fn rotated(pair: vec2f, by: i32) -> vec2f {
  return vec2f(cosines[by] * pair.x - sines[by] * pair.y, sines[by] * pair.x + cosines[by] * pair.y);
}`,
  };
  const workgroupBytes = 8 * pairs + 16 + 4 * even * even * matrices.filter(({ view }) => view === null).length;
  return [views.shader({ name: 'eigh', threads, workgroupBytes, groups: batch, declarations, body })];
};

type Element = (row: string, column: string) => string;

/** Where the matrix and its vectors are while they are rotated: in workgroup memory, as far as it reaches, or in buffers of their own. */
function squares(batch: number, side: number, taken: number, context: Context): { name: string; view: View | null }[] {
  let room = context.gpu.workgroupBytes - taken - 16;
  return ['matrix', 'vectors'].map((name) => {
    room -= 4 * side * side;
    return { name, view: room >= 0 ? null : context.temporary('f32', [batch, side, side]) };
  });
}
