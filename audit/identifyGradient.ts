import type { Matrix } from './arithmetic.ts';
import { type Batch, sizesOf } from './batch.ts';
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
