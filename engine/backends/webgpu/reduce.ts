import type { Lane } from '../../compiler/lanes.ts';
import type { Program, ReduceKernel, Reduction, View } from '../../compiler/plan.ts';
import { check } from '../../errors.ts';
import { show, sizeOf } from '../../shape.ts';
import { literal, programStatements, wgslType } from './expressions.ts';
import { BINDINGS, type Context, type Emitter, placeStatements, range, type Shader, THREADS, Views } from './shader.ts';

/** A fold as WGSL: the type of what is carried, its start, an element as such, the union of two, and the result. */
interface Fold {
  readonly type: string;
  readonly neutral: string;
  readonly lift: (value: string) => string;
  readonly merge: (a: string, b: string) => string;
  readonly result: (state: string) => string;
  /** The numbers that a state consists of, and a state made of these. */
  readonly fields: readonly { readonly path: string; readonly lane: 'f32' | 'i32' }[];
  readonly compose: (fields: readonly string[]) => string;
}

const same = (text: string) => text;

function arithmetic(lane: Lane, neutral: number, merge: Fold['merge']): Fold {
  const type = wgslType(lane);
  const fields = [{ path: '', lane: type }];
  return { type, neutral: literal(neutral, lane), lift: same, merge, result: same, fields, compose: ([value = '']) => value };
}

/** Carries the extremum with its position, −1 while there is none. */
function place(lane: Lane, merge: string): Fold {
  return {
    type: `Place_${lane}`,
    neutral: `Place_${lane}(0, -1)`,
    lift: (value) => `Place_${lane}(${value}, r)`,
    merge: (a, b) => `${merge}_${lane}(${a}, ${b})`,
    result: (state) => `max(${state}.at, 0)`,
    fields: [
      { path: '.value', lane: wgslType(lane) },
      { path: '.at', lane: 'i32' },
    ],
    compose: (fields) => `Place_${lane}(${fields.join(', ')})`,
  };
}

const foldOf: { readonly [R in Reduction]: (lane: Lane) => Fold } = {
  sum: (lane) => arithmetic(lane, 0, (a, b) => `${a} + ${b}`),
  prod: (lane) => arithmetic(lane, 1, (a, b) => `${a} * ${b}`),
  max: (lane) => arithmetic(lane, lane === 'i32' ? -2147483648 : -Infinity, (a, b) => `${lane === 'i32' ? 'max' : 'larger'}(${a}, ${b})`),
  min: (lane) => arithmetic(lane, lane === 'i32' ? 2147483647 : Infinity, (a, b) => `${lane === 'i32' ? 'min' : 'smaller'}(${a}, ${b})`),
  argmax: (lane) => place(lane, 'furthestUp'),
  argmin: (lane) => place(lane, 'furthestDown'),
};

/** The first NaN of two places, else the first extremum. */
function placeDeclarations(lane: Lane): Shader['declarations'] {
  const nan = (value: string) => (lane === 'i32' ? 'false' : `isNan(${value})`);
  const furthest = (name: string, operator: string) => `fn ${name}_${lane}(a: Place_${lane}, b: Place_${lane}) -> Place_${lane} {
  if (a.at < 0) { return b; }
  if (b.at < 0) { return a; }
  let tie = (${nan('a.value')} && ${nan('b.value')}) || a.value == b.value;
  if (tie) { if (b.at < a.at) { return b; } return a; }
  if (${nan('a.value')}) { return a; }
  if (${nan('b.value')} || b.value ${operator} a.value) { return b; }
  return a;
}`;
  return {
    [`Place_${lane}`]: `struct Place_${lane} { value: ${wgslType(lane)}, at: i32 }`,
    [`furthestUp_${lane}`]: furthest('furthestUp', '>'),
    [`furthestDown_${lane}`]: furthest('furthestDown', '<'),
  };
}

/** Elements that a thread folds one by one before they join its total, so that rounding errors of sums stay small. */
const RUN = 128;
/** Elements that are worth a thread. */
const LEAST = 16;
/** Threads that read a line of a GPU's cache together. */
const NEIGHBOURS = 8;
/** Outputs side by side in memory that a workgroup has at once. */
const SIDE_BY_SIDE = 32;

/**
 * Each output has a team of threads of a workgroup. A thread folds every so-many-th element, in runs; then the team's halves merge, always in the same order, so
 * the same bits come out each time. Where outputs are too few for a GPU, each is cut into parts, and a second stage folds these.
 */
export const reduce: Emitter<'reduce'> = (kernel, context) => {
  const { shape, reduced } = kernel;
  const kept = shape.length - reduced;
  return sizeOf(shape.slice(kept)) > context.gpu.mostFolded ? split(kernel, context) : folded(kernel, context);
};

/** An axis is cut into at most so many parts, whose folds are folded again. */
const MOST_PARTS = 2 ** 20;

/** A fold that is too long, as one of part of an axis at a time, and one of what these leave. */
function split(kernel: ReduceKernel, context: Context): Shader[] {
  const { shape, reduced, program, reductions, inputs } = kernel;
  const { mostFolded } = context.gpu;
  const kept = shape.length - reduced;
  const count = sizeOf(shape.slice(kept));
  const least = Math.ceil(count / mostFolded);
  let [axis, parts] = [kept, least];
  while (axis < shape.length && shape[axis]! % parts !== 0)
    if (++parts > Math.min(MOST_PARTS, shape[axis]!)) [axis, parts] = [axis + 1, least];
  check(
    axis < shape.length && !reductions.some((reduction) => reduction.startsWith('arg')),
    'backend',
    () =>
      `the webgpu backend folds at most ${mostFolded} elements at once, and ${reductions.join(', ')} over ${show(shape.slice(kept))} cannot be cut into such parts; fold one axis after the other, or use the wasm backend`,
  );
  // The parts are an axis that is kept.
  const cut = (sizes: readonly number[], outer: number, inner: number): number[] => [
    ...[...sizes.slice(0, kept), outer, ...sizes.slice(kept, axis)],
    ...[inner, ...sizes.slice(axis + 1)],
  ];
  const extent = shape[axis]! / parts;
  const shapeOfParts = cut(shape, parts, extent);
  const partial = [...shape.slice(0, kept), parts];
  const { lanes } = programStatements(program, inputs);
  const between = program.results.map((value) => context.temporary(wgslType(lanes[value]!), partial));
  const views = inputs.map((view) => ({
    ...view,
    shape: shapeOfParts,
    strides: cut(view.strides, view.strides[axis]! * extent, view.strides[axis]!),
  }));
  const whole: Program = { inputs: between.length, constants: [], instructions: [], registers: 0, results: range(between.length) };
  return [
    ...folded({ ...kernel, shape: shapeOfParts, inputs: views, outputs: between }, context),
    ...folded({ ...kernel, shape: partial, reduced: 1, program: whole, inputs: between }, context),
  ];
}

const folded: Emitter<'reduce'> = ({ shape, reduced, program, reductions, inputs, outputs }, context) => {
  const kept = shape.length - reduced;
  const outer = sizeOf(shape.slice(0, kept));
  const count = sizeOf(shape.slice(kept));
  const { statements, lanes } = programStatements(program, inputs);
  const laneOf = (k: number): Lane => lanes[program.results[k]!]!;
  const folds = reductions.map((reduction, k) => foldOf[reduction](laneOf(k)));
  const placed = new Set(reductions.flatMap((reduction, k) => (reduction.startsWith('arg') ? [laneOf(k)] : [])));
  const structures: Shader['declarations'] = Object.assign({}, ...[...placed].map(placeDeclarations));
  const fields = folds.flatMap(({ fields: each }, k) => each.map(({ path, lane }) => ({ fold: k, path: `s${k}${path}`, lane })));
  const sideBySide = liesSideBySide(inputs, kept);
  // Of an output, and of an element of it, apart: what is folded but never stored may be more than 32 bits can count.
  const outputPlaces = placeStatements(
    'o',
    inputs.map((view) => axesOf(view, 0, kept)),
    'of',
  );
  const elementOf = (views: Views): string => `${placeStatements(
    'r',
    inputs.map((view) => axesOf({ ...view, offset: 0 }, kept, shape.length)),
    'within',
  )}
${inputs.map((_, k) => `let from${k} = of${k} + within${k};`).join('\n')}
${inputs.map((view, k) => `let v${k} = ${views.load(view, `from${k}`)};`).join('\n')}
${statements}
let state = State(${folds.map(({ lift }, k) => lift(`v${program.results[k]}`)).join(', ')});`;
  const finishOf = (views: Views): string => `${placeStatements('o', outputs, 'to')}
${outputs.map((view, k) => views.store(view, `to${k}`, folds[k]!.result(`total.s${k}`))).join('\n')}`;

  const { parallelism } = context.gpu;
  const parts = Math.max(
    1,
    Math.min(Math.floor(parallelism / (outer * THREADS)), Math.floor(count / (THREADS * LEAST))),
    // No thread adds up more runs than a run has elements.
    Math.ceil(count / (THREADS * RUN * RUN)),
  );
  const lanesOfParts = [...new Set(fields.map(({ lane }) => lane))];
  // The parts of each type of number lie in one buffer; if there is no binding left for these, nothing is cut.
  const most = Math.max(...[inputs, outputs].map((views) => new Set(views.map(({ buffer }) => buffer)).size));
  if (parts === 1 || most + lanesOfParts.length > BINDINGS) {
    const views = new Views(context, inputs, outputs);
    return [
      foldingShader(
        {
          name: 'reduce',
          outer,
          count,
          sideBySide,
          structures,
          folds,
          before: outputPlaces,
          element: elementOf(views),
          finish: finishOf(views),
        },
        views,
        context,
      ),
    ];
  }
  const chunk = Math.ceil(count / parts);
  const cut = Math.ceil(count / chunk);
  const buffers = lanesOfParts.map((lane) => context.temporary(lane, [fields.filter((field) => field.lane === lane).length * cut * outer]));
  /** Where a field of the part of an output is: parts of an output are far apart, outputs side by side. */
  const homeOf = ({ path, lane }: (typeof fields)[number]): { view: View; at: string } => {
    const among = fields.filter((field) => field.lane === lane).findIndex((field) => field.path === path);
    return { view: buffers[lanesOfParts.indexOf(lane)]!, at: `(${among * cut} + part) * ${outer} + o` };
  };
  const first = new Views(context, inputs, buffers);
  const keep = fields.map((field) => first.store(homeOf(field).view, homeOf(field).at, `total.${field.path}`)).join('\n');
  const second = new Views(context, buffers, outputs);
  const compositions = folds.map(({ compose }, k) =>
    compose(fields.filter(({ fold }) => fold === k).map((field) => second.load(homeOf(field).view, homeOf(field).at))),
  );
  const states = `let part = r;\nlet state = State(${compositions.join(', ')});`;
  return [
    foldingShader(
      {
        name: 'reduceParts',
        outer,
        count,
        chunk,
        sideBySide,
        structures,
        folds,
        before: outputPlaces,
        element: elementOf(first),
        finish: keep,
      },
      first,
      context,
    ),
    foldingShader(
      { name: 'reduce', outer, count: cut, sideBySide: true, structures, folds, element: states, finish: finishOf(second) },
      second,
      context,
    ),
  ];
};

/** A view of some of the axes, at the start of the others. */
function axesOf({ shape, strides, ...view }: View, from: number, to: number): View {
  return { ...view, shape: shape.slice(from, to), strides: strides.slice(from, to) };
}

/** Whether neighbouring outputs, and not neighbouring elements of one, are neighbours in what is read most. */
function liesSideBySide(inputs: readonly View[], kept: number): boolean {
  const [largest] = [...inputs].sort((a, b) => spanOf(b) - spanOf(a));
  if (!largest) return false;
  const nearest = (from: number, to: number): number =>
    Math.min(
      Infinity,
      ...largest.strides.slice(from, to).flatMap((stride, k) => (stride === 0 || largest.shape[from + k] === 1 ? [] : [Math.abs(stride)])),
    );
  return nearest(0, kept) < nearest(kept, largest.strides.length);
}

function spanOf({ shape, strides }: View): number {
  return sizeOf(shape.filter((_, axis) => strides[axis] !== 0));
}

interface Folding {
  readonly name: string;
  readonly outer: number;
  readonly count: number;
  /** How many elements a part has, where outputs are cut. */
  readonly chunk?: number;
  readonly sideBySide: boolean;
  readonly structures: Shader['declarations'];
  readonly folds: readonly Fold[];
  /** Statements about output `o`. */
  readonly before?: string;
  /** Statements that make `state` of element `r` of output `o`. */
  readonly element: string;
  /** Statements that store `total` of output `o`, or of `part` of it. */
  readonly finish: string;
}

function foldingShader(
  { name, outer, count, chunk = count, sideBySide, structures, folds, before = '', element, finish }: Folding,
  views: Views,
  { gpu }: Context,
): Shader {
  const size = Math.min(count, chunk);
  const powerOf2 = (n: number): number => 2 ** Math.ceil(Math.log2(Math.max(1, n)));
  const together = sideBySide ? Math.min(SIDE_BY_SIDE, powerOf2(outer)) : 1;
  // As many threads as there is room for; but on a GPU enough neighbours to read whole lines of its cache.
  const room = powerOf2(gpu.parallelism / outer);
  const team = Math.min(THREADS / together, powerOf2(size), gpu.software ? room : Math.max(NEIGHBOURS, room));
  const teams = THREADS / team;
  const parts = Math.max(1, Math.ceil(count / Math.max(1, chunk)));
  const groups = Math.ceil(outer / teams);
  // Neighbouring threads read neighbours in memory.
  const [member, own] = sideBySide ? [`thread / ${teams}`, `thread % ${teams}`] : [`thread % ${team}`, `thread / ${team}`];
  // Members of a team that have a subgroup in common exchange values without waiting for others.
  const near = sideBySide ? 1 : Math.min(gpu.subgroupSize, team);
  const far = team > near;
  const step = sideBySide ? teams : 1;
  const neutral = `State(${folds.map((fold) => fold.neutral).join(', ')})`;
  const exchanged = folds.map(({ fields, compose }, k) =>
    compose(fields.map(({ path }) => `subgroupShuffleXor(a.s${k}${path}, distance)`)),
  );
  const declarations = {
    ...structures,
    State: `struct State { ${folds.map(({ type }, k) => `s${k}: ${type}`).join(', ')} }`,
    merge: `fn merge(a: State, b: State) -> State { return State(${folds.map(({ merge }, k) => merge(`a.s${k}`, `b.s${k}`)).join(', ')}); }`,
    ...(far && { states: `var<workgroup> states: array<State, ${THREADS}>;` }),
    ...(near > 1 && { exchanged: `fn exchanged(a: State, distance: u32) -> State { return State(${exchanged.join(', ')}); }` }),
  };
  const body = `let member = ${member};
let part = group / ${groups};
let o = group % ${groups} * ${teams} + ${own};
var total = ${neutral};
if (o < ${outer}) {
${before}
let end = min(${count}, (part + 1) * ${chunk});
var r = part * ${chunk} + member;
while (r < end) {
var run = ${neutral};
let stop = min(end, r + ${team * RUN});
for (; r < stop; r += ${team}) {
${element}
run = merge(run, state);
}
total = merge(total, run);
}
}
${
  far
    ? `states[thread] = total;
workgroupBarrier();
for (var half = ${team / 2}; half >= ${near}; half /= 2) {
if (member < half) { states[thread] = merge(states[thread], states[thread + half * ${step}]); }
workgroupBarrier();
}
total = states[thread];`
    : ''
}
${range(Math.log2(near))
  .map((k) => `total = merge(total, exchanged(total, ${near >> (k + 1)}u));`)
  .join('\n')}
if (member == 0 && o < ${outer}) {
${finish}
}`;
  return views.shader({
    name,
    groups: groups * parts,
    declarations,
    workgroupBytes: far ? THREADS * 4 * folds.reduce((sum, { fields }) => sum + fields.length, 0) : 0,
    body,
  });
}
