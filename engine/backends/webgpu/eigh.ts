import { literal, NAN } from './expressions.ts';
import { constants, type Emitter, inTurns, Views, workgroupMemory } from './shader.ts';

/** After which a matrix is taken as it is: several times what has ever been seen to be needed. */
const MOST_SWEEPS = 30;
/** Off the diagonal of a matrix whose largest element is 1 to 2, less than this counts as 0. */
const NEGLIGIBLE = 2 ** -30;
/** Components of a vector whose magnitudes differ by less count as equal, and are made so: which one decides the sign is not left to rounding. */
const ALIKE = 2 ** -18;

/**
 * The cyclic Jacobi method, a workgroup for each matrix. (Golub & Van Loan, Matrix Computations, §8.5)
 *
 *     A ← the matrix, by a power of two 1 to 2 large; V ← 1
 *     until a sweep rotates nothing
 *       for each round of a tournament, in which all indices meet in pairs
 *         for each pair             the rotation J that takes A[p, q] to 0
 *         for each two pairs        A ← JᵀAJ, where the rows of the one meet the columns of the other
 *         for each pair             V ← JᵀV: its rows become the vectors
 *     values in their order, vectors of unit length and signed
 */
export const eigh: Emitter<'eigh'> = ({ inputs: [from], outputs: [to] }, context) => {
  const [batch = 0, , size = 0] = to!.shape;
  const threads = size <= 32 ? 64 : Math.min(size <= 64 ? 256 : 1024, context.gpu.threads);
  // One without a partner gets one that is zero.
  const side = size + (size % 2);
  const pairs = side / 2;
  const shared = {
    sines: ['f32', pairs],
    cosines: ['f32', pairs],
    largest: ['atomic<u32>'],
    agreed: ['u32'],
  } as const;
  // While they are rotated, the matrix and its vectors are in workgroup memory, as far as it reaches, or in buffers of their own.
  const squares = ['matrix', 'vectors'] as const;
  const near = Math.floor((context.gpu.workgroupBytes - workgroupMemory(shared).workgroupBytes) / (4 * side ** 2));
  const far = new Map(squares.slice(near).map((name) => [name, context.temporary('f32', [batch, side, side])]));
  const memory = workgroupMemory({ ...Object.fromEntries(squares.slice(0, near).map((name) => [name, ['f32', side ** 2]])), ...shared });
  const views = new Views(context, [from!], [...far.values(), to!]);
  const elementOf =
    (name: (typeof squares)[number]): Element =>
    (row, column) =>
      far.has(name) ? views.load(far.get(name)!, ['group', row, column]) : `${name}[${row} * side + ${column}]`;
  const [matrix, vectors] = [elementOf('matrix'), elementOf('vectors')];
  const given: Element = (row, column) => views.load(from!, ['group', row, column]);
  const store: Store = (row, column, value) => views.store(to!, ['group', row, column], value);
  const each: Each = (count, statements) => inTurns(count, threads, statements);
  const barrier = far.size > 0 ? 'storageBarrier();\nworkgroupBarrier();' : 'workgroupBarrier();';
  const declarations = { ...constants({ size, side, pairs }), ...memory.declarations, ...functions };
  // Of what is not finite, the bits are beyond those of all numbers.
  const body = `${measure(each, given)}
let bits = agreement(thread);
if (bits >= 0x7f800000u) {
${each('(size + 1) * size', store('(e / size)', '(e % size)', NAN))}
return;
}
let exponent = i32(bits >> 23u) - 127;
${start(each, given, matrix, vectors)}
${barrier}
for (var sweep = 0; sweep < ${MOST_SWEEPS}; sweep++) {
for (var round = 0; round < side - 1; round++) {
${chooseRotations(each, matrix)}
workgroupBarrier();
${rotateMatrix(each, matrix)}
${rotateVectors(each, vectors)}
${barrier}
}
if (agreement(thread) == 0u) { break; }
}
${finish(each, matrix, vectors, store)}`;
  return [views.shader({ ...memory, name: 'eigh', threads, groups: batch, declarations, body })];
};

/** Statements about each `e` below a count: the threads take turns. */
type Each = (count: string, statements: string) => string;
type Element = (row: string, column: string) => string;
type Store = (row: string, column: string, value: string) => string;

const functions = {
  // The largest number that a thread has given since the last time.
  agreement: `fn agreement(thread: i32) -> u32 {
  if (thread == 0) { agreed = atomicExchange(&largest, 0u); }
  return workgroupUniformLoad(&agreed);
}`,
  // The tournament: the last index stays, the others move on around a circle.
  firstOf: 'fn firstOf(pair: i32, round: i32) -> i32 { return select((round + pair) % (side - 1), side - 1, pair == 0); }',
  secondOf: 'fn secondOf(pair: i32, round: i32) -> i32 { return (round + side - 1 - pair) % (side - 1); }',
  rotated: `fn rotated(two: vec2f, by: i32) -> vec2f {
  return vec2f(cosines[by] * two.x - sines[by] * two.y, sines[by] * two.x + cosines[by] * two.y);
}`,
};

const measure = (each: Each, given: Element): string => `if (thread == 0) { atomicStore(&largest, 0u); }
workgroupBarrier();
${each(
  'size * size',
  `let row = e / size;
let column = e % size;
if (column <= row) { atomicMax(&largest, bitcast<u32>(${given('row', 'column')}) & 0x7fffffffu); }`,
)}
workgroupBarrier();`;

const start = (each: Each, given: Element, matrix: Element, vectors: Element): string =>
  each(
    'side * side',
    `let row = e / side;
let column = e % side;
var value = 0.0;
if (max(row, column) < size) { value = ${given('max(row, column)', 'min(row, column)')}; }
${matrix('row', 'column')} = timesPowerOf2(value, -exponent);
${vectors('row', 'column')} = select(0.0, 1.0, row == column);`,
  );

/**
 * The tangent is the smaller root of t² + 2τt − 1 = 0. Diagonal elements get what the rotation adds to them, so that errors of the sines and cosines do not
 * add up there.
 */
const chooseRotations = (each: Each, matrix: Element): string =>
  each(
    'pairs',
    `let p = firstOf(e, round);
let q = secondOf(e, round);
let off = ${matrix('p', 'q')};
sines[e] = 0.0;
cosines[e] = 1.0;
if (abs(off) > ${literal(NEGLIGIBLE, 'f32')}) {
  atomicStore(&largest, 1u);
  let tau = (${matrix('q', 'q')} - ${matrix('p', 'p')}) / (2.0 * off);
  let tangent = select(1.0, -1.0, tau < 0.0) / (abs(tau) + sqrt(1.0 + tau * tau));
  cosines[e] = 1.0 / sqrt(1.0 + tangent * tangent);
  sines[e] = tangent * cosines[e];
  ${matrix('p', 'p')} -= tangent * off;
  ${matrix('q', 'q')} += tangent * off;
  ${matrix('p', 'q')} = 0.0;
  ${matrix('q', 'p')} = 0.0;
}`,
  );

const rotateMatrix = (each: Each, matrix: Element): string =>
  each(
    'pairs * pairs',
    `let i = e / pairs;
let j = e % pairs;
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
  );

const rotateVectors = (each: Each, vectors: Element): string =>
  each(
    'pairs * size',
    `let i = e / size;
let k = e % size;
if (sines[i] == 0.0) { continue; }
let p = firstOf(i, round);
let q = secondOf(i, round);
let two = rotated(vec2f(${vectors('p', 'k')}, ${vectors('q', 'k')}), i);
${vectors('p', 'k')} = two.x;
${vectors('q', 'k')} = two.y;`,
  );

/** Vectors are made of unit length here, so that errors of the sines and cosines do not add up, and signed by the first of their largest components. */
const finish = (each: Each, matrix: Element, vectors: Element, store: Store): string =>
  each(
    'size',
    `let value = ${matrix('e', 'e')};
var rank = 0;
var most = 0.0;
var squares = 0.0;
for (var k = 0; k < size; k++) {
  let other = ${matrix('k', 'k')};
  if (other < value || (other == value && k < e)) { rank++; }
  let component = ${vectors('e', 'k')};
  most = max(most, abs(component));
  squares += component * component;
}
${store('0', 'rank', 'timesPowerOf2(value, exponent)')}
let almost = most * ${literal(1 - ALIKE, 'f32')};
var signed = sqrt(squares);
for (var k = 0; k < size; k++) {
  let component = ${vectors('e', 'k')};
  if (abs(component) < almost) { continue; }
  if (component < 0.0) { signed = -signed; }
  break;
}
for (var k = 0; k < size; k++) {
  var component = ${vectors('e', 'k')};
  if (abs(component) >= almost) { component = select(most, -most, component < 0.0); }
  ${store('(k + 1)', 'rank', 'component / signed')}
}`,
  );
