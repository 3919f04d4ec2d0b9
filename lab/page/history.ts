import type { StepNumbers } from '../training/protocol.ts';

const most = 1500;

/** Numbers by step, of which so many are kept as a curve can show: when there are more, every other one goes. */
class Series {
  readonly steps: number[] = [];
  readonly values: (number | null)[] = [];
  #stride = 1;
  #skipped = 0;

  push(step: number, value: number | null): void {
    if (++this.#skipped < this.#stride) return;
    this.#skipped = 0;
    this.steps.push(step);
    this.values.push(value);
    if (this.steps.length < most) return;
    for (const list of [this.steps, this.values]) {
      for (let i = 0; 2 * i < list.length; i++) list[i] = list[2 * i]!;
      list.length = Math.ceil(list.length / 2);
    }
    this.#stride *= 2;
  }
}

export type SeriesName = 'loss' | 'deviation' | 'correlation' | 'probe' | 'nearest' | 'rankMe' | `part ${string}`;

/** What was measured since the training began, in memory that does not grow with it. */
export class History {
  readonly #series = new Map<SeriesName, Series>();
  /** Of the probe, whose share of one batch is noisy. */
  #probe: number | null = null;

  clear(): void {
    this.#series.clear();
    this.#probe = null;
  }

  of(name: SeriesName): { readonly steps: readonly number[]; readonly values: readonly (number | null)[] } {
    return this.#series.get(name) ?? { steps: [], values: [] };
  }

  /** The loss's terms of the last method, by name. */
  get parts(): readonly string[] {
    return [...this.#series.keys()].filter((name) => name.startsWith('part ')).map((name) => name.slice(5));
  }

  push({ step, loss, parts, deviation, correlation, probe }: StepNumbers): void {
    this.#add('loss', step, loss);
    this.#add('deviation', step, deviation);
    this.#add('correlation', step, correlation);
    if (probe !== null) {
      this.#probe = this.#probe === null ? probe : this.#probe + (probe - this.#probe) / 20;
      this.#add('probe', step, this.#probe);
    }
    for (const name of this.parts) if (!(name in parts)) this.#series.delete(`part ${name}`);
    for (const [name, value] of Object.entries(parts)) this.#add(`part ${name}`, step, value);
  }

  score(step: number, nearest: number | null): void {
    if (nearest !== null) this.#add('nearest', step, nearest);
  }

  rank(step: number, rankMe: number): void {
    this.#add('rankMe', step, rankMe);
  }

  #add(name: SeriesName, step: number, value: number): void {
    let series = this.#series.get(name);
    if (!series) {
      series = new Series();
      this.#series.set(name, series);
    }
    // A restart counts from the beginning.
    const before = series.steps.at(-1);
    if (before !== undefined && step < before) {
      series = new Series();
      this.#series.set(name, series);
    }
    series.push(step, Number.isFinite(value) ? value : null);
  }
}
