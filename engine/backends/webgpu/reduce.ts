import type { Program, ReduceKernel, View } from '../../compiler/plan.ts';
import { check } from '../../errors.ts';
import { show, sizeOf } from '../../shape.ts';
import { programStatements, wgslType } from './expressions.ts';
import { type Fold, folds, statesBetween, teamFold, teamsOf, together } from './fold.ts';
import { nearest, placeAt, placeStatements } from './indices.ts';
import { BINDINGS, type Context, type Emitter, powerOf2, range, type Shader, THREADS, Views } from './shader.ts';

/** Elements that a thread folds one by one before they join its total, so that rounding errors of sums stay small. */
const RUN = 128;
/** Elements that are worth a thread. */
const LEAST = 16;
/** Threads that read a line of a GPU's cache together. */
const NEIGHBOURS = 8;
/** Outputs side by side in memory that a workgroup has at once. */
const SIDE_BY_SIDE = 32;

/**
 * Each output has a team of threads of a workgroup, which take turns with its elements. Where outputs are too few for a GPU, each is cut into parts, and a
 * second stage folds what these come to. Always in the same order, so the same bits come out each time.
 *
 *     thread 0    0  4  8 12 …  in runs of 128 ─┬───────┬─ result
 *     thread 1    1  5  9 13 …  ────────────────│───┬───┘
 *     thread 2    2  6 10 14 …  ────────────────┘   │
 *     thread 3    3  7 11 15 …  ────────────────────┘
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

/** What is folded. */
interface Source {
  readonly inputs: readonly View[];
  /** Statements about output `o`. */
  readonly ofOutput: string;
  /** Statements about element `r` of it, and then an expression for its state. */
  readonly ofElement: (views: Views) => readonly [statements: string, state: string];
}

/** Where what is folded goes: statements that store `total` of output `o`, or of `part` of it. */
interface Target {
  readonly outputs: readonly View[];
  readonly store: (views: Views) => string;
}

const folded: Emitter<'reduce'> = ({ shape, reduced, program, reductions, inputs, outputs }, context) => {
  const kept = shape.length - reduced;
  const outer = sizeOf(shape.slice(0, kept));
  const count = sizeOf(shape.slice(kept));
  const sideBySide = liesSideBySide(inputs, kept);
  const { statements, lanes } = programStatements(program, inputs);
  const fold = together(reductions.map((reduction, k) => folds[reduction](lanes[program.results[k]!]!)));
  const elements: Source = {
    inputs,
    // Apart from the element's: what is folded but never stored may be more than 32 bits can count.
    ofOutput: placeStatements(
      'o',
      inputs.map((view) => axesOf(view, 0, kept)),
      'of',
    ),
    ofElement: (views) => {
      const places = inputs.map(
        (view, k) => `let from${k} = of${k} + ${placeAt('r', axesOf({ ...view, offset: 0 }, kept, shape.length))};`,
      );
      const loads = inputs.map((view, k) => `let v${k} = ${views.load(view, `from${k}`)};`);
      const values = program.results.map((value) => `v${value}`);
      return [[...places, ...loads, statements].join('\n'), fold.lift(values, 'r')];
    },
  };
  const results: Target = {
    outputs,
    store: (views) => {
      const values = fold.results('total');
      return [placeStatements('o', outputs, 'to'), ...outputs.map((view, k) => views.store(view, `to${k}`, values[k]!))].join('\n');
    },
  };
  const parts = partsOf(outer, count, context);
  // The states of parts take a binding for each type of number; where there is none left, nothing is cut.
  const most = Math.max(...[inputs, outputs].map((views) => new Set(views.map(({ buffer }) => buffer)).size));
  if (parts === 1 || most + new Set(fold.fields.map(({ lane }) => lane)).size > BINDINGS)
    return [foldingShader('reduce', { outer, count, chunk: count, sideBySide }, fold, elements, results, context)];
  const chunk = Math.ceil(count / parts);
  const cut = Math.ceil(count / chunk);
  const states = statesBetween(fold, [cut, outer], context);
  const partial: Target = {
    outputs: states,
    store: (views) => fold.fields.map(({ path }, k) => views.store(states[k]!, ['part', 'o'], `total${path}`)).join('\n'),
  };
  const composed: Source = {
    inputs: states,
    ofOutput: '',
    ofElement: (views) => ['', fold.compose(states.map((view) => views.load(view, ['r', 'o'])))],
  };
  return [
    foldingShader('reduceParts', { outer, count, chunk, sideBySide }, fold, elements, partial, context),
    foldingShader('reduce', { outer, count: cut, chunk: cut, sideBySide: true }, fold, composed, results, context),
  ];
};

/** Into how many parts each output is cut. */
function partsOf(outer: number, count: number, { gpu }: Context): number {
  const toFillTheGpu = Math.min(Math.floor(gpu.parallelism / (outer * THREADS)), Math.floor(count / (THREADS * LEAST)));
  // No thread adds up more runs than a run has elements.
  const toKeepErrorsSmall = Math.ceil(count / (THREADS * RUN * RUN));
  return Math.max(1, toFillTheGpu, toKeepErrorsSmall);
}

/** A view of some of the axes, at the start of the others. */
function axesOf({ shape, strides, ...view }: View, from: number, to: number): View {
  return { ...view, shape: shape.slice(from, to), strides: strides.slice(from, to) };
}

/** Whether neighbouring outputs, and not neighbouring elements of one, are neighbours in what is read most. */
function liesSideBySide(inputs: readonly View[], kept: number): boolean {
  const [largest] = [...inputs].sort((a, b) => spanOf(b) - spanOf(a));
  if (!largest) return false;
  const axes = range(largest.shape.length);
  return nearest(largest, axes.slice(0, kept)) < nearest(largest, axes.slice(kept));
}

function spanOf({ shape, strides }: View): number {
  return sizeOf(shape.filter((_, axis) => strides[axis] !== 0));
}

/** How many outputs there are, of how many elements each, and how many of these a part has. */
interface Extents {
  readonly outer: number;
  readonly count: number;
  readonly chunk: number;
  readonly sideBySide: boolean;
}

function foldingShader(name: string, extents: Extents, fold: Fold, source: Source, target: Target, context: Context): Shader {
  const { outer, count, chunk, sideBySide } = extents;
  const { gpu } = context;
  const views = new Views(context, source.inputs, target.outputs);
  const neighbours = sideBySide ? Math.min(SIDE_BY_SIDE, powerOf2(outer)) : 1;
  // As many threads as there is room for; but on a GPU enough neighbours to read whole lines of its cache.
  const room = powerOf2(gpu.parallelism / outer);
  const teams = teamsOf(Math.min(THREADS / neighbours, powerOf2(chunk), gpu.software ? room : Math.max(NEIGHBOURS, room)), sideBySide);
  const { statements, ...merging } = teamFold(fold, teams, sideBySide ? 1 : Math.min(gpu.subgroupSize, teams.size));
  const groups = Math.ceil(outer / teams.count);
  const [ofElement, state] = source.ofElement(views);
  return views.shader({
    name,
    ...merging,
    groups: groups * Math.max(1, Math.ceil(count / Math.max(1, chunk))),
    body: `let member = ${teams.member};
let part = group / ${groups};
let o = group % ${groups} * ${teams.count} + ${teams.own};
var total = ${fold.neutral};
if (o < ${outer}) {
${source.ofOutput}
let end = min(${count}, (part + 1) * ${chunk});
var r = part * ${chunk} + member;
while (r < end) {
var run = ${fold.neutral};
let stop = min(end, r + ${teams.size * RUN});
for (; r < stop; r += ${teams.size}) {
${ofElement}
run = ${fold.merge('run', state)};
}
total = ${fold.merge('total', 'run')};
}
}
${statements}
if (member == 0 && o < ${outer}) {
${target.store(views)}
}`,
  });
}
