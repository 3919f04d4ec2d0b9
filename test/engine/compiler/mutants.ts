/** Plans with a few fields changed to what a careless or hostile hand might write there, and the plans that they are made of. */
import fc from 'fast-check';
import { buildPlan } from '../../../engine/compiler/compiler.ts';
import type { Plan, Program } from '../../../engine/compiler/plan.ts';
import { kernelKinds } from '../../../engine/compiler/readPlan.ts';
import type { DType } from '../../../engine/dtype.ts';
import {
  argsort,
  averagePool2d,
  cholesky,
  concat,
  conv2d,
  eigh,
  grad,
  gridSample,
  matmul,
  maxPool2d,
  randn,
  scatter,
  scatterAdd,
  slot,
  type Tensor,
  take,
  tensor,
  triangularSolve,
} from '../../../engine/index.ts';
import { scalars } from '../../../engine/scalar.ts';
import type { Slot } from '../../../engine/slot.ts';
import { type KernelBody, singleKernelPlan } from '../backends/plans.ts';
import { host } from '../values.ts';
import { asSlots, build, leaf, randomPrograms, valuesOf } from './randomPrograms.ts';

function planOfGraph(outputs: readonly Tensor[], updates: readonly (readonly [Slot, Tensor])[] = [], bindings?: number): Plan {
  return buildPlan({
    outputs: outputs.map(({ node }) => node),
    updates: updates.map(([to, { node: value }]) => ({ slot: to, value })),
    // Small values from outside are constants, so that there are both.
    isConstant: ({ shape }) => shape.length === 1,
    ...(bindings && { bindings }),
  }).plan;
}

/** Kernels of every kind, in steps small enough to be run many thousand times. */
function stepsOfEveryKind(): Plan[] {
  const image = tensor(
    host(
      [2, 2, 5, 5],
      Array.from({ length: 100 }, (_, i) => (i % 7) - 3),
      'f32',
    ),
  );
  const [w, v] = [slot(host([4, 2, 3, 3], Array(72).fill(0.5), 'f32'), 'w'), slot(host([16, 3], Array(48).fill(0.25), 'f32'), 'v')];
  const index = tensor([2, 0, 1], { dtype: 'i32' });
  const features = conv2d(image, w.value, { padding: 1 }).relu();
  const pooled = maxPool2d(features, 2);
  const logits = matmul(pooled.reshape([2, 16]), v.value)
    .add(tensor([1, 2, 3]))
    .relu();
  const loss = logits.square().mean().add(averagePool2d(features, 3).sum().mul(0.125));
  const [gw, gv] = grad(loss, [w.value, v.value]) as [Tensor, Tensor];
  const training = planOfGraph(
    [loss, logits],
    [
      [w, w.value.sub(gw.mul(0.5))],
      [v, v.value.sub(gv.mul(0.5))],
    ],
  );
  const x = tensor(host([3, 3], [4, 1, 0, 1, 5, 2, 0, 2, 6], 'f32'));
  const factor = cholesky(x);
  const algebra = planOfGraph([eigh(x).values, triangularSolve(factor, x), factor]);
  const rows = tensor(
    host(
      [3, 4],
      Array.from({ length: 12 }, (_, i) => i % 5),
      'f32',
    ),
  );
  const grid = tensor(
    host(
      [2, 3, 3, 2],
      Array.from({ length: 36 }, (_, i) => (i % 9) / 4 - 1),
      'f32',
    ),
  );
  const moved = planOfGraph(
    [
      take(rows, index, 1),
      scatterAdd(rows.slice(null, [0, 3]), index.expand([3, 3]), 1, 4),
      scatter(rows, index.expand([3, 3]), rows.slice(null, [0, 3]), 1),
      argsort(rows, { axis: 1 }),
      rows.cumsum(0).add(rows.cumprod(1)),
      gridSample(image, grid),
      concat([rows, rows.flip([1]), rows.add(1)], 1),
      rows.transpose().pad([1, 0], [0, 2], 7),
      randn([5], { key: 3 }).mul(0),
    ],
    [],
    8,
  );
  return [training, algebra, moved, training, algebra, moved];
}

/** The plans that mutants are made of: of every kind of kernel, and of random programs. */
export function basePlans(count: number, seed: number): Plan[] {
  const programs = randomPrograms({ extents: [1, 2, 3, 4], largest: 200, types: ['i32', 'u8'] });
  const random = fc.sample(programs, { seed, numRuns: count }).map((program) => {
    const slots = asSlots(program);
    const { outputs, updates } = build(program, program.leaves.map(leaf), valuesOf(slots));
    return planOfGraph(
      outputs,
      slots.map((each, k) => [each, updates[k]!] as const),
    );
  });
  return [...stepsOfEveryKind(), ...random];
}

export interface Edit {
  readonly at: number;
  readonly how: number;
  readonly other: number;
}

export interface Mutant {
  readonly base: number;
  readonly edits: readonly Edit[];
}

const choice = fc.nat(2 ** 30);
export const mutants: fc.Arbitrary<Mutant> = fc.record({
  base: choice,
  edits: fc.array(fc.record({ at: choice, how: choice, other: choice }), { minLength: 1, maxLength: 3 }),
});

interface Place {
  readonly holder: Record<string | number, unknown>;
  readonly key: string | number;
}

/** Every field of a plan, those of records and lists within it among them. */
function placesIn(value: object): Place[] {
  return Object.entries(value).flatMap(([key, inner]) => {
    const here: Place = { holder: value as Place['holder'], key: Array.isArray(value) ? Number(key) : key };
    return typeof inner === 'object' && inner !== null ? [here, ...placesIn(inner)] : [here];
  });
}

const words = [
  ...Object.keys(scalars),
  ...kernelKinds,
  ...[
    'f32',
    'f64',
    'i32',
    'u8',
    'input',
    'constant',
    'slot',
    'output',
    'scratch',
    'forward',
    'weight',
    'sum',
    'prod',
    'max',
    'min',
    'argmax',
    'argmin',
  ],
  ...['sumTranspose', 'zeros', 'border', '__proto__', 'constructor', 'toString', 'hasOwnProperty', '', '\u001b[2J'],
];

const numbers: readonly ((value: number) => unknown)[] = [
  ...[1, -1, 2, -2, 4, -4, 16, 64, -68, -2000, 0.5, 2 ** 31, 2 ** 32, 2 ** 53].map((step) => (value: number) => value + step),
  ...[2, 3, -1, 0, 0.5, NaN, Infinity, 2 ** 31, 1e300].map((factor) => (value: number) => value * factor),
  ...[0, -0, 1, 2, 3, 2 ** 31 - 1, 2 ** 53 - 1, 1e308].map((fixed) => () => fixed),
  ...[String, BigInt, () => null, () => undefined, () => true, (value: number) => [value], () => ({ valueOf: () => 1 }), () => Symbol('1')],
];

const anything: readonly (() => unknown)[] = [
  () => null,
  () => undefined,
  () => [],
  () => ({}),
  () => Object.create(null),
  () => new Array(2 ** 32 - 1),
  () => ({ length: 2 }),
  () => () => 1,
  () => new Map(),
  () => new Int32Array(2),
  () =>
    new Proxy(
      {},
      {
        get: () => {
          throw new RangeError('no');
        },
      },
    ),
  () => new Proxy([], { get: (_, name) => (name === 'length' ? 3 : undefined) }),
];

/** A number beside this one, or the same field of another record: what makes mutants that are plans. */
function edit({ holder, key }: Place, how: number, other: number, all: readonly Place[], plan: object): void {
  const value = holder[key];
  const alike = all.filter((place) => typeof place.holder[place.key] === typeof value && (place.key === key || typeof key === 'number'));
  const choose = <T>(options: readonly T[]): T => options[other % options.length]!;
  const borrow = () => {
    const from = choose(alike);
    return from.holder[from.key];
  };
  const list = Array.isArray(value) ? value : Array.isArray(holder) ? (holder as unknown[]) : null;
  const generic: (() => void)[] = [
    () => (holder[key] = choose(anything)()),
    () => (holder[key] = plan),
    () => delete holder[key],
    () => (holder['extra'] = value),
    () =>
      Object.defineProperty(holder, key, {
        get: () => {
          throw new TypeError('no');
        },
        enumerable: true,
        configurable: true,
      }),
  ];
  const ofLists: (() => void)[] = list
    ? [
        () => list.reverse(),
        () => list.pop(),
        () => list.push(structuredCloned(list[other % Math.max(1, list.length)])),
        () => list.splice(other % Math.max(1, list.length), 1),
        () => ([list[0], list[list.length - 1]] = [list[list.length - 1], list[0]]),
        () => (list.length = other % 2 ? 0 : list.length + 1),
      ]
    : [];
  const own: (() => void)[] =
    typeof value === 'number'
      ? [() => (holder[key] = numeric(choose(numbers), value)), () => (holder[key] = choose([value + 1, value - 1, 0, 1, 2]))]
      : typeof value === 'string'
        ? [() => (holder[key] = choose(words)), () => (holder[key] = numeric(choose(numbers), other % 8))]
        : typeof value === 'boolean'
          ? [() => (holder[key] = !value)]
          : [];
  const borrowed = () => (holder[key] = borrow());
  // Most leave the structure as it is, so that meaning is tried.
  const ways = [borrowed, borrowed, borrowed, ...own, ...own, ...own, ...own, ...ofLists, ...(how % 7 === 0 ? generic : [])];
  ways[Math.floor(how / 7) % ways.length]!();
}

function numeric(change: (value: number) => unknown, value: number): unknown {
  try {
    return change(value);
  } catch {
    return 1n;
  }
}

function structuredCloned(value: unknown): unknown {
  try {
    return structuredClone(value);
  } catch {
    return value;
  }
}

/** The plan that a mutant is; of any shape. */
export function mutate(bases: readonly object[], { base, edits }: Mutant): unknown {
  const plan = structuredClone(bases[base % bases.length]!);
  for (const { at, how, other } of edits) {
    try {
      const places = placesIn(plan);
      edit(places[at % places.length]!, how, other, places, plan);
    } catch {
      // One that goes in a circle, or throws, is changed enough.
      break;
    }
  }
  return plan;
}

type Choose = <T>(options: readonly T[]) => T;

/** Changes that leave a plan a plan, more often than not: other layouts, orders, places in the arena, operations of the same kind. */
const sound: readonly ((plan: Plan, choose: Choose) => void)[] = [
  ...[0, 1, 2].map(() => (plan: Plan, choose: Choose) => {
    const kernel = choose(plan.kernels);
    const view = writable(choose([...kernel.inputs, ...kernel.outputs]));
    const axis = choose([...view.shape.keys(), 0]);
    const stride = view.strides[axis] ?? 0;
    choose([
      () => (view.offset += choose([-2, -1, 1, 2, 3])),
      () => {
        view.offset += stride * Math.max(0, (view.shape[axis] ?? 1) - 1);
        view.strides[axis] = -stride;
      },
      () => (view.strides[axis] = choose([0, 1, 2, -1, stride * 2])),
      () => view.strides.reverse(),
      () => (view.shape[axis] = choose([0, 1, 2])),
      () => (view.buffer = choose(plan.buffers.flatMap(({ dtype }, number) => (dtype === view.dtype ? [number] : [])))),
    ])();
  }),
  (plan, choose) => {
    const scratch = plan.buffers.filter(({ kind }) => kind === 'scratch');
    if (scratch.length > 0) writable(choose(scratch)).offset = choose([choose(scratch).offset, choose(scratch).offset + 4, 0, 64]);
  },
  (plan, choose) => {
    const kernels = writable(plan.kernels);
    kernels.splice(choose([...kernels.keys()]), 0, kernels.splice(choose([...kernels.keys()]), 1)[0]!);
  },
  (plan, choose) => {
    const programs = plan.kernels.flatMap((kernel) =>
      'program' in kernel ? [kernel.program] : 'epilogue' in kernel && kernel.epilogue ? [kernel.epilogue] : [],
    );
    const instructions = programs.flatMap((each) => each.instructions);
    if (instructions.length === 0) return;
    const instruction = writable(choose(instructions));
    const { arity, typing } = scalars[instruction.op];
    const alike = (Object.keys(scalars) as (keyof typeof scalars)[]).filter(
      (name) => scalars[name].arity === arity && scalars[name].typing === typing,
    );
    choose([
      () => (instruction.op = choose(alike)),
      () => instruction.operands.reverse(),
      () => (instruction.register = choose([0, 1, instruction.register])),
    ])();
  },
  (plan, choose) => {
    const kernel = writable(choose(plan.kernels)) as Record<string, unknown>;
    for (const name of [
      'reductions',
      'fill',
      'descending',
      'transpose',
      'lower',
      'alignCorners',
      'padding',
      'stride',
      'epilogue',
      'shape',
      'mode',
      'direction',
    ])
      if (name in kernel) {
        const others = plan.kernels.flatMap((other) => (name in other ? [(other as unknown as Record<string, unknown>)[name]] : []));
        kernel[name] = structuredClone(choose([...others, null, false, true, 3, [1, 1], [2, 1]]));
      }
  },
  (plan, choose) => {
    const spec = writable(choose(plan.buffers));
    choose([
      () => (spec.length += choose([1, -1, 16])),
      () => (spec.dtype = choose(['f32', 'i32', 'u8'] as const)),
      () => (spec.kind = choose(['slot', 'scratch', 'output', 'input'] as const)),
    ])();
  },
];

type Writable<T> = { -readonly [K in keyof T]: T[K] extends object ? Writable<T[K]> : T[K] };
/** Mutants are copies, which nobody else holds. */
const writable = <T>(value: T): Writable<T> => value as Writable<T>;

function chooserOf(seed: number): Choose {
  let state = seed;
  return (options) => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return options[(state >>> 8) % options.length]!;
  };
}

export interface Variant {
  readonly base: number;
  readonly changes: readonly number[];
}

export const variants: fc.Arbitrary<Variant> = fc.record({ base: choice, changes: fc.array(choice, { minLength: 1, maxLength: 3 }) });

export function vary(bases: readonly Plan[], { base, changes }: Variant): Plan {
  const plan = structuredClone(bases[base % bases.length]!);
  for (const change of changes) {
    try {
      sound[change % sound.length]!(plan, chooserOf(change));
    } catch {
      // What an earlier change left is no plan any more.
      break;
    }
  }
  return plan;
}

type Slab = readonly [dtype: DType, ...shape: number[]];
type Drawn = readonly [body: KernelBody, inputs: readonly Slab[], outputs: readonly Slab[]];

/** Single kernels whose shapes go together, with the parameters that nobody would give: windows in nothing but padding, matrices of no rows, folds of nothing. */
const odd: readonly ((choose: Choose) => Drawn)[] = [
  (choose) => {
    const [b, m, k, n] = extents(choose);
    return [
      { kind: 'matmul', epilogue: null },
      [
        ['f32', b, m, k],
        ['f32', b, k, n],
      ],
      [['f32', b, m, n]],
    ];
  },
  ...(['forward', 'input', 'weight'] as const).map((direction) => (choose: Choose): Drawn => {
    const [n, g, o] = extents(choose);
    const groups = choose([1, 1, 2, 3]);
    const window = drawWindow(choose);
    const {
      size: [u, v],
      image: [h, w],
      out: [p, q],
      stride,
      padding,
      dilation,
    } = window;
    const x: Slab = ['f32', n, g * groups, h, w];
    const weight: Slab = ['f32', o * groups, g, u, v];
    const y: Slab = ['f32', n, o * groups, p, q];
    const [first, second, last] = { forward: [x, weight, y], input: [y, weight, x], weight: [x, y, weight] }[direction] as [
      Slab,
      Slab,
      Slab,
    ];
    return [{ kind: 'conv', epilogue: null, direction, stride, padding, dilation, groups }, [first, second], [last]];
  }),
  ...(['max', 'argmax', 'sum', 'sumTranspose'] as const).map((mode) => (choose: Choose): Drawn => {
    const [n, c] = extents(choose);
    const { size, image, out, stride, padding } = drawWindow(choose, false);
    const [x, y]: [Slab, Slab] = [
      ['f32', n, c, ...image],
      [mode === 'argmax' ? 'i32' : 'f32', n, c, ...out],
    ];
    const body = { kind: 'pool', mode, kernel: size, stride, padding } as const;
    return mode === 'sumTranspose' ? [body, [y], [x]] : [body, [x], [y]];
  }),
  (choose) => {
    const [a, n, m, b] = extents(choose);
    const dtype = choose(['f32', 'i32', 'u8'] as const);
    return choose<Drawn>([
      [
        { kind: 'gather' },
        [
          [dtype, a, n, b],
          ['i32', a, m, b],
        ],
        [[dtype, a, m, b]],
      ],
      [
        { kind: 'scatterAdd' },
        [
          ['i32', a, m, b],
          [dtype, a, m, b],
        ],
        [[dtype, a, n, b]],
      ],
      [
        { kind: 'scatter' },
        [
          ['i32', a, m, b],
          [dtype, a, m, b],
        ],
        [[dtype, a, n, b]],
      ],
      [{ kind: 'argsort', descending: choose([true, false]) }, [[dtype, a, n]], [['i32', a, n]]],
    ]);
  },
  (choose) => {
    const [n, c, h, w] = extents(choose);
    const [p, q] = extents(choose);
    const body = { kind: 'gridSample', padding: choose(['zeros', 'border'] as const), alignCorners: choose([true, false]) } as const;
    return [
      body,
      [
        ['f32', n, c, h, w],
        ['f32', n, p, q, 2],
      ],
      [['f32', n, c, p, q]],
    ];
  },
  (choose) => {
    const [b, d, m] = extents(choose);
    return choose<Drawn>([
      [{ kind: 'cholesky' }, [['f32', b, d, d]], [['f32', b, d, d]]],
      [{ kind: 'eigh' }, [['f32', b, d, d]], [['f32', b, d + 1, d]]],
      [
        { kind: 'triangularSolve', lower: choose([true, false]), transpose: choose([true, false]) },
        [
          ['f32', b, d, d],
          ['f32', b, d, m],
        ],
        [['f32', b, d, m]],
      ],
    ]);
  },
  (choose) => {
    const shape = extents(choose).slice(choose([0, 1, 2, 3, 4]));
    const reduced = choose([...shape.keys(), shape.length]);
    const reductions = choose([['sum'], ['max', 'argmin'], ['prod', 'min', 'argmax']] as const);
    const dtype = choose(['f32', 'i32', 'u8'] as const);
    const value = dtype === 'u8' ? 'i32' : dtype;
    const isConstant = choose([true, false, false]);
    const program: Program = {
      inputs: isConstant ? 0 : 1,
      constants: isConstant ? [{ value: choose([0, 1, -3]), lane: value }] : [],
      instructions: [],
      registers: 0,
      results: reductions.map(() => 0),
    };
    const kept = shape.slice(0, shape.length - reduced);
    return [
      { kind: 'reduce', shape, reduced, program, reductions },
      isConstant ? [] : [[dtype, ...shape]],
      reductions.map((reduction): Slab => [reduction.startsWith('arg') ? 'i32' : value, ...kept]),
    ];
  },
];

function extents(choose: Choose): [number, number, number, number] {
  const extent = () => choose([0, 1, 1, 2, 3, 5]);
  return [extent(), extent(), extent(), extent()];
}

function drawWindow(choose: Choose, isDilated = true) {
  const each = (draw: () => number): [number, number] => [draw(), draw()];
  const kernel = each(() => choose([1, 2, 3, 3, 5]));
  const [stride, padding, dilation] = [
    each(() => choose([1, 1, 2, 3, 9])),
    each(() => choose([0, 0, 1, 2, 4])),
    each(() => choose([1, 1, 2, 6])),
  ];
  const reach = kernel.map((length, axis) => (length - 1) * (isDilated ? dilation[axis]! : 1) + 1);
  // Often none of its own, but always large enough for one window.
  const image = reach.map((length, axis) => Math.max(choose([0, 1, 2, 4, 7]), length - 2 * padding[axis]!)) as [number, number];
  const out = reach.map((length, axis) => Math.floor((image[axis]! + 2 * padding[axis]! - length) / stride[axis]!) + 1) as [number, number];
  return { size: kernel, image, out, stride, padding, dilation };
}

/** A plan of one odd kernel. */
export function oddPlan(seed: number): Plan {
  const choose = chooserOf(seed);
  const [body, inputs, outputs] = choose(odd)(choose);
  const slabs = ([dtype, ...shape]: Slab) => ({ dtype, shape });
  return singleKernelPlan(body, inputs.map(slabs), outputs.map(slabs));
}
