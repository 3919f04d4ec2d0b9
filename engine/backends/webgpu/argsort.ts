import type { View } from '../../compiler/plan.ts';
import type { DType } from '../../dtype.ts';
import { sizeOf } from '../../shape.ts';
import { coordinatesOf } from './indices.ts';
import { bisect, type Context, type Emitter, inTurns, powerOf2, type Shader, THREADS, Views, workgroupMemory } from './shader.ts';

/** How many sorted runs are merged into one at a time. */
const WAYS = 4;
/** The longest run that is sorted in workgroup memory, in elements; each takes so many bytes there: key and position, before a merge and after it. */
const LONGEST = 1024;
const BYTES = 16;

export const argsort: Emitter<'argsort'> = ({ descending, inputs: [from], outputs: [to] }, context) =>
  sorted(from!, to!, sortKey(from!.dtype, descending), context);

/**
 * The stages of a stable merge sort along the last axis of `from`, which leave positions in `to`, an i32 view of its shape. The key is the function
 * {@link sortKey} writes. Elements find their places on their own: see {@link mergedPlace}.
 *
 *     runs of 1 → 4 → 16 → … → 1024     in workgroup memory, of several rows at once where they are short
 *       → 4096 → 16384 → …              from buffer to buffer, until a run is a row
 */
export function sorted(from: View, to: View, key: string, context: Context): Shader[] {
  const length = to.shape.at(-1)!;
  const longest = Math.min(LONGEST, 2 ** Math.floor(Math.log2(context.gpu.workgroupBytes / BYTES)));
  const temporary = (): View => context.temporary('i32', to.shape);
  const runsOf = (run: number): Runs => (run >= length ? { keys: null, positions: to } : { keys: temporary(), positions: temporary() });
  let runs = runsOf(longest);
  const stages = [sortedRuns(from, runs, key, longest, context)];
  for (let run = longest; run < length; run *= WAYS) {
    const merged = runsOf(run * WAYS);
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

const viewsOf = ({ keys, positions }: Runs): View[] => (keys ? [keys, positions] : [positions]);

/** The coordinates of element `i` of row `row`. */
const element = ({ shape }: View, i: string): string[] => [...coordinatesOf('row', shape.slice(0, -1)), i];

function storeStatements(runs: Runs, views: Views, i: string, key: string, position: string): string {
  const values = runs.keys ? [`bitcast<i32>(${key})`, position] : [position];
  return viewsOf(runs)
    .map((view, k) => views.store(view, element(view, i), values[k]!))
    .join('\n');
}

/**
 * A function that says where element `i` of a row, which has this key, comes when runs of `run` are merged: its place in its own run, and how many elements
 * of the others come before it; of equals, those of earlier runs. Keys of the row are from `start` on.
 */
const mergedPlace = (
  keyAt: (place: string) => string,
): string => `fn mergedPlace(i: i32, key: u32, start: i32, length: i32, run: i32) -> i32 {
  let own = i / run;
  let first = own - own % ${WAYS};
  var place = first * run + i % run;
  for (var other = first; other < first + ${WAYS}; other++) {
    if (other == own) { continue; }
    let begin = min(other * run, length);
    var low = begin;
    var high = min(begin + run, length);
    ${bisect(`let there = ${keyAt('start + middle')};`, 'there < key || (there == key && other < own)')}
    place += low - begin;
  }
  return place;
}`;

/** Sorts whole rows, or pieces of one, in workgroup memory: from one half of it to the other. */
function sortedRuns(from: View, to: Runs, key: string, longest: number, context: Context): Shader {
  const shape = to.positions.shape;
  const length = shape.at(-1)!;
  const rows = sizeOf(shape) / length;
  const wanted = Math.min(length, longest);
  const threads = wanted <= THREADS ? THREADS : Math.min(256, context.gpu.threads);
  // As few elements for each thread as do.
  const capacity = Math.max(threads, Math.min(longest, powerOf2(wanted)));
  const pieces = Math.ceil(length / capacity);
  const rowsTogether = pieces > 1 ? 1 : Math.floor(capacity / length);
  const views = new Views(context, [from], viewsOf(to));
  const memory = workgroupMemory({ sortKeys: ['u32', 2 * capacity], sortPositions: ['i32', 2 * capacity] });
  const load = `let row = firstRow + e / length;
let i = piece + e % length;
sortKeys[e] = sortKey(${views.load(from, element(from, 'i'))});
sortPositions[e] = i;`;
  const merge = `let i = e % length;
let start = e - i;
let key = sortKeys[now + e];
let place = start + mergedPlace(i, key, now + start, length, run);
sortKeys[next + place] = key;
sortPositions[next + place] = sortPositions[now + e];`;
  const store = `let row = firstRow + e / length;
let i = piece + e % length;
${storeStatements(to, views, 'i', 'sortKeys[now + e]', 'sortPositions[now + e]')}`;
  return views.shader({
    name: 'sortedRuns',
    threads,
    groups: Math.ceil(rows / rowsTogether) * pieces,
    workgroupBytes: memory.workgroupBytes,
    declarations: { sortKey: key, ...memory.declarations, mergedPlace: mergedPlace((place) => `sortKeys[${place}]`) },
    body: `let piece = group % ${pieces} * ${capacity};
let firstRow = group / ${pieces} * ${rowsTogether};
let length = min(${length} - piece, ${capacity});
let count = min(${rows} - firstRow, ${rowsTogether}) * length;
${inTurns('count', threads, load)}
workgroupBarrier();
var now = 0;
for (var run = 1; run < ${Math.min(length, capacity)}; run *= ${WAYS}) {
let next = ${capacity} - now;
${inTurns('count', threads, merge)}
now = next;
workgroupBarrier();
}
${inTurns('count', threads, store)}`,
  });
}

/** A thread for each element. */
function mergedRuns(from: Runs, to: Runs, run: number, context: Context): Shader {
  const shape = to.positions.shape;
  const length = shape.at(-1)!;
  const views = new Views(context, viewsOf(from), viewsOf(to));
  const keyAt = (place: string): string => `bitcast<u32>(${views.load(from.keys!, place)})`;
  return views.forEach([sizeOf(shape) / length, length], ['row', 'column'], {
    name: 'mergedRuns',
    declarations: { mergedPlace: mergedPlace(keyAt) },
    body: `let key = ${keyAt('i')};
let position = ${views.load(from.positions, 'i')};
let place = mergedPlace(column, key, i - column, ${length}, ${run});
${storeStatements(to, views, 'place', 'key', 'position')}`,
  });
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
