import { laneOf } from '../../compiler/lanes.ts';
import type { View } from '../../compiler/plan.ts';
import { type Fold, runningFolds, statesBetween, teamsOf } from './fold.ts';
import { nearest } from './indices.ts';
import { type Context, type Emitter, powerOf2, type Shader, THREADS, Views, workgroupMemory } from './shader.ts';

/** Neighbouring elements that a thread takes one after the other. */
const RUN = 8;
/** Lines side by side in memory that a workgroup has at once, so that its threads read neighbours together. */
const SIDE_BY_SIDE = 8;

/** What is scanned, or made: views of one shape [A, N, B], and how a state is made of their elements, or gives them. */
interface Source {
  readonly views: readonly View[];
  readonly state: (elements: readonly string[]) => string;
}
interface Target {
  readonly views: readonly View[];
  readonly elements: (state: string) => readonly string[];
}

export const scan: Emitter<'scan'> = ({ fn, inputs: [x], outputs: [out] }, context) => {
  const fold = runningFolds[fn](laneOf(x!.dtype));
  const source: Source = { views: [x!], state: (values) => fold.lift(values, 'i') };
  return scanned(fold, source, { views: [out!], elements: fold.results }, context);
};

/**
 * A line has a team of threads of a workgroup, or is cut into chunks that have one each. What chunks come to is scanned as any line is. So the same bits come out
 * each time, and errors grow with the logarithm of a line's length.
 *
 *     a line                 │  run 0  │  run 1  │  run 2  │  run 3  │    one of each thread
 *     totals                 │    0    │    1    │    2    │    3    │    of each run
 *       after distance 1     │    0    │   0–1   │   1–2   │   2–3   │
 *       after distance 2     │    0    │   0–1   │   0–2   │   0–3   │    of all runs so far
 *     the result             each run again, from the total of all runs before it
 */
function scanned(fold: Fold, source: Source, target: Target, context: Context): Shader[] {
  const [a = 1, n = 1, b = 1] = source.views[0]!.shape;
  const lines = a * b;
  const sideBySide = nearest(source.views[0]!, [0, 2]) < nearest(source.views[0]!, [1]);
  const neighbours = sideBySide ? Math.min(SIDE_BY_SIDE, powerOf2(lines)) : 1;
  const teams = teamsOf(Math.min(THREADS / neighbours, powerOf2(Math.ceil(n / RUN))), sideBySide);
  const alone = teams.size === 1;
  const chunks = Math.ceil(n / (teams.size * RUN));
  const load = (views: Views, { views: from, state }: Source, at: string): string =>
    state(from.map((view) => views.load(view, ['a', at, 'b'])));
  const store = (views: Views, { views: to, elements }: Target, at: string): string =>
    elements('total')
      .map((value, k) => views.store(to[k]!, ['a', at, 'b'], value))
      .join('\n');
  const add = (views: Views): string => `total = ${fold.merge('total', load(views, source, 'i'))};`;

  const scannedTotals = (views: Views): string => `if (line < ${lines}) {
for (var i = first; i < end; i++) { ${add(views)} }
}
totals[thread] = total;
workgroupBarrier();
for (var distance = 1; distance < ${teams.size}; distance *= 2) {
if (member >= distance) { total = ${fold.merge(`totals[thread - distance * ${teams.step}]`, 'total')}; }
workgroupBarrier();
totals[thread] = total;
workgroupBarrier();
}`;
  const walk = (views: Views, carry: string): string => `total = ${fold.neutral};
${alone ? '' : `if (member > 0) { total = totals[thread - ${teams.step}]; }`}
${carry}
for (var i = first; i < end; i++) {
${add(views)}
${store(views, target, 'i')}
}`;
  const memory = workgroupMemory(alone ? {} : { totals: [fold.type, THREADS, 4 * fold.fields.length] });
  /** Does what `finish` says of a line that there is, with `totals`, and with that of this thread as `total`. */
  const shader = (name: string, views: Views, finish: string): Shader =>
    views.shader({
      name,
      groups: Math.ceil(lines / teams.count) * chunks,
      workgroupBytes: memory.workgroupBytes,
      declarations: { ...fold.declarations, ...memory.declarations },
      body: `let member = ${teams.member};
let chunk = group % ${chunks};
let line = group / ${chunks} * ${teams.count} + ${teams.own};
let a = line / ${b};
let b = line % ${b};
let first = (chunk * ${teams.size} + member) * ${RUN};
let end = min(first + ${RUN}, ${n});
var total = ${fold.neutral};
${alone ? '' : scannedTotals(views)}
if (line < ${lines}) {
${finish}
}`,
    });
  if (chunks === 1) {
    const views = new Views(context, source.views, target.views);
    return [shader('scan', views, walk(views, ''))];
  }
  const between = (): Source & Target => ({
    views: statesBetween(fold, [a, chunks, b], context),
    state: fold.compose,
    elements: (state) => fold.fields.map(({ path }) => `${state}${path}`),
  });
  const [totals, upTo] = [between(), between()];
  const first = new Views(context, source.views, totals.views);
  const last = new Views(context, [...source.views, ...upTo.views], target.views);
  const carry = `if (chunk > 0) { total = ${fold.merge(load(last, upTo, '(chunk - 1)'), 'total')}; }`;
  return [
    shader('scanTotals', first, `if (member == ${teams.size - 1}) {\n${store(first, totals, 'chunk')}\n}`),
    ...scanned(fold, totals, upTo, context),
    shader('scan', last, walk(last, carry)),
  ];
}
