import type { Counts } from './counting.ts';
import type { Demand, Work } from './work.ts';

/** What the parent writes to a child's standard input, one JSON text a line. */
export type Request =
  | { readonly prepare: { readonly work: Work; readonly demand: Demand | null } }
  /** Runs for about so many milliseconds, at least once. The limits, if `shared`, are those of one of several that run at once. */
  | { readonly sample: { readonly milliseconds: number; readonly shared?: boolean } }
  /** Sets the work up and calls it so many times, counting what it asks of WebGPU; whether dispatches are carried out too. */
  | { readonly count: { readonly work: Work; readonly calls: number; readonly dispatch: boolean } };

/** What a child answers on descriptor 3, one JSON text a line: libraries print to standard output. */
export type Reply =
  /** The first call took so long, and gave a result of this magnitude; and so much memory was in use at the most, where it is known. */
  | { readonly prepared: { readonly milliseconds: number; readonly check: number; readonly peakBytes?: number } }
  /** Milliseconds a call, each number over one call or one batch of short ones. */
  | { readonly times: readonly number[] }
  | { readonly rates: Rates }
  /** Of each call; the first includes setting the work up. And what the contestant says of its plan, if it has one. */
  | { readonly counted: readonly Counts[]; readonly plan?: string }
  | { readonly cannot: string };

/** What the machine can do, a second. */
export interface Rates {
  /** Floating-point operations of a loop of fused multiply-adds on 128-bit registers. */
  readonly relaxed: number;
  /** The same of multiplications and additions, where they are not fused. */
  readonly simd: number;
  /** Bytes of a copy as large as the work's, read and written ones together. */
  readonly copy: number;
  /** As `relaxed`, of two such loops at once, together: what two threads can do. Two hardware threads of one core do no more than one. */
  readonly pair?: number;
  /** As `relaxed`, of a loop in all the registers of the GPU. */
  readonly gpu?: number;
}
