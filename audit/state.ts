import { Arithmetic, type Matrix, stacked } from './arithmetic.ts';
import type { Batch } from './batch.ts';
import type { Family } from './formulas/index.ts';

/** What is kept for the next batch: as it should be, which has no sentence, or as a mistake makes it. */
export interface Kept {
  readonly sentence: string | null;
  readonly of: (a: Arithmetic, batch: Batch) => Matrix;
}

const moved = (a: Arithmetic, old: Matrix, now: Matrix, momentum: number): Matrix =>
  a.zip(old, now, (x, y) => momentum * x + (1 - momentum) * y);

const MOMENTUM = 0.9;

/** DINO's centre, made of something of the teacher's outputs. */
const centre = (sentence: string | null, part: (a: Arithmetic, teachers: Matrix, batch: Batch) => Matrix, momentum = MOMENTUM): Kept => ({
  sentence,
  of: (a, batch) => {
    const [first, second] = batch.embeddings;
    return moved(a, batch.state['centre']!, part(a, stacked([first!, second!]), batch), momentum);
  },
});

const probabilities = (a: Arithmetic, teachers: Matrix, { state, options }: Batch, centred: boolean): Matrix => {
  const outputs = centred ? a.shifted(teachers, state['centre']!) : teachers;
  return a.columnMeans(a.softmax(a.scaled(outputs, 1 / Number(options['teacherTemperature']))));
};

const means = (a: Arithmetic, teachers: Matrix): Matrix => a.columnMeans(teachers);

const number = (batch: Batch, name: string): number => Number(batch.options[name]);

/** CorInfoMax's moments of the view at a place. */
const mean =
  (view: 'A' | 'B', place: 0 | 1, swapped = false): Kept['of'] =>
  (a, batch) => {
    const momentum = number(batch, 'momentum');
    return moved(a, batch.state[`mean${view}`]!, a.columnMeans(batch.embeddings[place]!), swapped ? 1 - momentum : momentum);
  };
const covariance =
  (
    view: 'A' | 'B',
    place: 0 | 1,
    { swapped = false, centre = mean(view, place, swapped) }: { readonly swapped?: boolean; readonly centre?: Kept['of'] } = {},
  ): Kept['of'] =>
  (a, batch) => {
    const momentum = number(batch, 'momentum');
    const z = batch.embeddings[place]!;
    const now = a.scaled(a.gram(a.shifted(z, centre(a, batch))), 1 / z.rows);
    return moved(a, batch.state[`covariance${view}`]!, now, swapped ? 1 - momentum : momentum);
  };

const tico = (sentence: string | null, rows: (a: Arithmetic, batch: Batch) => Matrix, { swapped = false, sum = false } = {}): Kept => ({
  sentence,
  of: (a, batch) => {
    const z = rows(a, batch);
    const momentum = number(batch, 'covarianceMomentum');
    return moved(a, batch.state['runningCovariance']!, a.scaled(a.gram(z), sum ? 1 : 1 / z.rows), swapped ? 1 - momentum : momentum);
  },
});

const ofCorInfoMax = (view: 'A' | 'B', place: 0 | 1): Readonly<Record<string, readonly Kept[]>> => ({
  [`mean${view}`]: [
    { sentence: null, of: mean(view, place) },
    { sentence: 'λ weights the batch in the running mean, not what was before', of: mean(view, place, true) },
  ],
  [`covariance${view}`]: [
    { sentence: null, of: covariance(view, place) },
    { sentence: 'λ weights the batch in the running moments, not what was before', of: covariance(view, place, { swapped: true }) },
    {
      sentence: 'the running covariance is about the mean before the update',
      of: covariance(view, place, { centre: (_, { state }) => state[`mean${view}`]! }),
    },
    {
      sentence: "the running covariance is about the batch's own mean",
      of: covariance(view, place, { centre: (a, { embeddings }) => a.columnMeans(embeddings[place]!) }),
    },
  ],
});

/** By family and name of state: what it should be first, then what mistakes make of it. */
export const kept: Partial<Record<Family, Readonly<Record<string, readonly Kept[]>>>> = {
  dino: {
    centre: [
      centre(null, means),
      centre('the centre moves by the mean of the teacher’s probabilities, not of its outputs', (a, t, batch) =>
        probabilities(a, t, batch, true),
      ),
      centre('the centre moves by the mean of the teacher’s probabilities, not centred before, not of its outputs', (a, t, batch) =>
        probabilities(a, t, batch, false),
      ),
      centre('the centre moves by the sum of the outputs, not by their mean', (a, t) => a.scaled(means(a, t), t.rows)),
      centre('the centre moves by the sum over crops of their means, not by the mean', (a, t) => a.scaled(means(a, t), 2)),
      centre('the centre moves by the first crop alone', (a, _, { embeddings: [first] }) => a.columnMeans(first!)),
      centre('the centre moves by the second crop alone', (a, _, { embeddings: [, second] }) => a.columnMeans(second!)),
      centre('the centre moves by the student’s outputs, not by the teacher’s', (a, _, { embeddings }) =>
        a.columnMeans(stacked(embeddings.slice(2))),
      ),
      centre('the centre moves by centred outputs, so that it never gets there', (a, t, { state }) =>
        a.columnMeans(a.shifted(t, state['centre']!)),
      ),
      centre('the centre moves by outputs that are divided by the temperature', (a, t, batch) =>
        a.scaled(means(a, t), 1 / number(batch, 'teacherTemperature')),
      ),
      centre('the centre moves by what the momentum should weight: .1 of what was and .9 of the batch', means, 1 - MOMENTUM),
      centre('the centre does not move', means, 1),
      centre('the centre is that of the batch', means, 0),
    ],
  },
  tico: {
    runningCovariance: [
      tico(null, (a, { embeddings: [za] }) => a.unitRows(za!)),
      tico('the running covariance is of rows that are not scaled to length 1', (_, { embeddings: [za] }) => za!),
      tico('the running covariance is of the second view', (a, { embeddings: [, zb] }) => a.unitRows(zb!)),
      tico('the running covariance is of both views', (a, { embeddings }) => stacked(embeddings.map((z) => a.unitRows(z)))),
      tico('the running covariance is centred', (a, { embeddings: [za] }) => a.centred(a.unitRows(za!))),
      tico('β weights the batch in the running covariance, not what was before', (a, { embeddings: [za] }) => a.unitRows(za!), {
        swapped: true,
      }),
      tico('the batch’s part of the running covariance is not divided by n', (a, { embeddings: [za] }) => a.unitRows(za!), { sum: true }),
    ],
  },
  corinfomax: { ...ofCorInfoMax('A', 0), ...ofCorInfoMax('B', 1) },
};

/** What a loss keeps, where that is a known mistake in all that was seen; null for what is right, or cannot be told. */
export function identifyState(
  family: Family,
  seen: readonly { readonly batch: Batch; readonly next: Readonly<Record<string, readonly number[]>> }[],
  unit: number,
): string | null {
  const a = new Arithmetic();
  for (const [name, variants] of Object.entries(kept[family] ?? {})) {
    const known = seen.filter(({ next }) => next[name] !== undefined);
    if (known.length < 3) continue;
    const found = variants.find(({ of }) =>
      known.every(({ batch, next }) => {
        const right = of(a, batch).data;
        const most = Math.max(1, ...right.map(Math.abs), ...batch.embeddings.flatMap(({ data }) => Array.from(data, Math.abs)));
        return right.length === next[name]!.length && right.every((x, k) => Math.abs(x - next[name]![k]!) <= unit * 200 * most ** 2);
      }),
    );
    if (found?.sentence) return found.sentence;
  }
  return null;
}
