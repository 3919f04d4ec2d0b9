import type { ScanKernel, View } from '../../compiler/plan.ts';
import { literal } from './expressions.ts';
import { type Context, type Emitter, type Shader, THREADS, Views } from './shader.ts';

/** Neighbouring elements that a thread takes one after the other. */
const RUN = 8;
/** Lines side by side in memory that a workgroup has at once, so that its threads read neighbours together. */
const SIDE_BY_SIDE = 8;

/** A running total as WGSL: its type, that of nothing, that of an element, the union of two, and what it is as an element; and the numbers that it consists of. */
interface Running {
  readonly declarations: Shader['declarations'];
  readonly type: string;
  readonly neutral: string;
  readonly lift: (value: string) => string;
  readonly merge: (a: string, b: string) => string;
  readonly result: (total: string) => string;
  readonly fields: readonly { readonly path: string; readonly dtype: 'f32' | 'i32' }[];
}

const same = (text: string): string => text;

function plain(dtype: 'f32' | 'i32', neutral: number, operator: string): Running {
  return {
    declarations: {},
    type: dtype,
    neutral: literal(neutral, dtype),
    lift: same,
    merge: (a, b) => `${a} ${operator} ${b}`,
    result: same,
    fields: [{ path: '', dtype }],
  };
}

/**
 * A product with an exponent of its own, by bits. The order in which a tree multiplies is not the line's: without it 0, 10³⁰, 10³⁰ would come to
 * 0 · (10³⁰ · 10³⁰) = 0 · ∞.
 */
const scaled: Running = {
  declarations: {
    Scaled: 'struct Scaled { significand: f32, exponent: i32 }',
    scaledBy: `fn scaledBy(value: f32, exponent: i32) -> Scaled {
  let sign = bitcast<u32>(value) & 0x80000000u;
  let bits = bitcast<u32>(value) ^ sign;
  if (bits == 0u || bits >= 0x7f800000u) { return Scaled(value, 0); }
  let shift = select(0u, countLeadingZeros(bits) - 8u, bits < 0x00800000u);
  let own = i32(max(bits >> 23u, 1u)) - i32(shift) - 126;
  return Scaled(bitcast<f32>(sign | 0x3f000000u | ((bits << shift) & 0x007fffffu)), clamp(own + exponent, -0x1000000, 0x1000000));
}`,
    // 2ᵉ in two factors, as neither overflows before the product does.
    unscaled: `fn unscaled(total: Scaled) -> f32 {
  let exponent = clamp(total.exponent, -252, 252);
  let half = exponent >> 1u;
  return (total.significand * bitcast<f32>((half + 127) << 23u)) * bitcast<f32>((exponent - half + 127) << 23u);
}`,
  },
  type: 'Scaled',
  neutral: 'Scaled(1.0, 0)',
  lift: (value) => `scaledBy(${value}, 0)`,
  merge: (a, b) => `scaledBy(${a}.significand * ${b}.significand, ${a}.exponent + ${b}.exponent)`,
  result: (total) => `unscaled(${total})`,
  fields: [
    { path: '.significand', dtype: 'f32' },
    { path: '.exponent', dtype: 'i32' },
  ],
};

function runningOf(fn: ScanKernel['fn'], isFloat: boolean): Running {
  // −0 is what changes no sum, be it one of −0 alone.
  if (fn === 'sum') return plain(isFloat ? 'f32' : 'i32', -0, '+');
  return isFloat ? scaled : plain('i32', 1, '*');
}

/** What is scanned, or made: views of one shape [A, N, B], and how a total is made of their elements, or gives them. */
interface Source {
  readonly views: readonly View[];
  readonly total: (elements: readonly string[]) => string;
}
interface Target {
  readonly views: readonly View[];
  readonly elements: (total: string) => readonly string[];
}

export const scan: Emitter<'scan'> = ({ fn, inputs: [x], outputs: [out] }, context) => {
  const running = runningOf(fn, x!.dtype === 'f32');
  const source: Source = { views: [x!], total: ([value = '']) => running.lift(value) };
  return scanned(running, source, { views: [out!], elements: (total) => [running.result(total)] }, context);
};

/**
 * A line has a team of threads of a workgroup, or is cut into chunks that have one each. Each thread has a run of it, and what runs come to is scanned in
 * workgroup memory, doubling the distance; what chunks come to is scanned as any line is. So the same bits come out each time, and errors grow with the logarithm.
 */
function scanned(running: Running, source: Source, target: Target, context: Context): Shader[] {
  const [a = 1, n = 1, b = 1] = source.views[0]!.shape;
  const powerOf2 = (count: number): number => 2 ** Math.ceil(Math.log2(count));
  const together = liesSideBySide(source.views[0]!) ? Math.min(SIDE_BY_SIDE, powerOf2(a * b)) : 1;
  const team = Math.min(THREADS / together, powerOf2(Math.ceil(n / RUN)));
  const chunks = Math.ceil(n / (team * RUN));
  const kept = (): View[] => running.fields.map(({ dtype }) => context.temporary(dtype, [a, chunks, b]));
  const compose: Source['total'] = (fields) => (fields.length === 1 ? fields[0]! : `${running.type}(${fields.join(', ')})`);
  const elements: Target['elements'] = (total) => running.fields.map(({ path }) => `${total}${path}`);

  const teams = THREADS / team;
  const [member, own, step] =
    together > 1 ? [`thread / ${teams}`, `thread % ${teams}`, teams] : [`thread % ${team}`, `thread / ${team}`, 1];
  const load = (views: Views, { views: from, total }: Source, at: string): string =>
    total(from.map((view) => views.load(view, ['a', at, 'b'])));
  const store = (views: Views, { views: to, elements: of }: Target, at: string): string =>
    of('total')
      .map((value, k) => views.store(to[k]!, ['a', at, 'b'], value))
      .join('\n');
  /** Leaves in `totals` what the runs up to each come to, and in `total` that of this thread; then does what `finish` says of a line that there is. */
  const shader = (name: string, views: Views, finish: string): Shader =>
    views.shader({
      name,
      groups: Math.ceil((a * b) / teams) * chunks,
      workgroupBytes: team > 1 ? 4 * THREADS * running.fields.length : 0,
      declarations: { ...running.declarations, ...(team > 1 && { totals: `var<workgroup> totals: array<${running.type}, ${THREADS}>;` }) },
      body: `let member = ${member};
let chunk = group % ${chunks};
let line = group / ${chunks} * ${teams} + ${own};
let a = line / ${b};
let b = line % ${b};
let first = (chunk * ${team} + member) * ${RUN};
let end = min(first + ${RUN}, ${n});
var total = ${running.neutral};
${
  team > 1
    ? `if (line < ${a * b}) {
for (var i = first; i < end; i++) { total = ${running.merge('total', load(views, source, 'i'))}; }
}
totals[thread] = total;
workgroupBarrier();
for (var distance = 1; distance < ${team}; distance *= 2) {
if (member >= distance) { total = ${running.merge(`totals[thread - distance * ${step}]`, 'total')}; }
workgroupBarrier();
totals[thread] = total;
workgroupBarrier();
}
`
    : ''
}if (line < ${a * b}) {
${finish}
}`,
    });
  const walk = (views: Views, carried: string): string => `total = ${running.neutral};
${team > 1 ? `if (member > 0) { total = totals[thread - ${step}]; }\n` : ''}${carried}for (var i = first; i < end; i++) {
total = ${running.merge('total', load(views, source, 'i'))};
${store(views, target, 'i')}
}`;
  if (chunks === 1) {
    const views = new Views(context, source.views, target.views);
    return [shader('scan', views, walk(views, ''))];
  }
  const [totals, before] = [kept(), kept()];
  const first = new Views(context, source.views, totals);
  const last = new Views(context, [...source.views, ...before], target.views);
  const carry = load(last, { views: before, total: compose }, '(chunk - 1)');
  return [
    shader('scanTotals', first, `if (member == ${team - 1}) {\n${store(first, { views: totals, elements }, 'chunk')}\n}`),
    ...scanned(running, { views: totals, total: compose }, { views: before, elements }, context),
    shader('scan', last, walk(last, `if (chunk > 0) { total = ${running.merge(carry, 'total')}; }\n`)),
  ];
}

/** Whether neighbouring lines, and not neighbouring elements of one, are neighbours in memory. */
function liesSideBySide({ shape, strides }: View): boolean {
  const apart = (axis: number): number => (shape[axis] === 1 || strides[axis] === 0 ? Infinity : Math.abs(strides[axis]!));
  return Math.min(apart(0), apart(2)) < apart(1);
}
