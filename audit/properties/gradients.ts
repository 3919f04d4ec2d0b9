import { Arithmetic, type Matrix } from '../arithmetic.ts';
import { type Batch, mapEmbeddings, sizesOf } from '../batch.ts';
import type { Family } from '../formulas/index.ts';
import { isSmooth } from '../model.ts';
import { largest } from '../subject.ts';
import { collapsed } from './batches.ts';
import { type Breach, differs, digits, every, type Property, plain, styles, type Trial } from './property.ts';

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

/** The gradient against the definition. */
export const definitionGradients: readonly Property[] = [
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
];

/** The gradient against the loss itself, and where there may be none. */
export const lossGradients: readonly Property[] = [
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
];
