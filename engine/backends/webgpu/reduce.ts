import type { Lane } from '../../compiler/lanes.ts';
import type { Reduction } from '../../compiler/plan.ts';
import { sizeOf } from '../../shape.ts';
import { literal, programStatements, wgslType } from './expressions.ts';
import { type Emitter, placeStatements, type Shader, THREADS, Views } from './shader.ts';

/** A fold as WGSL: the type of what is carried, its start, an element as such, the union of two, and the result. */
interface Fold {
  readonly type: string;
  readonly neutral: string;
  readonly lift: (value: string) => string;
  readonly merge: (a: string, b: string) => string;
  readonly result: (state: string) => string;
}

const same = (text: string) => text;

function arithmetic(lane: Lane, neutral: number, merge: Fold['merge']): Fold {
  return { type: wgslType(lane), neutral: literal(neutral, lane), lift: same, merge, result: same };
}

/** Carries the extremum with its position, −1 while there is none. */
function place(lane: Lane, merge: string): Fold {
  return {
    type: `Place_${lane}`,
    neutral: `Place_${lane}(0, -1)`,
    lift: (value) => `Place_${lane}(${value}, r)`,
    merge: (a, b) => `${merge}_${lane}(${a}, ${b})`,
    result: (state) => `max(${state}.at, 0)`,
  };
}

const folds: { readonly [R in Reduction]: (lane: Lane) => Fold } = {
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

/** Elements that a lane folds one by one before they join its total, so that rounding errors of sums stay small. */
const RUN = 128;

/**
 * Each output has a team of 1 to 64 threads of a workgroup. A thread folds every so-many-th element, in runs; then the team's halves
 * merge, always in the same order, so the same bits come out each time.
 */
export const reduce: Emitter<'reduce'> = ({ shape, reduced, program, reductions, inputs, outputs }, context) => {
  const outer = sizeOf(shape.slice(0, shape.length - reduced));
  const count = sizeOf(shape.slice(shape.length - reduced));
  if (outer === 0) return [];
  let team = 1;
  while (team < THREADS && team < count) team *= 2;
  const teams = THREADS / team;

  const views = new Views(context, inputs, outputs);
  const { statements, lanes } = programStatements(program, inputs);
  const values = program.results.map((result) => `v${result}`);
  const parts = reductions.map((reduction, k) => folds[reduction](lanes[program.results[k]!]!));
  const placed = new Set(reductions.flatMap((reduction, k) => (reduction.startsWith('arg') ? [lanes[program.results[k]!]!] : [])));
  const state = (fields: readonly string[]) => `State(${fields.join(', ')})`;
  const declarations = {
    ...Object.assign({}, ...[...placed].map(placeDeclarations)),
    State: `struct State { ${parts.map(({ type }, k) => `s${k}: ${type}`).join(', ')} }`,
    merge: `fn merge(a: State, b: State) -> State { return ${state(parts.map(({ merge }, k) => merge(`a.s${k}`, `b.s${k}`)))}; }`,
    states: `var<workgroup> states: array<State, ${THREADS}>;`,
  };
  const neutral = state(parts.map((part) => part.neutral));
  const body = `let member = thread % ${team};
let o = group * ${teams} + thread / ${team};
var total = ${neutral};
if (o < ${outer}) {
  var r = member;
  while (r < ${count}) {
    var run = ${neutral};
    let stop = min(${count}, r + ${team * RUN});
    for (; r < stop; r += ${team}) {
      let i = o * ${count} + r;
${placeStatements('i', inputs, 'from')}
${inputs.map((view, k) => `let v${k} = ${views.load(view, `from${k}`)};`).join('\n')}
${statements}
      run = merge(run, ${state(parts.map(({ lift }, k) => lift(values[k]!)))});
    }
    total = merge(total, run);
  }
}
states[thread] = total;
workgroupBarrier();
for (var half = ${(team / 2) | 0}; half > 0; half /= 2) {
  if (member < half) { states[thread] = merge(states[thread], states[thread + half]); }
  workgroupBarrier();
}
if (member == 0 && o < ${outer}) {
${placeStatements('o', outputs, 'to')}
${outputs.map((view, k) => views.store(view, `to${k}`, parts[k]!.result(`states[thread].s${k}`))).join('\n')}
}`;
  return [views.shader({ name: 'reduce', groups: Math.ceil(outer / teams), declarations, body })];
};
