import { check } from '../../errors.ts';
import { contentsOf, type Memory, type Place } from './memory.ts';
import type { Translation } from './translate.ts';

/** Milliseconds in a nanosecond, the unit of WebGPU's timestamps. */
const MILLISECONDS = 1e-6;

/** How many timestamps a query set has at most, on every GPU. */
const MOST_QUERIES = 4096;

/** Runs that the times are medians of. */
const KEPT_RUNS = 64;

/** Measures dispatches by timestamps around each: a pass for each, so a plan takes longer than without. */
export class Profile {
  readonly #memory: Memory;
  readonly #translation: Translation;
  readonly #kernels: number;
  readonly #queries: readonly GPUQuerySet[];
  readonly #resolved: Place;
  readonly #runs: Place[] = [];
  #reading: Promise<readonly number[]> | null = null;

  constructor(memory: Memory, translation: Translation, kernels: number) {
    const count = 2 * translation.dispatches.length;
    this.#memory = memory;
    this.#translation = translation;
    this.#kernels = kernels;
    this.#queries = Array.from({ length: Math.ceil(count / MOST_QUERIES) }, (_, i) =>
      memory.device.createQuerySet({ type: 'timestamp', count: Math.min(MOST_QUERIES, count - i * MOST_QUERIES) }),
    );
    this.#resolved = memory.create(Math.max(16, 8 * count), 'queries');
  }

  /** Encodes each dispatch in a pass of its own. */
  record(encoder: GPUCommandEncoder, dispatch: (pass: GPUComputePassEncoder, k: number) => void): void {
    const { dispatches } = this.#translation;
    for (const k of dispatches.keys()) {
      const querySet = this.#queries[Math.floor((2 * k) / MOST_QUERIES)]!;
      const at = (2 * k) % MOST_QUERIES;
      const timestampWrites = { querySet, beginningOfPassWriteIndex: at, endOfPassWriteIndex: at + 1 };
      const pass = encoder.beginComputePass({ timestampWrites });
      dispatch(pass, k);
      pass.end();
    }
    if (dispatches.length === 0) return;
    const { buffer, size } = this.#resolved;
    for (const [i, set] of this.#queries.entries()) encoder.resolveQuerySet(set, 0, set.count, buffer, 8 * MOST_QUERIES * i);
    const run = this.#runs.length < KEPT_RUNS ? this.#memory.create(size, 'staging') : this.#runs.shift()!;
    encoder.copyBufferToBuffer(buffer, 0, run.buffer, 0, size);
    this.#runs.push(run);
  }

  /**
   * Milliseconds of each kernel of the plan: the median over the last runs. Kernels of one dispatch share its time by their workgroups.
   * @throws TensegrityError `argument` before the first run.
   */
  times(): Promise<readonly number[]> {
    this.#reading ??= this.#times().finally(() => {
      this.#reading = null;
    });
    return this.#reading;
  }

  async #times(): Promise<readonly number[]> {
    const { dispatches } = this.#translation;
    check(this.#runs.length > 0 || dispatches.length === 0, 'argument', () => 'no times yet: run the function first');
    // Taken away from runs that begin in the meantime.
    const measured = this.#runs.splice(0);
    const runs = await Promise.all(
      measured.map(async ({ buffer }) => {
        const stamps = new BigInt64Array(await contentsOf(buffer));
        return dispatches.map((_, k) => Number(stamps[2 * k + 1]! - stamps[2 * k]!) * MILLISECONDS);
      }),
    );
    this.#runs.unshift(...measured);
    for (const run of this.#runs.splice(0, Math.max(0, this.#runs.length - KEPT_RUNS))) this.#memory.destroy(run, run.size);
    const times = Array<number>(this.#kernels).fill(0);
    for (const [k, { kernels, shares }] of dispatches.entries()) {
      const sorted = runs.map((run) => run[k]!).sort((a, b) => a - b);
      const median = sorted[sorted.length >> 1] ?? 0;
      for (const [j, kernel] of kernels.entries()) times[kernel]! += median * shares[j]!;
    }
    return times;
  }

  dispose(): void {
    for (const set of this.#queries) set.destroy();
    for (const place of [this.#resolved, ...this.#runs.splice(0)]) this.#memory.destroy(place, place.size);
  }
}
