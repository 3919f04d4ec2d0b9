/**
 * How many elements become one, as WGSL: reduce.ts keeps what each fold comes to, scan.ts all that it comes to on the way, pool.ts what windows come to. And
 * how threads share such work: in teams.
 */
import type { Lane } from '../../compiler/lanes.ts';
import { contiguous } from '../../compiler/layout.ts';
import type { Reduction, ScanKernel, View } from '../../compiler/plan.ts';
import type { DType } from '../../dtype.ts';
import { type Shape, sizeOf } from '../../shape.ts';
import { expression, literal, wgslType } from './expressions.ts';
import { type Context, range, type Shader, THREADS, workgroupMemory } from './shader.ts';

/** States of a type, of which any two that lie side by side have a union. */
export interface Fold {
  readonly declarations: Shader['declarations'];
  readonly type: string;
  /** That of no element. */
  readonly neutral: string;
  /** That of one element, which is at this position and has a value for each result. */
  readonly lift: (values: readonly string[], position: string) => string;
  readonly merge: (a: string, b: string) => string;
  readonly results: (state: string) => readonly string[];
  /** The numbers that a state consists of, by their paths; and a state made of these. */
  readonly fields: readonly { readonly path: string; readonly lane: 'f32' | 'i32' }[];
  readonly compose: (fields: readonly string[]) => string;
}

const same = ([value = '']: readonly string[]): string => value;

/** A state that is a number. For integers, ±∞ are the ends of their range. */
const plain =
  (op: 'add' | 'mul' | 'maximum' | 'minimum', neutral: number) =>
  (lane: Lane): Fold => ({
    declarations: {},
    type: wgslType(lane),
    neutral: literal(lane === 'i32' ? Math.min(Math.max(neutral, -(2 ** 31)), 2 ** 31 - 1) : neutral, lane),
    lift: same,
    merge: (a, b) => expression(op, lane, [a, b]),
    results: (state) => [state],
    fields: [{ path: '', lane: wgslType(lane) }],
    compose: same,
  });

/** A structure of members of these types: its type and declaration, how it is made, and its members as fields. */
function structure<Types extends string>(type: string, members: Readonly<Record<string, Types>>) {
  const entries = Object.entries(members);
  return {
    type,
    declarations: { [type]: `struct ${type} { ${entries.map(([name, each]) => `${name}: ${each}`).join(', ')} }` },
    compose: (values: readonly string[]): string => `${type}(${values.join(', ')})`,
    fields: entries.map(([name, lane]) => ({ path: `.${name}`, lane })),
  };
}

/**
 * An extremum with its position, −1 while there is none, which is behind all others as an unsigned number: the first NaN, else the first extremum. Without
 * short circuits, which would be branches.
 */
const place =
  (name: 'argmax' | 'argmin', extremum: (lane: Lane) => Fold) =>
  (lane: Lane): Fold => {
    const state = structure(`Place_${lane}`, { value: wgslType(lane), at: 'i32' });
    const { type, compose } = state;
    const first = `${name}_${lane}`;
    const beats = (a: string, b: string): string =>
      `(${a} ${name === 'argmax' ? '>' : '<'} ${b})${lane === 'i32' ? '' : ` | (isNan(${a}) & !isNan(${b}))`}`;
    return {
      ...state,
      declarations: {
        ...state.declarations,
        [first]: `fn ${first}(a: ${type}, b: ${type}) -> ${type} {
  let aWins = ${beats('a.value', 'b.value')};
  let bWins = ${beats('b.value', 'a.value')};
  if (aWins | (!bWins & (u32(a.at) < u32(b.at)))) { return a; }
  return b;
}`,
      },
      neutral: compose([extremum(lane).neutral, '-1']),
      lift: ([value = ''], position) => compose([value, position]),
      merge: (a, b) => `${first}(${a}, ${b})`,
      results: (total) => [`max(${total}.at, 0)`],
    };
  };

const scaledState = structure('Scaled', { significand: 'f32', exponent: 'i32' });

/**
 * A product with an exponent of its own, by bits. The order in which a tree multiplies is not the line's: without it 0, 10³⁰, 10³⁰ would come to
 * 0 · (10³⁰ · 10³⁰) = 0 · ∞.
 */
const scaled: Fold = {
  ...scaledState,
  declarations: {
    ...scaledState.declarations,
    scaledBy: `fn scaledBy(value: f32, exponent: i32) -> Scaled {
  let sign = bitcast<u32>(value) & 0x80000000u;
  let bits = bitcast<u32>(value) ^ sign;
  if (bits == 0u || bits >= 0x7f800000u) { return Scaled(value, 0); }
  let shift = select(0u, countLeadingZeros(bits) - 8u, bits < 0x00800000u);
  let own = i32(max(bits >> 23u, 1u)) - i32(shift) - 126;
  return Scaled(bitcast<f32>(sign | 0x3f000000u | ((bits << shift) & 0x007fffffu)), clamp(own + exponent, -0x1000000, 0x1000000));
}`,
    product: 'fn product(a: Scaled, b: Scaled) -> Scaled { return scaledBy(a.significand * b.significand, a.exponent + b.exponent); }',
  },
  neutral: 'Scaled(1.0, 0)',
  lift: ([value = '']) => `scaledBy(${value}, 0)`,
  merge: (a, b) => `product(${a}, ${b})`,
  results: (state) => [`timesPowerOf2(${state}.significand, clamp(${state}.exponent, -252, 252))`],
};

const max = plain('maximum', -Infinity);
const min = plain('minimum', Infinity);

export const folds: { readonly [R in Reduction]: (lane: Lane) => Fold } = {
  sum: plain('add', 0),
  prod: plain('mul', 1),
  max,
  min,
  argmax: place('argmax', max),
  argmin: place('argmin', min),
};

/** Folds of which every state on the way is a result. −0 is what changes no sum, be it one of −0 alone. */
export const runningFolds: { readonly [F in ScanKernel['fn']]: (lane: Lane) => Fold } = {
  sum: plain('add', -0),
  prod: (lane) => (lane === 'i32' ? folds.prod(lane) : scaled),
};

/** Several folds as one. */
export function together(parts: readonly Fold[]): Fold {
  if (parts.length === 1) return parts[0]!;
  const { type, declarations, compose: state } = structure('State', Object.fromEntries(parts.map(({ type: each }, k) => [`s${k}`, each])));
  return {
    declarations: {
      ...Object.assign({}, ...parts.map((part) => part.declarations)),
      ...declarations,
      merge: `fn merge(a: State, b: State) -> State { return ${state(parts.map(({ merge }, k) => merge(`a.s${k}`, `b.s${k}`)))}; }`,
    },
    type,
    neutral: state(parts.map(({ neutral }) => neutral)),
    lift: (values, position) => state(parts.map(({ lift }, k) => lift([values[k]!], position))),
    merge: (a, b) => `merge(${a}, ${b})`,
    results: (total) => parts.flatMap(({ results }, k) => results(`${total}.s${k}`)),
    fields: parts.flatMap(({ fields }, k) => fields.map(({ path, lane }) => ({ path: `.s${k}${path}`, lane }))),
    compose: (fields) => {
      const left = [...fields];
      return state(parts.map((part) => part.compose(left.splice(0, part.fields.length))));
    },
  };
}

/** A view of this shape for each field of the states that one stage leaves to the next: those of one type lie in one buffer. */
export function statesBetween({ fields }: Fold, shape: Shape, context: Context): View[] {
  const lanes = fields.map(({ lane }) => lane);
  const alike = (lane: DType, before: number): number => lanes.slice(0, before).filter((each) => each === lane).length;
  const buffers = new Map([...new Set(lanes)].map((lane) => [lane, context.temporary(lane, [alike(lane, lanes.length), ...shape])]));
  return lanes.map((lane, k) => ({ ...buffers.get(lane)!, ...contiguous(shape), offset: alike(lane, k) * sizeOf(shape) }));
}

/** How the threads of a workgroup form teams. */
export interface Teams {
  readonly size: number;
  /** How many there are. */
  readonly count: number;
  /** Which member of its team `thread` is, and which team that is. */
  readonly member: string;
  readonly own: string;
  /** From one member to the next, in threads. */
  readonly step: number;
}

/** Teams of which neighbouring threads are members, or the same members of neighbouring ones: whichever read neighbours in memory. */
export function teamsOf(size: number, sideBySide: boolean): Teams {
  const count = THREADS / size;
  return sideBySide
    ? { size, count, member: `thread / ${count}`, own: `thread % ${count}`, step: count }
    : { size, count, member: `thread % ${size}`, own: `thread / ${size}`, step: 1 };
}

/**
 * Statements that fold the `total` of each `member` of a team into that of the first: halves merge, always in the same order. What so many members who
 * are `near` have is exchanged without waiting for others.
 */
export function teamFold(
  fold: Fold,
  { size, step }: Teams,
  near = 1,
): Pick<Shader, 'declarations' | 'workgroupBytes'> & { statements: string } {
  const exchanged = fold.compose(fold.fields.map(({ path }) => `subgroupShuffleXor(a${path}, distance)`));
  const memory = workgroupMemory(size > near ? { totals: [fold.type, THREADS, 4 * fold.fields.length] } : {});
  return {
    workgroupBytes: memory.workgroupBytes,
    declarations: {
      ...fold.declarations,
      ...memory.declarations,
      ...(near > 1 && { exchanged: `fn exchanged(a: ${fold.type}, distance: u32) -> ${fold.type} { return ${exchanged}; }` }),
    },
    statements: `${
      size > near
        ? `totals[thread] = total;
workgroupBarrier();
for (var half = ${size / 2}; half >= ${near}; half /= 2) {
  if (member < half) { totals[thread] = ${fold.merge('totals[thread]', `totals[thread + half * ${step}]`)}; }
  workgroupBarrier();
}
total = totals[thread];`
        : ''
    }
${range(Math.log2(near))
  .map((k) => `total = ${fold.merge('total', `exchanged(total, ${near >> (k + 1)}u)`)};`)
  .join('\n')}`,
  };
}
