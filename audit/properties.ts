import { Arithmetic, type Matrix, stacked } from './arithmetic.ts';
import {
  type Batch,
  type Case,
  type DrawOptions,
  mapEmbeddings,
  orderOf,
  permuteSamples,
  rotationOf,
  type Shape,
  type Style,
  sizesOf,
  turned,
} from './batch.ts';
import type { Options } from './formulas/formula.ts';
import { type Family, familyNames } from './formulas/index.ts';
import { type Expected, isSmooth, type Model } from './model.ts';
import { kept } from './state.ts';
import { type Answer, largest } from './subject.ts';

/** What a property is checked against: a loss, and its definition where the family has one. */
export interface Trial {
  readonly shape: Shape;
  /** The roundoff of the precision. */
  readonly unit: number;
  readonly definition: Model | null;
  /** Whether the loss gives gradients. */
  readonly gradients: boolean;
  /** Options that the loss takes from its context: another value of theirs changes what it comes to. */
  readonly reads: readonly string[];
  /** Asks for the loss, and for its gradients if they are wanted. */
  ask(batch: Batch, gradients?: boolean): Promise<Answer>;
  expected(batch: Batch): Expected;
  /** How far a loss of this batch that was seen to be `value` may be from another evaluation of it. */
  tolerance(batch: Batch, value: number): Promise<number>;
}

/** What was seen where something else should have been. */
export interface Breach {
  readonly sentence: string;
  readonly expected: number | null;
  readonly seen: number | null;
  readonly tolerance: number | null;
  /** The batch that it is about, where that is not the one that was drawn. */
  readonly batch?: Batch;
  /** The message of the error, where the loss threw. */
  readonly threw?: string;
}

/** A row of the table of properties. Rows stand in the order in which what they find matters. */
export interface Property {
  readonly name: string;
  /** What should hold, as a sentence. */
  readonly statement: string;
  /** Where it is said or shown. */
  readonly source: string;
  readonly families: readonly Family[];
  /** What else must be so: gradients given, an option of some value. */
  readonly when?: (trial: Pick<Trial, 'gradients' | 'reads' | 'shape'>) => boolean;
  /** How its batches are drawn; in order, the plainest first. */
  readonly draws: readonly DrawOptions[];
  /** How many draws of each hundred that are asked for; 1, unless given. */
  readonly share?: number;
  /** What most likely breaks it, where nothing else does. */
  readonly likely?: string;
  readonly check: (trial: Trial, drawn: Case) => Promise<Breach | null>;
}

const every: readonly Family[] = [...familyNames, 'custom'];
const plain: readonly DrawOptions[] = [{ style: 'whole' }, { style: 'fine', plain: true }];
const both: readonly DrawOptions[] = [{ style: 'whole' }, { style: 'fine' }];
const styles = (...names: Style[]): readonly DrawOptions[] => names.map((style) => ({ style, plain: true }));

const cosine = ['simclr', 'moco', 'swav', 'deepcluster', 'byol', 'simsiam', 'tico', 'mmcr', 'tcr'] as const;
const perSample = ['moco', 'deepcluster', 'byol', 'simsiam', 'dino'] as const;
const paired = [
  'vicreg',
  'barlow-twins',
  'w-mse',
  'simclr',
  'moco',
  'swav',
  'byol',
  'simsiam',
  'dino',
  'lejepa',
  'vibcreg',
  'tico',
  'mmcr',
  'frossl',
  'corinfomax',
] as const;

export const digits = (x: number | null): string =>
  x === null ? 'none' : Number.isInteger(x) && Math.abs(x) < 1e6 ? String(x) : String(Number(x.toPrecision(9)));

/** A breach if what was seen is not what was expected. */
function differs(seen: number, expected: number, tolerance: number, sentence: () => string, batch?: Batch): Breach | null {
  // Where the definition itself has no value, or none that can be told from another, nothing is asked.
  if (!Number.isFinite(expected) || !Number.isFinite(tolerance)) return null;
  if (Math.abs(seen - expected) <= tolerance) return null;
  return { sentence: sentence(), expected, seen, tolerance, ...(batch && { batch }) };
}

/** A row whose batches are changed in a way that changes the loss in a known way. */
function law(
  row: Omit<Property, 'check' | 'draws'> & {
    readonly draws?: readonly DrawOptions[];
    readonly change: (drawn: Case, trial: Trial) => Batch | null;
    /** What the loss becomes; the same, unless given. */
    readonly becomes?: (value: number, drawn: Batch) => number;
  },
): Property {
  const { change, becomes = (value) => value, draws = plain, ...rest } = row;
  return {
    ...rest,
    draws,
    check: async (trial, drawn) => {
      const after = change(drawn, trial);
      if (after === null) return null;
      const [first, second] = [await trial.ask(drawn.batch), await trial.ask(after)];
      const expected = becomes(first.loss, drawn.batch);
      const factor = first.loss === 0 ? 1 : Math.max(1, Math.abs(expected / first.loss));
      const tolerance = factor * (await trial.tolerance(drawn.batch, first.loss)) + (await trial.tolerance(after, second.loss));
      if (!Number.isFinite(tolerance)) return null;
      if (!Number.isFinite(first.loss)) return { sentence: `the loss is ${first.loss}`, expected: null, seen: first.loss, tolerance };
      return differs(second.loss, expected, tolerance, () => `the loss was ${digits(first.loss)}, and is ${digits(second.loss)} after`);
    },
  };
}

/** A row that says what the loss of known batches is. */
function known(
  row: Pick<Property, 'name' | 'statement' | 'source' | 'families'> & {
    readonly batch: (drawn: Case, trial: Trial) => Batch | null;
    readonly value: (batch: Batch) => number;
    readonly draws?: readonly DrawOptions[];
  },
): Property {
  const { batch: of, value, draws = styles('whole'), ...rest } = row;
  return {
    ...rest,
    draws,
    share: 0.3,
    check: async (trial, drawn) => {
      const batch = of(drawn, trial);
      if (batch === null) return null;
      const [answer, expected] = [await trial.ask(batch), value(batch)];
      const tolerance = await trial.tolerance(batch, expected);
      return differs(
        answer.loss,
        expected,
        tolerance,
        () => `the loss of such a batch is ${digits(expected)}; it is ${digits(answer.loss)}`,
        batch,
      );
    },
  };
}

/** The bounds of a loss. */
function bounds(
  family: Family,
  source: string,
  statement: string,
  least: ((b: Batch) => number) | null,
  most: ((b: Batch) => number) | null,
): Property {
  return {
    name: `bounds of ${family}`,
    statement,
    source,
    families: [family],
    draws: both,
    check: async (trial, { batch }) => {
      const { loss } = await trial.ask(batch);
      const tolerance = await trial.tolerance(batch, loss);
      const [low, high] = [least?.(batch) ?? -Infinity, most?.(batch) ?? Infinity];
      if (!Number.isFinite(tolerance) || (loss >= low - tolerance && loss <= high + tolerance)) return null;
      const limit = loss < low ? low : high;
      return { sentence: `the loss is ${digits(loss)}, beyond its bound of ${digits(limit)}`, expected: limit, seen: loss, tolerance };
    },
  };
}

const option = (batch: Batch, name: string): number => Number(batch.options[name]);
const every1 = (z: Matrix): Matrix => ({ ...z, data: Float64Array.from(z.data, (_, k) => z.data[k % z.columns]!) });

/** All samples, and all rows of state, are the first embedding's first row. */
function collapsed({ batch }: Case): Batch {
  const row = batch.embeddings[0]!.data.slice(0, batch.embeddings[0]!.columns);
  const fill = (z: Matrix): Matrix => ({ ...z, data: Float64Array.from(z.data, (_, k) => row[k % row.length]!) });
  const rows = ['queue', 'prototypes'];
  return {
    ...mapEmbeddings(batch, fill),
    state: Object.fromEntries(Object.entries(batch.state).map(([name, x]) => [name, rows.includes(name) ? fill(x) : x])),
  };
}

/** Rows of ±1 whose columns have mean 0 and are orthogonal to each other: 2^k samples of up to 2^k − 1 dimensions. */
export function hadamard(n: number, d: number): Matrix {
  const bits = (x: number): number => x.toString(2).replaceAll('0', '').length;
  return new Arithmetic().matrix(n, d, (i, j) => (bits(i & (j + 1)) % 2 === 0 ? 1 : -1));
}

/** Views that agree and whose dimensions have the deviation `deviation` (unbiased) and no covariance, or null where sizes are fixed otherwise. */
function healthy({ batch }: Case, { shape }: Trial, deviation: number, shift = 0): Batch | null {
  const { d } = sizesOf(batch);
  if (shape.samples !== undefined || d > 7) return null;
  const n = d < 4 ? 4 : 8;
  const z = new Arithmetic().map(hadamard(n, d), (x) => x * deviation * Math.sqrt((n - 1) / n) + shift);
  const rounded = shape.precision === 'f32' ? { ...z, data: z.data.map(Math.fround) } : z;
  return { ...batch, embeddings: batch.embeddings.map(() => rounded) };
}

const scaledBy =
  (factor: (row: number, place: number, column: number) => number) =>
  (batch: Batch): Batch =>
    mapEmbeddings(batch, (z, place) => ({ ...z, data: z.data.map((x, k) => x * factor(Math.floor(k / z.columns), place, k % z.columns)) }));

const movedBy =
  (of: (column: number, place: number) => number) =>
  (batch: Batch): Batch =>
    mapEmbeddings(batch, (z, place) => ({ ...z, data: z.data.map((x, k) => x + of(k % z.columns, place)) }));

const powers = [2, 0.5, 4, 0.25] as const;

const repeatedSamples = (batch: Batch): Batch => ({
  ...mapEmbeddings(batch, (z) => stacked([z, z])),
  state: Object.fromEntries(
    Object.entries(batch.state).map(([name, x]) => [
      name,
      name === 'assignments' ? { ...x, columns: 2 * x.columns, data: Float64Array.from([...x.data, ...x.data]) } : x,
    ]),
  ),
});

/** Further columns: zeros, or the same again. */
function widened(batch: Batch, kinds: Shape['state'], repeat: boolean): Batch {
  const wide = (x: Matrix): Matrix => ({
    rows: x.rows,
    columns: x.columns * (repeat ? 2 : 1) + (repeat ? 0 : 1),
    data: Float64Array.from(
      Array.from({ length: x.rows }, (_, i) => {
        const row = Array.from(x.data.subarray(i * x.columns, (i + 1) * x.columns));
        return repeat ? [...row, ...row] : [...row, 0];
      }).flat(),
    ),
  });
  return {
    ...mapEmbeddings(batch, wide),
    state: Object.fromEntries(Object.entries(batch.state).map(([name, x]) => [name, kinds[name] === 'rows' ? wide(x) : x])),
  };
}

/** The views, and what belongs to each, exchanged. */
function exchanged(batch: Batch): Batch {
  const count = batch.embeddings.length;
  const order = count === 4 ? [1, 0, 3, 2] : [1, 0, ...Array.from({ length: count - 2 }, (_, i) => i + 2)];
  const names: Readonly<Record<string, string>> = {
    meanA: 'meanB',
    meanB: 'meanA',
    covarianceA: 'covarianceB',
    covarianceB: 'covarianceA',
    queue1: 'queue2',
    queue2: 'queue1',
  };
  return {
    ...batch,
    embeddings: order.map((i) => batch.embeddings[i]!),
    state: Object.fromEntries(Object.entries(batch.state).map(([name, x]) => [names[name] ?? name, x])),
  };
}

/** Which embeddings a permutation of one view alone is of. */
const secondView: Partial<Record<Family, readonly number[]>> = { byol: [-1], simsiam: [-1] };

/** Other values that an option is asked with. */
export const otherValues: Readonly<Record<string, readonly number[]>> = {
  temperature: [1, 0.25, 0.05],
  studentTemperature: [1, 0.25],
  teacherTemperature: [1, 0.25],
  gamma: [0.5, 2],
  epsilon: [0.1, 0.25],
  invariance: [1, 10],
  variance: [1, 10],
  covariance: [0, 10],
  offDiagonal: [1, 0.05],
  scale: [0.5, 3],
  contrast: [1, 3],
  covarianceMomentum: [0.5, 0.2],
  momentum: [0.5, 0.9],
  sigreg: [0.5, 0.1],
  global: [2],
  local: [0.5],
  iterations: [1, 5],
};

/** Options as a batch has them, but for one. */
export const withOption = (batch: Batch, name: string, value: number): Batch => ({
  ...batch,
  options: { ...batch.options, [name]: value } as Options,
});

const shapeList = (z: Matrix): string => `[${z.rows}, ${z.columns}]`;

/** How exact a gradient must be, relative to its largest element: those that a loss takes by differences are no fault. */
const ACCURACY = 1e-5;

/** Compares gradients with what they should be. */
function gradientBreach(trial: Trial, batch: Batch, given: readonly Matrix[], value: number): Breach | null {
  const { definition, shape } = trial;
  if (!definition) return null;
  // Where the value can hardly be told, its slope cannot.
  if (trial.expected(batch).tolerance > 0.01 * Math.max(Math.abs(value), 1)) return null;
  const { gradients, errors } = definition.gradients(batch);
  const a = new Arithmetic();
  // What cancels in one view's gradient is as large as in another's.
  const most = Math.max(...gradients.map((gradient) => Math.abs(largest(gradient).value)));
  for (const [v, gradient] of given.entries()) {
    const [right, error] = [gradients[v]!, errors[v]!];
    const z = batch.embeddings[v]!;
    // The lengths over which the loss changes: those of rows, or of what they differ by.
    const [whole, apart] = [z, a.centred(z)].map((x) => Math.sqrt(a.meanOf(a.rowSquares(x)) / z.columns)) as [number, number];
    const size = Math.min(whole || 1, apart || whole || 1);
    const scale = expectedScale(trial, batch, value) / size;
    for (let k = 0; k < gradient.data.length; k++) {
      const [seen, expected] = [gradient.data[k]!, right.data[k]!];
      const tolerance = 4 * error.data[k]! + 400 * trial.unit * (most + scale) + ACCURACY * most + 1e-3 * ACCURACY * scale;
      if (!Number.isFinite(expected) || !Number.isFinite(tolerance)) continue;
      if (Math.abs(seen - expected) <= tolerance) continue;
      const place = `${shape.names[v]}[${Math.floor(k / z.columns)}][${k % z.columns}]`;
      return { sentence: `the gradient for ${place} should be ${digits(expected)}, and is ${digits(seen)}`, expected, seen, tolerance };
    }
  }
  return null;
}

/** How large the terms of a loss are, whatever cancels between them, as its conditioning tells. */
function expectedScale(trial: Trial, batch: Batch, value: number): number {
  const { n, d } = sizesOf(batch);
  const { tolerance } = trial.expected(batch);
  return Math.abs(value) + tolerance / (trial.unit * (32 + 4 * Math.max(n, d)));
}

/** Embeddings whose gradient is none, by definition. */
const constants: Partial<Record<Family, (names: readonly string[]) => readonly number[]>> = {
  moco: () => [1],
  byol: (names) => (names.length === 4 ? [2, 3] : []),
  simsiam: (names) => (names.length === 4 ? [2, 3] : []),
  dino: () => [0, 1],
};

export const properties: readonly Property[] = [
  {
    name: 'determinism',
    likely: 'the loss draws something at random, or keeps something from call to call',
    statement: 'the same batch gives the same loss',
    source: 'a loss is a function of its arguments',
    families: every,
    draws: styles('fine'),
    share: 0.2,
    check: async (trial, { batch }) => {
      const [first, second] = [await trial.ask(batch), await trial.ask(batch)];
      const tolerance = await trial.tolerance(batch, first.loss);
      return differs(
        second.loss,
        first.loss,
        tolerance,
        () => `the same batch gave ${digits(first.loss)}, and then ${digits(second.loss)}`,
      );
    },
  },
  {
    name: 'definition',
    statement: 'the loss is what its definition says',
    source: 'the family’s source',
    families: every.filter((family) => family !== 'custom'),
    draws: both,
    share: 2,
    check: async (trial, { batch }) => {
      const { value, tolerance } = trial.expected(batch);
      if (!Number.isFinite(value) || !Number.isFinite(tolerance)) return null;
      const { loss } = await trial.ask(batch);
      return differs(loss, value, tolerance, () => `by its definition the loss is ${digits(value)}; it is ${digits(loss)}`);
    },
  },
  {
    name: 'options',
    statement: 'with another value of an option (γ, ε, τ, λ and the like), too, the loss is what its definition says',
    source: 'the family’s source',
    families: every.filter((family) => family !== 'custom'),
    when: ({ reads }) => reads.length > 0,
    draws: both,
    check: async (trial, { batch, dice }) => {
      const name = trial.reads[dice % trial.reads.length]!;
      const values = otherValues[name]!;
      const changed = withOption(batch, name, values[Math.floor(dice / 7) % values.length]!);
      const { value, tolerance } = trial.expected(changed);
      if (!Number.isFinite(value) || !Number.isFinite(tolerance)) return null;
      const { loss } = await trial.ask(changed);
      return differs(
        loss,
        value,
        tolerance,
        () => `with ${name} ${changed.options[name]} the loss is ${digits(value)} by its definition; it is ${digits(loss)}`,
        changed,
      );
    },
  },
  {
    name: 'stop-gradient',
    likely: 'the target is not detached, or the result of detaching it is not used',
    statement: 'embeddings that are constants by definition (targets, keys, the teacher) get no gradient',
    source: 'BYOL Eq. 2; SimSiam Eq. 3; MoCo §3.2; DINO Eq. 3',
    families: ['moco', 'byol', 'simsiam', 'dino'],
    when: ({ gradients, shape }) =>
      gradients && shape.options['stopGradient'] !== 'off' && (constants[shape.family]?.(shape.names) ?? []).length > 0,
    draws: plain,
    check: async (trial, { batch }) => {
      const { gradients } = await trial.ask(batch, true);
      for (const place of constants[trial.shape.family]!(trial.shape.names)) {
        const { value, row, column } = largest(gradients![place]!);
        if (value !== 0)
          return {
            sentence: `${trial.shape.names[place]} is a constant, and has a gradient: ${digits(value)} at [${row}][${column}]`,
            expected: 0,
            seen: value,
            tolerance: 0,
          };
      }
      return null;
    },
  },
  {
    name: 'gradient of the definition',
    statement: 'the gradient is the derivative of the definition, with its constants',
    source: 'differences of fourth order of the definition in double precision',
    families: every.filter((family) => family !== 'custom'),
    when: ({ gradients }) => gradients,
    draws: plain,
    share: 0.6,
    check: async (trial, { batch }) => {
      const { loss, gradients } = await trial.ask(batch, true);
      return gradients && gradientBreach(trial, batch, gradients, loss);
    },
  },
  {
    name: 'state of the next batch',
    statement: 'a centre or running covariance that the loss gives for the next batch is what its definition says',
    likely: 'it is updated from something else (probabilities, rows of another length, one view), or with another momentum',
    source: 'DINO Eq. 4: c ← .9c + .1·mean of the teacher’s outputs; TiCo Eq. 3; CorInfoMax Eq. 5–6',
    families: ['dino', 'tico', 'corinfomax'],
    draws: both,
    share: 0.5,
    check: async (trial, { batch }) => {
      const { next } = await trial.ask(batch);
      for (const [name, [of]] of Object.entries(kept[trial.shape.family] ?? {})) {
        const seen = next[name];
        if (seen === undefined) continue;
        const right = of!.of(new Arithmetic(), batch).data;
        const most = Math.max(...right.map(Math.abs), ...batch.embeddings.flatMap(({ data }) => Array.from(data, Math.abs)));
        const tolerance = trial.unit * 200 * Math.max(most, most ** 2);
        if (seen.length !== right.length)
          return {
            sentence: `${name} for the next batch has ${seen.length} elements, not ${right.length}`,
            expected: right.length,
            seen: seen.length,
            tolerance: 0,
          };
        const at = right.findIndex((x, k) => !(Math.abs(x - seen[k]!) <= tolerance));
        if (at >= 0)
          return {
            sentence: `${name} for the next batch should be ${digits(right[at]!)} at ${at}, and is ${digits(seen[at]!)}`,
            expected: right[at]!,
            seen: seen[at]!,
            tolerance,
          };
      }
      return null;
    },
  },
  {
    name: 'gradient of the loss',
    statement: 'the gradient is the derivative of the loss that was given, as far as the family has no constants',
    source: 'central differences of the loss itself, along a direction',
    families: every.filter((family) => !(['moco', 'byol', 'simsiam', 'dino', 'swav', 'tico'] as readonly string[]).includes(family)),
    when: ({ gradients, shape }) => gradients && shape.precision === 'f64',
    draws: [{ style: 'fine', plain: true }],
    share: 0.3,
    check: async (trial, { batch, dice }) => {
      const { gradients, loss } = await trial.ask(batch, true);
      if (!gradients) return null;
      const direction = (k: number, v: number): number => Math.sin(1 + k * 1.7 + v * 5.3 + dice);
      const along = async (h: number): Promise<readonly [slope: number, bend: number]> => {
        const move = (sign: number): Batch =>
          mapEmbeddings(batch, (z, v) => ({ ...z, data: z.data.map((x, k) => x + sign * h * direction(k, v)) }));
        const [plus, minus] = [(await trial.ask(move(1))).loss, (await trial.ask(move(-1))).loss];
        return [(plus - minus) / (2 * h), plus + minus - 2 * loss];
      };
      const h = 2 ** -11;
      const [[fine, near], [coarse, far]] = [await along(h), await along(2 * h)];
      // On the way a hinge may turn.
      if (!isSmooth(near, far, 2 ** -48 * (Math.abs(loss) + 1))) return null;
      const difference = (4 * fine - coarse) / 3;
      const slope = gradients.reduce((sum, g, v) => sum + g.data.reduce((part, x, k) => part + x * direction(k, v), 0), 0);
      const tolerance = Math.abs(fine - coarse) + (2 ** -44 * (Math.abs(loss) + 1)) / h + ACCURACY * Math.abs(slope);
      return differs(
        slope,
        difference,
        tolerance,
        () => `along a direction the loss changes by ${digits(difference)} a unit, and its gradient says ${digits(slope)}`,
      );
    },
  },
  {
    name: 'gradient at collapse',
    likely: 'there is no ε under a root, or in a division by a length',
    statement: 'where all samples are one, the gradient is finite',
    source: 'VICReg: ε inside the root; augustwester/vicreg has none, and NaN there',
    families: [
      'vicreg',
      'vibcreg',
      'barlow-twins',
      'simclr',
      'moco',
      'byol',
      'simsiam',
      'dino',
      'swav',
      'deepcluster',
      'tico',
      'tcr',
      'sigreg',
      'lejepa',
    ],
    when: ({ gradients }) => gradients,
    draws: styles('whole'),
    share: 0.2,
    check: async (trial, drawn) => {
      const batch = collapsed(drawn);
      const { gradients } = await trial.ask(batch, true);
      for (const [v, gradient] of (gradients ?? []).entries()) {
        const at = gradient.data.findIndex((x) => !Number.isFinite(x));
        if (at >= 0)
          return {
            sentence: `all samples are one, and the gradient for ${trial.shape.names[v]} is ${gradient.data[at]}`,
            expected: null,
            seen: gradient.data[at]!,
            tolerance: null,
            batch,
          };
      }
      return null;
    },
  },
  known({
    name: 'collapse',
    statement: 'where all samples are one, the loss is 25·(γ − √ε) = 24.75 (official; both views added up: 49.5)',
    source: 'VICReg Eq. 1–2, with ε = 1e-4',
    families: ['vicreg'],
    batch: collapsed,
    value: ({ options, embeddings: [z] }) => {
      const views = options['dialect'] === 'paper' || options['dialect'] === 'solo-learn' ? 2 : 1;
      return z ? views * Number(options['variance']) * Math.max(0, Number(options['gamma']) - Math.sqrt(Number(options['epsilon']))) : 0;
    },
  }),
  known({
    name: 'collapse of vibcreg',
    statement: 'where all samples are one, the loss is 25·2·(γ − √ε) = 49.5',
    source: 'VIbCReg: both views’ hinges are added up',
    families: ['vibcreg'],
    batch: collapsed,
    value: (batch) => 2 * option(batch, 'variance') * Math.max(0, option(batch, 'gamma') - Math.sqrt(option(batch, 'epsilon'))),
  }),
  known({
    name: 'collapse of barlow-twins',
    statement: 'where all samples are one, C = 0 and the loss is d',
    source: 'Barlow Twins Eq. 1',
    families: ['barlow-twins'],
    batch: collapsed,
    value: (batch) => sizesOf(batch).d * option(batch, 'scale'),
  }),
  known({
    name: 'collapse of simclr',
    statement: 'where all samples are one, the loss is ln(2n − 1)',
    source: 'SimCLR Eq. 1',
    families: ['simclr'],
    batch: collapsed,
    value: (batch) => Math.log(2 * sizesOf(batch).n - 1) * (batch.options['dialect'] === 'google' ? 2 : 1),
  }),
  known({
    name: 'collapse of moco',
    statement: 'where all keys are one, the loss is ln(K + 1)',
    source: 'MoCo Eq. 1',
    families: ['moco'],
    batch: collapsed,
    value: (batch) => Math.log(batch.state['queue']!.rows + 1),
  }),
  known({
    name: 'collapse of clusters',
    statement: 'where all prototypes are one, the loss is ln K',
    source: 'SwAV Eq. 2',
    families: ['swav', 'deepcluster'],
    batch: ({ batch }) => ({ ...batch, state: { ...batch.state, prototypes: every1(batch.state['prototypes']!) } }),
    value: (batch) => Math.log(batch.state['prototypes']!.rows),
  }),
  known({
    name: 'agreement',
    statement: 'where both views agree, the loss is 0',
    source: 'BYOL Eq. 2',
    families: ['byol'],
    batch: ({ batch }) => ({ ...batch, embeddings: batch.embeddings.map(() => batch.embeddings[0]!) }),
    value: () => 0,
  }),
  known({
    name: 'opposition',
    statement: 'where targets are opposite to predictions, the loss is 8: 4 in each direction',
    source: 'BYOL Eq. 2',
    families: ['byol'],
    batch: ({ batch }) =>
      mapEmbeddings({ ...batch, embeddings: batch.embeddings.map(() => batch.embeddings[0]!) }, (z, place) =>
        place < batch.embeddings.length / 2 ? z : { ...z, data: z.data.map((x) => -x) },
      ),
    value: () => 8,
  }),
  known({
    name: 'agreement of simsiam',
    statement: 'where both views agree, the loss is −1',
    source: 'SimSiam Eq. 1',
    families: ['simsiam'],
    batch: ({ batch }) => ({ ...batch, embeddings: batch.embeddings.map(() => batch.embeddings[0]!) }),
    value: () => -1,
  }),
  known({
    name: 'uniform student',
    statement: 'a student that tells nothing apart has the loss ln d',
    source: 'DINO Eq. 2',
    families: ['dino'],
    batch: ({ batch }) => mapEmbeddings(batch, (z, place) => (place < 2 ? z : { ...z, data: z.data.map(() => 1) })),
    value: (batch) => Math.log(sizesOf(batch).d),
  }),
  known({
    name: 'collapse of mmcr',
    statement: 'where all samples are one, the nuclear norm is √n',
    source: 'MMCR Eq. 3',
    families: ['mmcr'],
    batch: collapsed,
    value: (batch) => -option(batch, 'global') * Math.sqrt(sizesOf(batch).n) + option(batch, 'local') * Math.sqrt(batch.embeddings.length),
  }),
  known({
    name: 'collapse of tcr',
    statement: 'where all samples are one, the loss is −½·ln(1 + d/ε)',
    source: 'MCR² Eq. 7',
    families: ['tcr'],
    batch: collapsed,
    value: (batch) => -0.5 * Math.log1p(sizesOf(batch).d / option(batch, 'epsilon')),
  }),
  known({
    name: 'collapse of frossl',
    statement: 'where all samples are one, the loss is 0',
    source: 'FroSSL Eq. 3',
    families: ['frossl'],
    batch: (drawn) => {
      const z = drawn.batch.embeddings[0]!;
      return drawn.batch.options['dialect'] === 'paper' || z.data.subarray(0, z.columns).includes(0) ? null : collapsed(drawn);
    },
    value: () => 0,
  }),
  known({
    name: 'hinge',
    statement: 'where views agree, dimensions are uncorrelated, and every deviation is above γ, the loss is 0',
    source: 'VICReg Eq. 1: v = 0 exactly when every variance is at least γ² − ε',
    families: ['vicreg', 'vibcreg'],
    batch: (drawn, trial) => healthy(drawn, trial, Number(drawn.batch.options['gamma']) * (1 + drawn.dice / 300), drawn.dice % 3),
    value: () => 0,
  }),
  {
    name: 'hinge exactness',
    statement: 'a dimension whose variance is a little less than γ² − ε costs what the definition says, and one a little above it nothing',
    source: 'VICReg Eq. 1',
    families: ['vicreg', 'vibcreg'],
    draws: styles('whole'),
    share: 0.3,
    check: async (trial, drawn) => {
      const { gamma, epsilon } = drawn.batch.options;
      const batch = healthy(
        drawn,
        trial,
        Math.sqrt(Math.max(0, Number(gamma) ** 2 - Number(epsilon))) * (1 + ((drawn.dice % 21) - 10) / 400),
      );
      if (batch === null) return null;
      const { value, tolerance } = trial.expected(batch);
      const { loss } = await trial.ask(batch);
      return differs(loss, value, tolerance, () => `by its definition the loss is ${digits(value)}; it is ${digits(loss)}`, batch);
    },
  },
  law({
    name: 'pairing',
    statement: 'no view is compared with the other: samples of one in another order change nothing',
    source: 'EMP-SSL, MCR² Eq. 7; LeJEPA Eq. 6',
    families: ['sigreg', 'tcr'],
    change: ({ batch, dice }, { shape }) => permuteSamples(batch, orderOf(sizesOf(batch).n, dice), shape.state, [0]),
  }),
  {
    name: 'pairing matters',
    statement: 'which samples are views of one image matters: one view in another order changes the loss',
    source: 'what is learned is that views of one image agree',
    families: paired,
    draws: styles('fine'),
    check: async (trial, { batch, dice }) => {
      const count = batch.embeddings.length;
      const views = (secondView[trial.shape.family] ?? [1]).map((place) => (place + count) % count);
      const after = permuteSamples(
        batch,
        orderOf(sizesOf(batch).n, dice),
        trial.shape.state,
        trial.shape.family === 'dino' ? [2, 3] : views,
      );
      const [before, moved] = [trial.expected(batch), trial.expected(after)];
      const gap = Math.abs(before.value - moved.value);
      if (!(gap > 1000 * (before.tolerance + moved.tolerance) + 1e-6 * Math.abs(before.value))) return null;
      const [first, second] = [await trial.ask(batch), await trial.ask(after)];
      const tolerance = (await trial.tolerance(batch, first.loss)) + (await trial.tolerance(after, second.loss));
      if (Math.abs(first.loss - second.loss) > Math.min(tolerance, gap / 2)) return null;
      return {
        sentence: `one view in another order leaves the loss at ${digits(second.loss)}, where it should change by ${digits(gap)}`,
        expected: null,
        seen: second.loss,
        tolerance,
      };
    },
  },
  {
    name: 'collapse costs',
    statement: 'a batch whose samples are all one has a higher loss than one of spread samples whose views agree',
    source: 'what keeps the method from collapse',
    families: ['vicreg', 'barlow-twins', 'simclr', 'moco', 'vibcreg', 'tico', 'mmcr', 'tcr', 'frossl', 'corinfomax', 'sigreg', 'lejepa'],
    draws: styles('whole'),
    share: 0.2,
    check: async (trial, drawn) => {
      const spread = healthy(drawn, trial, 1);
      const point = spread && collapsed({ ...drawn, batch: spread });
      if (!spread || !point) return null;
      // Of the queue or the covariance before, each goes on as it was drawn.
      const [a, b] = [trial.expected({ ...point, state: drawn.batch.state }), trial.expected(spread)];
      const gap = a.value - b.value;
      if (!(gap > 0.05 * Math.abs(b.value) + 1000 * (a.tolerance + b.tolerance))) return null;
      const [first, second] = [await trial.ask({ ...point, state: drawn.batch.state }), await trial.ask(spread)];
      if (first.loss > second.loss) return null;
      return {
        sentence: `all samples one: ${digits(first.loss)}; spread: ${digits(second.loss)}. Collapse costs nothing`,
        expected: null,
        seen: first.loss - second.loss,
        tolerance: null,
        batch: point,
      };
    },
  },
  bounds('vicreg', 'VICReg Eq. 6', 'the loss is at least 0', () => 0, null),
  bounds('vibcreg', 'VIbCReg', 'the loss is at least 0', () => 0, null),
  bounds(
    'barlow-twins',
    'Barlow Twins Eq. 1',
    'the loss is at least 0, and at most 4d + λ·d(d−1), as |C_ij| ≤ 1',
    () => 0,
    (b) => option(b, 'scale') * (4 * sizesOf(b).d + option(b, 'offDiagonal') * sizesOf(b).d * (sizesOf(b).d - 1)),
  ),
  bounds(
    'w-mse',
    'W-MSE §3',
    'the loss of normalised rows is from 0 to 4',
    () => 0,
    (b) => (b.options['distance'] === 'mse' ? Infinity : 4),
  ),
  bounds(
    'simclr',
    'SimCLR Eq. 1',
    'the loss is within ln(1 + (2n − 2)·e^(∓2/τ))',
    (b) => Math.log1p((2 * sizesOf(b).n - 2) * Math.exp(-2 / option(b, 'temperature'))) * (b.options['dialect'] === 'google' ? 2 : 1),
    (b) => Math.log1p((2 * sizesOf(b).n - 2) * Math.exp(2 / option(b, 'temperature'))) * (b.options['dialect'] === 'google' ? 2 : 1),
  ),
  bounds(
    'moco',
    'MoCo Eq. 1',
    'the loss is within ln(1 + K·e^(∓2/τ))',
    (b) => Math.log1p(b.state['queue']!.rows * Math.exp(-2 / option(b, 'temperature'))),
    (b) => Math.log1p(b.state['queue']!.rows * Math.exp(2 / option(b, 'temperature'))),
  ),
  bounds(
    'byol',
    'BYOL Eq. 2',
    'the loss is from 0 to 8: each direction from 0 to 4',
    () => 0,
    () => 8,
  ),
  bounds(
    'simsiam',
    'SimSiam Eq. 1',
    'the loss is from −1 to 1',
    () => -1,
    () => 1,
  ),
  bounds('swav', 'SwAV Eq. 2', 'a cross-entropy is at least 0', () => 0, null),
  bounds(
    'deepcluster',
    'SwAV §A',
    'a cross-entropy is at least 0, and at most ln K + 2/τ',
    () => 0,
    (b) => Math.log(b.state['prototypes']!.rows) + 2 / option(b, 'temperature'),
  ),
  bounds('dino', 'DINO Eq. 2', 'a cross-entropy is at least 0', () => 0, null),
  bounds('sigreg', 'LeJEPA Eq. 6', 'the loss is at least 0', () => 0, null),
  bounds(
    'mmcr',
    'MMCR Eq. 3',
    'the nuclear norm of centroids is at most √(n·min(n, d))',
    (b) => (option(b, 'local') > 0 ? -Infinity : -option(b, 'global') * Math.sqrt(sizesOf(b).n * Math.min(sizesOf(b).n, sizesOf(b).d))),
    (b) => (option(b, 'local') > 0 ? Infinity : 0),
  ),
  bounds(
    'tcr',
    'MCR² Eq. 7',
    'a coding rate is at least 0, so its negative is at most 0',
    (b) => -0.5 * Math.min(sizesOf(b).n, sizesOf(b).d) * Math.log1p(sizesOf(b).d / option(b, 'epsilon')),
    () => 0,
  ),
  law({
    name: 'order of samples',
    statement: 'samples, with their views, in another order change nothing',
    source: 'a batch has no order',
    families: every,
    change: ({ batch, dice }, { shape }) => permuteSamples(batch, orderOf(sizesOf(batch).n, dice), shape.state),
  }),
  law({
    name: 'order of dimensions',
    statement: 'dimensions, of everything, in another order change nothing',
    source: 'dimensions have no order',
    families: every.filter((family) => family !== 'w-mse'),
    change: ({ batch, dice }, { shape }) => {
      const { d } = sizesOf(batch);
      const order = orderOf(d, dice);
      const m = new Arithmetic().matrix(d, d, (i, j) => Number(order[j] === i));
      return turned(batch, m, shape.state, shape.precision);
    },
  }),
  law({
    name: 'exchange of views',
    statement: 'the views, with what belongs to each, exchanged change nothing',
    source: 'the views are drawn alike',
    families: [
      'vicreg',
      'barlow-twins',
      'w-mse',
      'simclr',
      'byol',
      'simsiam',
      'swav',
      'dino',
      'sigreg',
      'lejepa',
      'vibcreg',
      'mmcr',
      'tcr',
      'frossl',
      'corinfomax',
    ],
    when: ({ shape }) => shape.names.length === 2 || shape.names.length === 4,
    change: ({ batch }) => exchanged(batch),
  }),
  law({
    name: 'sign of dimensions',
    statement: 'a dimension, of everything, with the other sign changes nothing',
    source: 'the terms are even in each dimension',
    families: [
      'vicreg',
      'barlow-twins',
      'w-mse',
      'simclr',
      'moco',
      'swav',
      'deepcluster',
      'byol',
      'simsiam',
      'sigreg',
      'lejepa',
      'vibcreg',
      'tico',
      'mmcr',
      'tcr',
      'frossl',
      'corinfomax',
    ],
    change: ({ batch, dice }, { shape }) => {
      const { d } = sizesOf(batch);
      return turned(
        batch,
        new Arithmetic().matrix(d, d, (i, j) => (i === j ? (j === dice % d ? -1 : 1) : 0)),
        shape.state,
        shape.precision,
      );
    },
  }),
  law({
    name: 'rotation',
    statement: 'everything turned by one rotation changes nothing',
    source: 'products and lengths do not change',
    families: ['simclr', 'moco', 'swav', 'deepcluster', 'byol', 'simsiam', 'sigreg', 'lejepa', 'tico', 'mmcr', 'tcr', 'corinfomax'],
    change: ({ batch, dice }, { shape }) => turned(batch, rotationOf(sizesOf(batch).d, dice), shape.state, shape.precision),
  }),
  law({
    name: 'translation',
    when: ({ shape }) => shape.options['whitening'] !== 'none',
    statement: 'the same vector added to all samples of both views changes nothing',
    source: 'differences and centred statistics do not change',
    families: ['vicreg', 'barlow-twins', 'w-mse', 'vibcreg'],
    change: ({ batch, dice }) => movedBy((column) => ((dice + column) % 5) - 2 || 3)(batch),
  }),
  law({
    name: 'translation of a view',
    when: ({ shape }) => shape.options['whitening'] !== 'none',
    statement: 'a vector added to all samples of one view changes nothing',
    source: 'each view is centred by itself',
    families: ['barlow-twins', 'w-mse'],
    change: ({ batch, dice }) => movedBy((column, place) => (place === 0 ? ((dice + column) % 5) - 2 || 3 : 0))(batch),
  }),
  law({
    name: 'length of rows',
    statement: 'a row times a positive number changes nothing',
    source: 'only directions count',
    families: cosine,
    change: ({ batch, dice }) => scaledBy((row, place) => (row % 2 === dice % 2 ? powers[(row + place + dice) % 4]! : 1))(batch),
  }),
  law({
    name: 'scale of a view',
    statement: 'one view times a positive number changes nothing',
    source: 'each view is whitened by itself',
    families: ['w-mse'],
    change: ({ batch, dice }) =>
      batch.options['epsilon'] || batch.options['whitening'] === 'none'
        ? null
        : scaledBy((_, place) => (place === 0 ? powers[dice % 4]! : 1))(batch),
  }),
  law({
    name: 'scale of dimensions',
    statement: 'a dimension of a view times a positive number changes nothing',
    source: 'columns are scaled to one length',
    families: ['frossl'],
    change: ({ batch, dice }) => scaledBy((_, place, column) => powers[(dice + place + column) % 4]!)(batch),
  }),
  law({
    name: 'triangular maps',
    statement: 'one view times an upper triangular matrix of positive diagonal changes nothing',
    source: 'the Cholesky factor of Mᵀ·Σ·M is Mᵀ·L for such M',
    families: ['w-mse'],
    draws: [{ style: 'whole' }],
    change: ({ batch, dice }) => {
      if (batch.options['epsilon'] || batch.options['whitening'] !== 'cholesky') return null;
      const { d } = sizesOf(batch);
      const a = new Arithmetic();
      const m = a.matrix(d, d, (i, j) => (i > j ? 0 : i === j ? powers[(dice + i) % 2]! : ((dice + i + j) % 3) - 1));
      return mapEmbeddings(batch, (z, place) => (place === 0 ? a.product(z, m) : z));
    },
  }),
  law({
    name: 'a dimension of zeros',
    statement: 'a further dimension that is 0 everywhere changes nothing',
    source: 'products and lengths do not change',
    families: ['simclr', 'moco', 'swav', 'deepcluster', 'byol', 'simsiam', 'mmcr'],
    when: ({ shape }) => shape.dimensions === undefined,
    change: ({ batch }, { shape }) => widened(batch, shape.state, false),
  }),
  law({
    name: 'dimensions twice',
    statement: 'every dimension twice changes nothing',
    source: 'cosines do not change',
    families: ['simclr', 'moco', 'swav', 'deepcluster', 'byol', 'simsiam', 'mmcr'],
    when: ({ shape }) => shape.dimensions === undefined,
    change: ({ batch }, { shape }) => widened(batch, shape.state, true),
  }),
  law({
    name: 'samples twice',
    statement: 'every sample twice changes nothing: the loss is a mean over samples, none of which sees another',
    source: 'the definition',
    families: [...perSample],
    when: ({ shape }) => shape.samples === undefined,
    change: ({ batch }) => repeatedSamples(batch),
  }),
  law({
    name: 'samples twice doubles it',
    statement: 'every sample twice doubles the loss, as the statistic counts samples',
    source: 'LeJEPA Eq. 6: ×N',
    families: ['sigreg'],
    when: ({ shape }) => shape.samples === undefined,
    change: ({ batch }) => repeatedSamples(batch),
    becomes: (value) => 2 * value,
  }),
  law({
    name: 'shift of logits',
    statement: 'a number added to all of a sample’s outputs changes nothing',
    source: 'softmax does not change',
    families: ['dino'],
    change: ({ batch, dice }) =>
      mapEmbeddings(batch, (z) => ({
        ...z,
        data: z.data.map((x, k) => x + (Math.floor(k / z.columns) % 2 === 0 ? (dice % 5) - 2 || 1 : 0)),
      })),
  }),
  law({
    name: 'centre goes with the teacher',
    statement: 'the same vector added to the teacher’s outputs and to the centre changes nothing',
    source: 'DINO §3.1: the centre is subtracted from outputs',
    families: ['dino'],
    change: ({ batch, dice }) => {
      const by = (column: number): number => ((dice + column) % 4) - 1;
      const moved = movedBy((column, place) => (place < 2 ? by(column) : 0))(batch);
      const centre = batch.state['centre']!;
      return { ...moved, state: { ...batch.state, centre: { ...centre, data: centre.data.map((x, j) => x + by(j)) } } };
    },
  }),
  {
    name: 'a row of zeros',
    likely: 'rows are divided by their lengths without an ε',
    statement: 'a row of zeros, as dead features give, has a finite loss: its length counts as ε at least',
    source: 'normalisation with ε: PyTorch normalize, TensorFlow l2_normalize',
    families: cosine.filter((family) => family !== 'mmcr'),
    draws: styles('whole'),
    share: 0.2,
    check: async (trial, { batch, dice }) => {
      const { n, views } = sizesOf(batch);
      const zeroed = mapEmbeddings(batch, (z, place) =>
        place === dice % views ? { ...z, data: z.data.map((x, k) => (Math.floor(k / z.columns) === (dice >> 3) % n ? 0 : x)) } : z,
      );
      const value = trial.definition!.value(zeroed);
      const { loss } = await trial.ask(zeroed);
      // 2 − 2·cos and ‖p̄ − z̄‖², which are one of rows of length 1, differ here.
      if (trial.shape.family === 'byol' && Number.isFinite(loss)) return null;
      const tolerance = await trial.tolerance(batch, value);
      return differs(
        loss,
        value,
        tolerance,
        () => `with a row of zeros the loss is ${digits(value)} by its definition; it is ${digits(loss)}`,
        zeroed,
      );
    },
  },
  {
    name: 'large offset',
    when: ({ shape }) => shape.options['whitening'] !== 'none',
    likely: 'the variance is computed in one pass, as the mean of squares less the square of the mean',
    statement: 'a large number added to all samples costs no more digits than the number has',
    source: 'two passes: the mean first, then squares of differences',
    families: ['vicreg', 'barlow-twins', 'w-mse', 'vibcreg'],
    draws: styles('whole'),
    share: 0.2,
    check: async (trial, { batch }) => {
      const offset = trial.unit < 1e-10 ? 2 ** 20 : 2 ** 12;
      const moved = movedBy(() => offset)(batch);
      const { loss } = await trial.ask(moved);
      const { value, tolerance } = trial.expected(batch);
      return differs(
        loss,
        value,
        4 * offset * tolerance,
        () =>
          `${offset} added to all samples makes the loss ${digits(loss)}, where it was ${digits(value)}: a variance as mean of squares less square of the mean?`,
        moved,
      );
    },
  },
  {
    name: 'small and large numbers',
    likely: 'something overflows, or an ε is too large or not there',
    statement: 'embeddings of any common scale have a finite loss, as their definition says',
    source: 'the definition',
    families: [
      'vicreg',
      'barlow-twins',
      'simclr',
      'moco',
      'swav',
      'deepcluster',
      'byol',
      'simsiam',
      'dino',
      'vibcreg',
      'tico',
      'mmcr',
      'tcr',
    ],
    draws: styles('whole'),
    share: 0.3,
    check: async (trial, { batch, dice }) => {
      const factors = trial.unit < 1e-10 ? [2 ** -10, 2 ** 20] : [2 ** -8, 2 ** 10];
      // Of logits large ones are nothing common.
      const scaled = scaledBy(() => factors[trial.shape.family === 'dino' ? 0 : dice % 2]!)(batch);
      const { value, tolerance } = trial.expected(scaled);
      const { loss } = await trial.ask(scaled);
      return differs(loss, value, tolerance, () => `the loss is ${digits(value)} by its definition; it is ${digits(loss)}`, scaled);
    },
  },
  {
    name: 'small temperature',
    likely: 'exponentials are not stabilised by their maximum',
    statement: 'at a temperature of .02 the loss is still what its definition says',
    source: 'logarithms of sums of exponentials, stabilised by their maximum',
    families: ['simclr', 'moco', 'swav', 'deepcluster'],
    when: ({ reads }) => reads.includes('temperature'),
    draws: plain,
    share: 0.3,
    check: async (trial, { batch }) => {
      const cold = withOption(batch, 'temperature', 0.02);
      const { value, tolerance } = trial.expected(cold);
      const { loss } = await trial.ask(cold);
      return differs(
        loss,
        value,
        tolerance,
        () => `at a temperature of .02 the loss is ${digits(value)} by its definition; it is ${digits(loss)}`,
        cold,
      );
    },
  },
  {
    name: 'arguments unchanged',
    likely: 'the loss computes in place',
    statement: 'the loss does not change its arguments',
    source: 'what calls it goes on with them',
    families: every,
    draws: styles('whole'),
    share: 0.2,
    check: async (trial, { batch }) => {
      const { changed } = await trial.ask(batch);
      return changed.length === 0
        ? null
        : {
            sentence: `the call changed ${changed.join(' and ')}, ${shapeList(batch.embeddings[0]!)}`,
            expected: null,
            seen: null,
            tolerance: null,
          };
    },
  },
];

/** The names of all properties. */
export const propertyNames: readonly string[] = properties.map(({ name }) => name);
