import { laneOf } from '../../compiler/lanes.ts';
import type { View } from '../../compiler/plan.ts';
import { sizeOf } from '../../shape.ts';
import { sorted, sortKey } from './argsort.ts';
import { folds, teamFold, teamsOf } from './fold.ts';
import { entry } from './gather.ts';
import { coordinateStatements } from './indices.ts';
import { bisect, type Context, type Emitter, powerOf2, type Shader, THREADS, Views } from './shader.ts';

/** How many indices each output looks through one by one, rather than having them sorted: any number of outputs a few, and a few outputs more. */
const FEW = 8;
const MORE = 64;
const LOOKS = 2 ** 22;
/** How many updates of an output, on average, one thread adds alone. */
const RUN = 32;

/**
 * A few indices are looked through by a thread for each output. More are sorted first, so that the updates of one output lie next to each other, in
 * ascending order. Where an output has many, on average, it finds its own. Where it has few, or none, the first of them does the work for all.
 */
export const scatterAdd: Emitter<'scatterAdd'> = ({ inputs: [index, updates], outputs: [out] }, context) => {
  const count = index!.shape[1]!;
  if (count <= FEW || (count <= MORE && sizeOf(out!.shape) * count <= LOOKS)) return [scanned(index!, updates!, out!, context)];
  const { columns, order, stages } = ordered(index!, out!, context);
  const many = count > RUN * out!.shape[1]!;
  return [...stages, ...(many ? [summed] : [zeroed, added]).map((stage) => stage(columns, order, updates!, out!, context))];
};

/** [A, M, B] as [A, B, M], without the axes along which it is the same. */
function columnsOf({ shape: [a = 1, m = 1, b = 1], strides: [alongA = 0, alongM = 0, alongB = 0], ...rest }: View): View {
  return { ...rest, shape: [alongA === 0 ? 1 : a, alongB === 0 ? 1 : b, m], strides: [alongA, alongB, alongM] };
}

/** Indices as columns, and the order that sorts each by the entries of `out` that they mean: equal ones stay as they are. */
export function ordered(index: View, out: View, context: Context): { columns: View; order: View; stages: Shader[] } {
  const columns = columnsOf(index);
  const order = context.temporary('i32', columns.shape);
  return { columns, order, stages: sorted(columns, order, sortKey('i32', false, entry('value', out.shape[1]!)), context) };
}

export const entryOf = (out: View): Shader['declarations'] => ({
  entryOf: `fn entryOf(index: i32) -> i32 { return ${entry('index', out.shape[1]!)}; }`,
});

const zeroOf = ({ dtype }: View): string => folds.sum(laneOf(dtype)).neutral;

function scanned(index: View, updates: View, out: View, context: Context): Shader {
  const views = new Views(context, [index, updates], [out]);
  const here = ['a', 'm', 'b'];
  const body = `var total = ${zeroOf(out)};
for (var m = 0; m < ${index.shape[1]}; m++) {
  if (entryOf(${views.load(index, here)}) == n) { total += ${views.load(updates, here)}; }
}
${views.store(out, ['a', 'n', 'b'], 'total')}`;
  return views.forEach(out.shape, ['a', 'n', 'b'], { name: 'scatterAdd', declarations: entryOf(out), body });
}

type SumStage = (columns: View, order: View, updates: View, out: View, context: Context) => Shader;

const zeroed: SumStage = (_columns, _order, _updates, out, context) => {
  const views = new Views(context, [], [out]);
  const here = ['a', 'n', 'b'];
  return views.forEach(out.shape, here, { name: 'zeroed', body: views.store(out, here, zeroOf(out)) });
};

/** A thread for each update: in sorted order, the first of those that go to one place adds them all. */
const added: SumStage = (columns, order, updates, out, context) => {
  const [, positions] = out.shape;
  const [, count] = updates.shape;
  const views = new Views(context, [columns, order, updates], [out]);
  const update = (j: string) => views.load(order, ['a', 'b', j]);
  const target = (m: string) => `entryOf(${views.load(columns, ['a', 'b', m])})`;
  const body = `var m = ${update('first')};
let n = ${target('m')};
if (n < 0 || n >= ${positions}) { return; }
if (first > 0) {
  let before = ${update('(first - 1)')};
  if (${target('before')} == n) { return; }
}
var total = ${zeroOf(out)};
var j = first;
loop {
  total += ${views.load(updates, ['a', 'm', 'b'])};
  j++;
  if (j == ${count}) { break; }
  m = ${update('j')};
  if (${target('m')} != n) { break; }
}
${views.store(out, ['a', 'n', 'b'], 'total')}`;
  return views.forEach(updates.shape, ['a', 'first', 'b'], { name: 'added', declarations: entryOf(out), body });
};

/** Each output has a team of threads that take turns with its updates; then the team's halves merge, always in the same order. */
const summed: SumStage = (columns, order, updates, out, context) => {
  const size = sizeOf(out.shape);
  const count = columns.shape[2]!;
  const team = Math.min(THREADS, powerOf2(count / out.shape[1]! / RUN));
  const teams = teamsOf(team, false);
  const { statements, ...merging } = teamFold(folds.sum(laneOf(out.dtype)), teams);
  const views = new Views(context, [columns, order, updates], [out]);
  const update = (j: string) => views.load(order, ['a', 'b', j]);
  const body = `let member = ${teams.member};
let i = group * ${teams.count} + ${teams.own};
${coordinateStatements('i', out.shape, ['a', 'n', 'b'])}
var total = ${zeroOf(out)};
if (i < ${size}) {
  let end = findFirst(n + 1, a, b);
  for (var j = findFirst(n, a, b) + member; j < end; j += ${team}) {
    let m = ${update('j')};
    total += ${views.load(updates, ['a', 'm', 'b'])};
  }
}
${statements}
if (member == 0 && i < ${size}) {
${views.store(out, ['a', 'n', 'b'], 'total')}
}`;
  const declarations = {
    ...entryOf(out),
    findFirst: `fn findFirst(n: i32, a: i32, b: i32) -> i32 {
  var low = 0;
  var high = ${count};
${bisect(`let m = ${update('middle')};`, `entryOf(${views.load(columns, ['a', 'b', 'm'])}) < n`)}
  return low;
}`,
    ...merging.declarations,
  };
  return views.shader({ ...merging, name: 'summed', groups: Math.ceil(size / teams.count), declarations, body });
};
