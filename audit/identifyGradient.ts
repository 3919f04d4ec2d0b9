import type { Matrix } from './arithmetic.ts';
import { type Batch, sizesOf } from './batch.ts';
import { leastSquares } from './leastSquares.ts';
import { Model } from './model.ts';

/** Gradients that were seen. */
export interface GradientObservation {
  readonly batch: Batch;
  readonly gradients: readonly Matrix[];
}

export interface GradientIdentity {
  readonly sentence: string;
  /** The model with such gradients, to tell what else they explain. */
  readonly model: Model;
}

type Right = { readonly stopped: readonly Matrix[]; readonly full: readonly Matrix[]; readonly errors: readonly Matrix[] };

/** Factors that a gradient may have too many or too few of. */
const factors: Readonly<Record<string, (n: number, d: number) => number>> = {
  n: (n) => n,
  '1/n': (n) => 1 / n,
  d: (_, d) => d,
  '1/d': (_, d) => 1 / d,
  n·d: (n, d) => n * d,
  '1/(n·d)': (n, d) => 1 / (n * d),
  '(n−1)/n': (n) => (n - 1) / n,
  'n/(n−1)': (n) => n / (n - 1),
};

const near = (seen: Matrix, right: Matrix, error: Matrix, unit: number): boolean => {
  const most = Math.max(...right.data.map(Math.abs), ...seen.data.map(Math.abs));
  return seen.data.every((x, k) => Math.abs(x - right.data[k]!) <= 8 * error.data[k]! + (2e-6 + 1e4 * unit) * most + 1e-9);
};

const scaled = (x: Matrix, factor: number): Matrix => ({ ...x, data: x.data.map((value) => value * factor) });

/** What is wrong with gradients of a loss whose value is that of `model`; null where nothing is. Undefined where something is that cannot be told. */
export function identifyGradient(
  model: Model,
  seen: readonly GradientObservation[],
  names: readonly string[],
  unit: number,
): GradientIdentity | null | undefined {
  const found = byPlace(model, seen, names, unit);
  if (found !== undefined) return found;
  // Something on the way that is taken for a constant.
  const { formula, variant } = model;
  for (const [name, [sentence]] of Object.entries(formula.mistakes).filter(([name]) => name.startsWith('detached'))) {
    const detached = new Model(formula, { ...variant, mistakes: new Set([...(variant.mistakes ?? []), name]) });
    if (byPlace(detached, seen, names, unit) === null) return { sentence, model: detached };
  }
  return termByTerm(model, seen, names, unit) ?? undefined;
}

/** Of each embedding's gradient by itself: whether it is there, and which factor it has. */
function byPlace(
  model: Model,
  seen: readonly GradientObservation[],
  names: readonly string[],
  unit: number,
): GradientIdentity | null | undefined {
  const finite = seen.filter(({ gradients }) => gradients.every(({ data }) => data.every(Number.isFinite)));
  if (finite.length < 3) return undefined;
  const rights = finite.map(({ batch }): Right => {
    const { gradients: stopped, errors } = model.gradients(batch);
    return { stopped, full: model.gradients(batch, false).gradients, errors };
  });
  const faults: string[] = [];
  const parts: ((stopped: Matrix, full: () => Matrix, batch: Batch) => Matrix)[] = [];
  const every = (v: number, of: (right: Right, k: number) => Matrix): boolean =>
    finite.every(({ gradients }, k) => near(gradients[v]!, of(rights[k]!, k), rights[k]!.errors[v]!, unit));
  for (const [v, name] of names.entries()) {
    if (every(v, ({ stopped }) => stopped[v]!)) {
      parts.push((stopped) => stopped);
      continue;
    }
    if (every(v, ({ full }) => full[v]!)) {
      faults.push(`${name} is a constant by definition, and gets a gradient: it is not detached`);
      parts.push((_, full) => full());
      continue;
    }
    if (every(v, ({ stopped }) => scaled(stopped[v]!, 0))) {
      faults.push(`${name} gets no gradient: it is detached`);
      parts.push((stopped) => scaled(stopped, 0));
      continue;
    }
    const found = Object.entries({ '': () => 1, ...factors }).flatMap(([key, of]: readonly [string, (n: number, d: number) => number]) => {
      const factor = (k: number): number => {
        const { n, d } = sizesOf(finite[k]!.batch);
        return of(n, d);
      };
      let [products, squares] = [0, 0];
      for (const [k, { gradients }] of finite.entries())
        for (const [i, x] of gradients[v]!.data.entries()) {
          const right = rights[k]!.stopped[v]!.data[i]! * factor(k);
          products += x * right;
          squares += right * right;
        }
      const c = squares > 0 ? products / squares : 0;
      return c !== 0 && every(v, ({ stopped }, k) => scaled(stopped[v]!, c * factor(k))) ? [{ key, c, of }] : [];
    })[0];
    if (!found) return undefined;
    const { key, c, of } = found;
    const number = String(Number(c.toPrecision(5)));
    faults.push(
      c === -1 && key === ''
        ? `the gradient for ${name} has the opposite sign`
        : `the gradient for ${name} is ${[number === '1' && key !== '' ? '' : number, key].filter(Boolean).join('·')} times what it should be`,
    );
    parts.push((stopped, _, batch) => {
      const { n, d } = sizesOf(batch);
      return scaled(stopped, c * of(n, d));
    });
  }
  if (faults.length === 0) return null;
  const same = faults.length === names.length && new Set(faults.map((fault) => fault.replace(/for \S+ /, ''))).size === 1;
  const sentence = same ? faults[0]!.replace(/for \S+ /, '') : faults.join('; ');
  const { formula, variant } = model;
  return {
    sentence,
    model: new Model(formula, {
      ...variant,
      gradients: (stopped, full, batch) => stopped.map((gradient, v) => parts[v]!(gradient, () => full()[v]!, batch)),
    }),
  };
}

/** Gradients as sums of the terms' own, with other weights: a term that gives an embedding none, or half. */
function termByTerm(model: Model, seen: readonly GradientObservation[], names: readonly string[], unit: number): GradientIdentity | null {
  const { formula, variant } = model;
  const { columns } = formula;
  const finite = seen.filter(({ gradients }) => gradients.every(({ data }) => data.every(Number.isFinite)));
  if (columns.length < 2 || finite.length < 3) return null;
  const columnModels = columns.map(
    (_, i) => new Model(formula, { ...variant, constant: 0, weights: () => columns.map((_unused, j) => Number(i === j)) }),
  );
  const parts = finite.map(({ batch }) => columnModels.map((one) => one.gradients(batch)));
  const weights = finite.map(({ batch }) => model.weights(batch));
  const found: number[][] = [];
  for (const [v] of names.entries()) {
    const rows: number[][] = [];
    const targets: number[] = [];
    for (const [k, { gradients }] of finite.entries())
      for (const [i, x] of gradients[v]!.data.entries()) {
        const own = parts[k]!.map(({ gradients }, c) => gradients[v]!.data[i]! * weights[k]![c]!);
        // Where a hinge turns nothing is known.
        if (!parts[k]!.every(({ errors }) => Number.isFinite(errors[v]!.data[i]))) continue;
        rows.push(own);
        targets.push(x);
      }
    const scale = Math.max(...targets.map(Math.abs), 1e-300);
    const solved = leastSquares(
      rows.map((row) => row.map((x) => x / scale)),
      targets.map((x) => x / scale),
    );
    if (!solved || solved.residual > 1e-5 + 1e4 * unit) return null;
    // A column that gives this embedding no gradient has no say.
    found.push(solved.coefficients.map((c, j) => (rows.every((row) => Math.abs(row[j]!) <= 1e-9 * scale) ? 1 : c)));
  }
  const faults = found.flatMap((factors, v) =>
    factors.flatMap((factor, c) => {
      if (Math.abs(factor - 1) < 1e-4) return [];
      return [
        Math.abs(factor) < 1e-4
          ? `the ${columns[c]} gives ${names[v]} no gradient: it is detached there`
          : `the gradient of the ${columns[c]} for ${names[v]} counts ${Number(factor.toPrecision(4))} times`,
      ];
    }),
  );
  if (faults.length === 0) return null;
  const gradients = (stopped: readonly Matrix[], _full: () => readonly Matrix[], batch: Batch): readonly Matrix[] => {
    const own = columnModels.map((one) => one.gradients(batch).gradients);
    const factors = model.weights(batch);
    return stopped.map((gradient, v) => ({
      ...gradient,
      data: gradient.data.map((_, i) => own.reduce((sum, of, c) => sum + of[v]!.data[i]! * factors[c]! * found[v]![c]!, 0)),
    }));
  };
  return { sentence: faults.join('; '), model: new Model(formula, { ...variant, gradients }) };
}
