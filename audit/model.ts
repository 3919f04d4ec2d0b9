import { Arithmetic, type Matrix } from './arithmetic.ts';
import { type Batch, sizesOf } from './batch.ts';
import type { Formula } from './formulas/formula.ts';

/**
 * How much noise is given to each step where a formula's conditioning is measured: far above the rounding of doubles, far below what bends it; and
 * above the rounding that is asked about, for what grows as the square of it, as (C − 1)² does at C = 1.
 */
const noiseOf = (unit: number): number => Math.max(2 ** -32, 4 * unit);
const NOISY = 4;
/** From so many samples on one evaluation will do: the factor for the lengths of sums is large, and so is what it costs. */
const MANY = 512;

/** A value and how far from it another that is right may be. */
export interface Expected {
  readonly value: number;
  readonly tolerance: number;
}

/** A formula, or what known mistakes and other weights make of it. */
export interface Variant {
  readonly mistakes?: ReadonlySet<string>;
  /** In place of the formula's own: factors of the columns, of a batch. */
  readonly weights?: (batch: Batch) => readonly number[];
  readonly constant?: number;
  /** Options in place of the batch's. */
  readonly options?: Readonly<Record<string, number | string>>;
  /** Embeddings whose gradients are not what the definition says. */
  readonly gradients?: (gradients: readonly Matrix[], full: () => readonly Matrix[], batch: Batch) => readonly Matrix[];
}

const none: ReadonlySet<string> = new Set();

/**
 * Whether f(x+h) + f(x−h) − 2f(x) falls as h² from one h to its half, as of a smooth function, and not as h, as where a hinge turns between.
 * @param near of h/2. @param far of h. @param rounding what either may be wrong by.
 */
export const isSmooth = (near: number, far: number, rounding: number): boolean =>
  !(Math.abs(far - 4 * near) > 0.3 * Math.abs(far) + 40 * rounding);

/** A loss that is known in full: its value, how well it is conditioned, and its gradients by differences. */
export class Model {
  readonly formula: Formula;
  readonly variant: Variant;

  constructor(formula: Formula, variant: Variant = {}) {
    this.formula = formula;
    this.variant = variant;
  }

  columns(batch: Batch, a = new Arithmetic(), held = batch.embeddings): readonly number[] {
    const { mistakes = none, options } = this.variant;
    const inputs = {
      embeddings: batch.embeddings.map((z) => a.held(z)),
      held: held.map((z) => a.held(z)),
      state: batch.state,
      options: options ? { ...batch.options, ...options } : batch.options,
    };
    return this.formula.evaluate(a, inputs, (mistake) => mistakes.has(mistake));
  }

  weights(batch: Batch): readonly number[] {
    const { weights, options } = this.variant;
    return weights ? weights(batch) : this.formula.weights(options ? { ...batch.options, ...options } : batch.options, sizesOf(batch));
  }

  value(batch: Batch, a?: Arithmetic, held?: readonly Matrix[]): number {
    const weights = this.weights(batch);
    // A column without weight has no say, even where it is NaN.
    return this.columns(batch, a, held).reduce(
      (sum, column, i) => (weights[i] === 0 ? sum : sum + weights[i]! * column),
      this.variant.constant ?? 0,
    );
  }

  /**
   * The value, and how far another evaluation with that roundoff may be from it: the largest deviation among evaluations whose every step is
   * disturbed at random, in proportion, times a factor for the lengths of sums and for the few evaluations.
   */
  expected(batch: Batch, unit: number): Expected {
    const value = this.value(batch);
    const noise = noiseOf(unit);
    let worst = 0;
    for (let k = 0; k < (batch.embeddings[0]!.rows > MANY ? 1 : NOISY); k++) {
      // The embeddings held constant are the same numbers, and so have the same noise.
      const a = new Arithmetic(noise, 7919 * (k + 1));
      worst = Math.max(worst, Math.abs(this.value(batch, a) - value));
    }
    const { n, d } = sizesOf(batch);
    const factor = 32 + 4 * Math.max(n, d);
    return { value, tolerance: unit * factor * (worst / noise + Math.abs(value)) };
  }

  /** Gradients with respect to the embeddings, with constants where the definition has them, by differences of fourth order; and their errors. */
  gradients(batch: Batch, stop = true): { readonly gradients: readonly Matrix[]; readonly errors: readonly Matrix[] } {
    const raw = this.#differences(batch, stop);
    const { gradients: change } = this.variant;
    if (!change) return raw;
    const full = (): readonly Matrix[] => this.#differences(batch, false).gradients;
    return { gradients: change(raw.gradients, full, batch), errors: raw.errors };
  }

  /** Whether the value has another slope to the left than to the right, as |x| at 0, in some element. */
  hasKink(batch: Batch): boolean {
    const base = this.value(batch);
    const h = 2 ** -12;
    return batch.embeddings.some((z, place) => {
      const data = Float64Array.from(z.data);
      const moved: Batch = { ...batch, embeddings: batch.embeddings.map((other, i) => (i === place ? { ...z, data } : other)) };
      return z.data.some((x, k) => {
        const at = (step: number): number => {
          data[k] = x + step;
          const value = this.value(moved);
          data[k] = x;
          return value;
        };
        const bend = Math.abs(at(h) + at(-h) - 2 * base) / h;
        return !(bend < 1e-2 * (Math.abs(at(h) - at(-h)) / h + 1e-2));
      });
    });
  }

  #differences(batch: Batch, stop: boolean): { readonly gradients: readonly Matrix[]; readonly errors: readonly Matrix[] } {
    const a = new Arithmetic();
    const value = this.value(batch);
    // What each evaluation may be wrong by, whatever cancels in it.
    const rounding = Math.max(2 ** -50 * Math.abs(value), this.expected(batch, 2 ** -53).tolerance / 4);
    const gradients: Matrix[] = [];
    const errors: Matrix[] = [];
    for (const [place, z] of batch.embeddings.entries()) {
      const data = Float64Array.from(z.data);
      const moved: Batch = { ...batch, embeddings: batch.embeddings.map((other, i) => (i === place ? { ...z, data } : other)) };
      const [gradient, error] = [new Float64Array(data.length), new Float64Array(data.length)];
      const rows = a.rowSquares(z).map((square) => Math.sqrt(square / z.columns));
      const columns = a.columnSquares(a.centred(z)).map((square) => Math.sqrt(square / z.rows));
      for (let k = 0; k < data.length; k++) {
        const [row, column] = [rows[Math.floor(k / z.columns)]!, columns[k % z.columns]!];
        const x = data[k]!;
        const scale = Math.max(Math.min(row || column, column || row), 1e-4 * Math.max(row, column), 1e-5);
        const h = scale * 2 ** -8;
        const at = (step: number): number => {
          data[k] = x + step;
          const result = this.value(moved, undefined, stop ? batch.embeddings : moved.embeddings);
          data[k] = x;
          return result;
        };
        const near = [at(h / 2), at(-h / 2)] as const;
        const far = [at(h), at(-h)] as const;
        const [half, one, two] = [(near[0] - near[1]) / h, (far[0] - far[1]) / (2 * h), (at(2 * h) - at(-2 * h)) / (4 * h)];
        const [fine, coarse] = [(4 * half - one) / 3, (4 * one - two) / 3];
        const smooth = isSmooth(near[0] + near[1] - 2 * value, far[0] + far[1] - 2 * value, rounding);
        gradient[k] = fine;
        error[k] = smooth ? Math.abs(fine - coarse) + rounding / h : Number.POSITIVE_INFINITY;
      }
      gradients.push({ ...z, data: gradient });
      errors.push({ ...z, data: error });
    }
    return { gradients, errors };
  }
}
