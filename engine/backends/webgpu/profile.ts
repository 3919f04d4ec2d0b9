import type { Translation } from './translate.ts';

/** Milliseconds in a nanosecond, the unit of WebGPU's timestamps. */
const MILLISECONDS = 1e-6;

/** Runs that the times are medians of. */
const KEPT_RUNS = 64;

/** Measures dispatches by timestamps around each: a pass for each, so a plan takes longer than without. */
export class Profile {
  readonly #device: GPUDevice;
  readonly #translation: Translation;
  readonly #kernels: number;
  readonly #queries: GPUQuerySet;
  readonly #resolved: GPUBuffer;
  readonly #runs: GPUBuffer[] = [];

  constructor(device: GPUDevice, translation: Translation, kernels: number) {
    const count = 2 * Math.max(1, translation.dispatches.length);
    this.#device = device;
    this.#translation = translation;
    this.#kernels = kernels;
    this.#queries = device.createQuerySet({ type: 'timestamp', count });
    this.#resolved = device.createBuffer({ size: 8 * count, usage: 512 | 4 });
  }

  /** Encodes each dispatch in a pass of its own. */
  record(encoder: GPUCommandEncoder, dispatch: (pass: GPUComputePassEncoder, k: number) => void): void {
    const { dispatches } = this.#translation;
    for (const k of dispatches.keys()) {
      const timestampWrites = { querySet: this.#queries, beginningOfPassWriteIndex: 2 * k, endOfPassWriteIndex: 2 * k + 1 };
      const pass = encoder.beginComputePass({ timestampWrites });
      dispatch(pass, k);
      pass.end();
    }
    if (dispatches.length === 0) return;
    encoder.resolveQuerySet(this.#queries, 0, 2 * dispatches.length, this.#resolved, 0);
    const run =
      this.#runs.length < KEPT_RUNS ? this.#device.createBuffer({ size: this.#resolved.size, usage: 1 | 8 }) : this.#runs.shift()!;
    encoder.copyBufferToBuffer(this.#resolved, 0, run, 0, run.size);
    this.#runs.push(run);
  }

  /** Milliseconds of each kernel of the plan: the median over the last runs. Kernels of one dispatch share its time by their workgroups. */
  async times(): Promise<readonly number[]> {
    // Taken away from runs that begin in the meantime.
    const measured = this.#runs.splice(0);
    const runs = await Promise.all(
      measured.map(async (run) => {
        await run.mapAsync(1);
        const stamps = new BigInt64Array(run.getMappedRange().slice(0));
        run.unmap();
        return this.#translation.dispatches.map((_, k) => Number(stamps[2 * k + 1]! - stamps[2 * k]!) * MILLISECONDS);
      }),
    );
    this.#runs.unshift(...measured);
    for (const run of this.#runs.splice(0, Math.max(0, this.#runs.length - KEPT_RUNS))) run.destroy();
    const times = Array<number>(this.#kernels).fill(0);
    for (const [k, { kernels, shares }] of this.#translation.dispatches.entries()) {
      const sorted = runs.map((run) => run[k]!).sort((a, b) => a - b);
      const median = sorted[sorted.length >> 1] ?? 0;
      for (const [j, kernel] of kernels.entries()) times[kernel]! += median * shares[j]!;
    }
    return times;
  }

  dispose(): void {
    this.#queries.destroy();
    this.#resolved.destroy();
    for (const run of this.#runs.splice(0)) run.destroy();
  }
}
