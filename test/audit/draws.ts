import fc, { type Arbitrary } from 'fast-check';
import { gaussian } from '../models/support.ts';
import { type Matrix, normalized, transpose } from './implementations/arithmetic.ts';
import type { Context } from './implementations/formula.ts';
import type { implementations } from './implementations/index.ts';

export type Family = keyof typeof implementations;

/** What a loss is given: embeddings by its row's order, and its state and options. */
export interface Draw {
  readonly embeddings: readonly Matrix[];
  readonly state: Readonly<Record<string, Matrix | readonly number[]>>;
  readonly options: Readonly<Record<string, number | string>>;
}

export const contextOf = ({ state, options }: Draw): Context => ({ ...options, ...state });

/** Normal numbers [n, d], a function of the seed. */
export function rows(seed: number, n: number, d: number): number[][] {
  const { data } = gaussian(seed, [n, d]);
  return Array.from({ length: n }, (_, i) => Array.from(data.subarray(i * d, (i + 1) * d)));
}

interface Plan {
  /** How many embeddings there may be. */
  readonly embeddings: readonly number[];
  /** State arrays: each from a function that makes normal rows, another at each call. */
  readonly state?: (rows: (n: number, d: number) => number[][], n: number, d: number) => Draw['state'];
  /** Options: numbers between these, whole where both are. */
  readonly options?: Readonly<Record<string, readonly [least: number, most: number] | readonly string[]>>;
}

const between = (least: number, most: number): readonly [number, number] => [least, most];
const covariance = (z: Matrix): number[][] =>
  transpose(z).map((a) => transpose(z).map((b) => a.reduce((sum, value, i) => sum + (value * b[i]!) / z.length, 0)));
const weights = { invariance: between(0.1, 30.5), variance: between(0.1, 30.5), covariance: between(0.1, 30.5) };
const hinge = { gamma: between(0.1, 2.5), epsilon: between(1e-5, 0.1) };
const temperature = between(0.05, 2.5);
const slices: Plan['state'] = (rows, _n, d) => ({ slices: transpose(normalized(rows(9, d))) });

const plans: Readonly<Record<Family, Plan>> = {
  vicreg: { embeddings: [2], options: { ...weights, ...hinge } },
  vibcreg: { embeddings: [2], options: { ...weights, ...hinge } },
  'barlow-twins': {
    embeddings: [2],
    options: { offDiagonal: between(0.001, 1.5), scale: between(0.01, 1.5), epsilon: between(1e-6, 0.1) },
  },
  'w-mse': {
    embeddings: [2],
    options: { distance: ['normalized', 'mse'], epsilon: between(0.001, 0.9), whitening: ['cholesky', 'zca', 'iterative', 'none'] },
  },
  simclr: { embeddings: [2], options: { temperature } },
  moco: { embeddings: [2], options: { temperature }, state: (rows, n, d) => ({ queue: rows(n + 3, d) }) },
  swav: {
    embeddings: [2, 3],
    options: { temperature, epsilon: between(0.02, 1.5), iterations: [0, 5] as const },
    state: (rows, n, d) => ({ prototypes: rows(n + 1, d), ...(n % 2 === 0 ? { queue1: rows(5, d), queue2: rows(4, d) } : {}) }),
  },
  deepcluster: {
    embeddings: [1],
    options: { temperature },
    state: (rows, n, d) => ({
      prototypes: rows(4, d),
      assignments: rows(n, 1).map(([x], i) => (i > 0 && x! < -1 ? -100 : Math.floor(Math.abs(x!) * 100) % 4)),
    }),
  },
  byol: { embeddings: [2, 4] },
  simsiam: { embeddings: [2, 4], options: { stopGradient: ['on', 'off'] } },
  dino: {
    embeddings: [4, 6],
    options: { studentTemperature: temperature, teacherTemperature: temperature },
    state: (rows, _n, d) => ({ centre: rows(1, d)[0]! }),
  },
  sigreg: { embeddings: [1, 3], state: slices },
  lejepa: { embeddings: [2, 3], options: { sigreg: between(0.01, 0.9), globals: [1, 2] as const }, state: slices },
  tico: {
    embeddings: [2],
    options: { contrast: between(0.1, 30.5), covarianceMomentum: between(0.01, 0.99) },
    state: (rows, n, d) => ({ runningCovariance: covariance(normalized(rows(2 * n, d))) }),
  },
  mmcr: { embeddings: [2, 3], options: { global: between(0.1, 3.5), local: between(0.1, 3.5) } },
  tcr: { embeddings: [1, 3], options: { epsilon: between(0.01, 2.5) } },
  frossl: { embeddings: [2, 3], options: { invariance: between(0.1, 3.5) } },
  corinfomax: {
    embeddings: [2],
    options: { invariance: between(0.1, 900.5), momentum: between(0.01, 0.99), epsilon: between(1e-6, 0.1) },
    state: (rows, n, d) => ({
      meanA: rows(1, d)[0]!,
      covarianceA: covariance(rows(2 * n, d)),
      meanB: rows(1, d)[0]!,
      covarianceB: covariance(rows(2 * n, d)),
    }),
  },
};

/** What a family's loss is given at a seed: sizes, scale, offset and which options are given are drawn as well. */
export function drawn(family: Family, seed: number, fixed: Draw['options'] = {}): Draw {
  const { embeddings: counts, state, options = {} } = plans[family];
  let next = 0;
  const whole = (least: number, most: number): number => {
    const [[x]] = rows(seed + 0x5eed * ++next, 1, 1) as [[number]];
    return least + (Math.floor(Math.abs(x) * 1e6) % (most - least + 1));
  };
  const part = (): number => whole(0, 999) / 999;
  const d = whole(1, 4);
  const n = whole(2 * d + 1, 2 * d + 5);
  const [size, offset] = [2 ** whole(-2, 2), whole(-1, 1)];
  const fresh = (length: number, width: number): number[][] => rows(seed + 0xbeef * ++next, length, width);
  const chosen = Object.entries<readonly (number | string)[]>(options).flatMap(([name, values]) => {
    if (whole(0, 2) === 0) return [];
    const [least, most] = values;
    if (typeof least !== 'number' || typeof most !== 'number') return [[name, values[whole(0, values.length - 1)]!] as const];
    return [[name, Number.isInteger(least) && Number.isInteger(most) ? whole(least, most) : least + part() * (most - least)] as const];
  });
  const [shared, count] = [fresh(n, d), counts[whole(0, counts.length - 1)]!];
  return {
    // Views have something in common, as those of images have.
    embeddings: Array.from({ length: count }, () =>
      fresh(n, d).map((row, i) => row.map((value, j) => size * (0.5 * value + shared[i]![j]! + offset))),
    ),
    state: state?.(fresh, n, d) ?? {},
    options: { ...Object.fromEntries(chosen), ...fixed },
  };
}

export const draws = (family: Family, fixed?: Draw['options']): Arbitrary<Draw> =>
  fc.integer({ min: 0, max: 2 ** 30 }).map((seed) => drawn(family, seed, fixed));
