import type { View } from '../../compiler/plan.ts';
import type { DType } from '../../dtype.ts';
import { sizeOf } from '../../shape.ts';
import { type Context, coordinateStatements, type Emitter, placeOf, type Shader, THREADS, Views } from './shader.ts';

/** How many sorted runs are merged into one at a time. */
const WAYS = 4;
/** The longest run that is sorted in workgroup memory, in elements; each takes 16 bytes there. */
const LONGEST = 1024;
const BYTES = 16;

export const argsort: Emitter<'argsort'> = ({ descending, inputs: [from], outputs: [to] }, context) =>
  sorted(from!, to!, sortKey(from!.dtype, descending), context);

/**
 * The stages of a stable merge sort along the last axis of `from`, which leave positions in `to`, an i32 view of its shape. An element's place in
 * a merged run is its place in its own, and how many elements of the others come before it: each thread searches them for that. So runs are merged
 * in workgroup memory, several rows at once where they are short, until they are too long for it, and then from buffer to buffer.
 * The key is the function {@link sortKey} writes.
 */
export function sorted(from: View, to: View, key: string, context: Context): Shader[] {
  const length = to.shape.at(-1)!;
  const longest = Math.min(LONGEST, 2 ** Math.floor(Math.log2(context.gpu.workgroupBytes / BYTES)));
  const temporary = (): View => context.temporary('i32', to.shape);
  const done: Runs = { keys: null, positions: to };
  let runs: Runs = length <= longest ? done : { keys: temporary(), positions: temporary() };
  const stages = [sortedRuns(from, runs, key, longest, context)];
  for (let run = longest; run < length; run *= WAYS) {
    const merged = run * WAYS >= length ? done : { keys: temporary(), positions: temporary() };
    stages.push(mergedRuns(runs, merged, run, context));
    runs = merged;
  }
  return stages;
}

/** What a stage leaves: sorted runs of rows, as keys (while they are needed) and the positions that these had. */
interface Runs {
  readonly keys: View | null;
  readonly positions: View;
}

const coordinates = ({ shape }: View): string[] => shape.map((_, axis) => (axis === shape.length - 1 ? 'i' : `row${axis}`));

/** Names the coordinates of row `row` of a view. */
const rowStatements = (view: View): string => coordinateStatements('row', view.shape.slice(0, -1), coordinates(view).slice(0, -1));

function storeStatements({ keys, positions }: Runs, views: Views, key: string, position: string): string {
  const place = placeOf(positions, coordinates(positions));
  return [...(keys ? [views.store(keys, place, `bitcast<i32>(${key})`)] : []), views.store(positions, place, position)].join('\n');
}

/** Finds out, as `place`, where the element at `i` of `length` with this key comes when runs of `run` elements are merged. */
function placeStatement(run: string, length: string, keyAt: (place: string) => string): string {
  return `let own = i / ${run};
let first = own - own % ${WAYS};
var place = first * ${run} + i % ${run};
for (var other = first; other < first + ${WAYS}; other++) {
  if (other == own) { continue; }
  var low = min(other * ${run}, ${length});
  var high = min(low + ${run}, ${length});
  place -= low;
  while (low < high) {
    let middle = (low + high) / 2;
    let there = ${keyAt('middle')};
    // Of equals, those of earlier runs come first.
    if (there < key || (there == key && other < own)) { low = middle + 1; } else { high = middle; }
  }
  place += low;
}`;
}

/** Sorts whole rows, or pieces of one, in workgroup memory. */
function sortedRuns(from: View, to: Runs, key: string, longest: number, context: Context): Shader {
  const shape = to.positions.shape;
  const length = shape.at(-1)!;
  const rows = sizeOf(shape) / length;
  const wanted = Math.min(length, longest);
  const threads = wanted <= THREADS ? THREADS : Math.min(256, context.gpu.threads);
  // As few elements for each thread as do.
  const capacity = Math.max(threads, Math.min(longest, 2 ** Math.ceil(Math.log2(wanted))));
  const pieces = Math.ceil(length / capacity);
  const rowsTogether = pieces > 1 ? 1 : Math.floor(capacity / length);
  const views = new Views(context, [from], [...(to.keys ? [to.keys] : []), to.positions]);
  const each = (statements: string) => `for (var e = thread; e < count; e += ${threads}) {\n${statements}\n}`;
  const body = `let piece = group % ${pieces} * ${capacity};
let firstRow = group / ${pieces} * ${rowsTogether};
let length = min(${length} - piece, ${capacity});
let count = min(${rows} - firstRow, ${rowsTogether}) * length;
${each(`let row = firstRow + e / length;
let i = piece + e % length;
${rowStatements(from)}
sortKeys[e] = sortKey(${views.load(from, coordinates(from))});
sortPositions[e] = i;`)}
workgroupBarrier();
var now = 0;
for (var run = 1; run < ${Math.min(length, capacity)}; run *= ${WAYS}) {
${each(`let i = e % length;
let start = e - i;
let key = sortKeys[now + e];
${placeStatement('run', 'length', (place) => `sortKeys[now + start + ${place}]`)}
sortKeys[${capacity} - now + start + place] = key;
sortPositions[${capacity} - now + start + place] = sortPositions[now + e];`)}
now = ${capacity} - now;
workgroupBarrier();
}
${each(`let row = firstRow + e / length;
let i = piece + e % length;
${rowStatements(to.positions)}
${storeStatements(to, views, 'sortKeys[now + e]', 'sortPositions[now + e]')}`)}`;
  const declarations = {
    sortKey: key,
    sortKeys: `var<workgroup> sortKeys: array<u32, ${2 * capacity}>;`,
    sortPositions: `var<workgroup> sortPositions: array<i32, ${2 * capacity}>;`,
  };
  const groups = Math.ceil(rows / rowsTogether) * pieces;
  return views.shader({ name: 'sortedRuns', threads, workgroupBytes: capacity * BYTES, groups, declarations, body });
}

/** A thread for each element. */
function mergedRuns(from: Runs, to: Runs, run: number, context: Context): Shader {
  const shape = to.positions.shape;
  const size = sizeOf(shape);
  const length = shape.at(-1)!;
  const views = new Views(context, [from.keys!, from.positions], [...(to.keys ? [to.keys] : []), to.positions]);
  const keyAt = (place: string) => `bitcast<u32>(${views.load(from.keys!, place)})`;
  const body = `let e = group * ${THREADS} + thread;
if (e >= ${size}) { return; }
let row = e / ${length};
let start = row * ${length};
let key = ${keyAt('e')};
let position = ${views.load(from.positions, 'e')};
var i = e - start;
${placeStatement(`${run}`, `${length}`, (place) => keyAt(`start + ${place}`))}
i = place;
${rowStatements(to.positions)}
${storeStatements(to, views, 'key', 'position')}`;
  return views.shader({ name: 'mergedRuns', groups: Math.ceil(size / THREADS), body });
}

/**
 * The function that makes of an element an unsigned number in its order, by its bits: NaN is one and the largest, −0 is 0. Backwards if
 * `descending`. Of integers, `entry` is the expression of `value` that is ordered.
 */
export function sortKey(dtype: DType, descending: boolean, entry = 'value'): string {
  const result = (key: string) => `return ${descending ? `~(${key})` : key};`;
  if (dtype !== 'f32') return `fn sortKey(value: i32) -> u32 { ${result(`bitcast<u32>(${entry}) ^ 0x80000000u`)} }`;
  return `fn sortKey(value: f32) -> u32 {
  var key = bitcast<u32>(value);
  if (isNan(value)) { key = 0xffffffffu; }
  else if ((key << 1u) == 0u) { key = 0x80000000u; }
  else { key = select(key | 0x80000000u, ~key, (key >> 31u) == 1u); }
  ${result('key')}
}`;
}
