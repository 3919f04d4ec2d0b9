import type { Child, Outcome } from './child.ts';
import { type Contestant, limitsCommand } from './contestants.ts';
import type { Crew } from './crew.ts';
import type { Rates } from './protocol.ts';
import { median, quantile } from './statistics.ts';
import type { Case } from './suites.ts';
import { type Demand, demandOf } from './work.ts';

export interface Options {
  /** How often each contestant has its turn. */
  readonly rounds: number;
  /** How long a turn lasts, at least one call. */
  readonly sampleMilliseconds: number;
  /** How long one call may take. */
  readonly limitSeconds: number;
  /** How long the first call may take on a GPU, where it compiles; on a CPU as long as any other. */
  readonly compileSeconds: number;
  /** How long a contestant may take for all turns of a case together. */
  readonly budgetSeconds: number;
}

export type Entry =
  | {
      readonly name: string;
      /** Milliseconds a call. */
      readonly median: number;
      readonly fastest: number;
      /** Half the distance between the quartiles, as a share of the median. */
      readonly spread: number;
      readonly samples: number;
      /** The magnitude of its first result. */
      readonly check: number;
      /** Milliseconds of the first call, which compiles. */
      readonly first: number;
      /** The most memory that the computation had in use at once, where the contestant knows. */
      readonly peakBytes?: number;
    }
  | { readonly name: string; readonly cannot: string }
  | { readonly name: string; readonly exceeded: number };

export interface Measured {
  readonly case: Case;
  readonly demand: Demand | null;
  readonly rates: Rates;
  readonly entries: readonly Entry[];
}

/** To start a process and load a library in it. */
const startSeconds = 60;

interface Seat {
  readonly contestant: Contestant;
  readonly child: Child | null;
  readonly times: number[];
  check: number;
  firstMilliseconds: number;
  peakBytes?: number | undefined;
  spentMilliseconds: number;
  fault: { readonly cannot: string } | { readonly exceeded: number } | null;
}

function sit(contestant: Contestant, crew: Crew): Seat {
  const { command } = contestant;
  const seat = { contestant, times: [], check: Number.NaN, firstMilliseconds: Number.NaN, spentMilliseconds: 0 };
  if ('missing' in command) return { ...seat, child: null, fault: { cannot: command.missing } };
  return { ...seat, child: crew.hire(contestant, command), fault: null };
}

/** Notes why a contestant goes no further, if it does not. */
function settle(seat: Seat, outcome: Outcome, limitSeconds: number): void {
  if ('exceeded' in outcome) seat.fault = { exceeded: limitSeconds };
  else if ('cannot' in outcome) seat.fault = { cannot: outcome.cannot };
}

/** Sets a contestant up and runs it warm. One that is slow enough is not asked twice. */
async function prepare(seat: Seat, measured: Case, demand: Demand | null, options: Options): Promise<void> {
  const { child } = seat;
  if (child === null) return;
  const { limitSeconds, compileSeconds, budgetSeconds, sampleMilliseconds } = options;
  const onGpu = measured.device === 'gpu';
  const first = await child.ask({ prepare: { work: measured.work, demand } }, (startSeconds + (onGpu ? compileSeconds : limitSeconds)) * 1000);
  settle(seat, first, onGpu ? compileSeconds : limitSeconds);
  if (!('prepared' in first)) return;
  const { milliseconds, check, peakBytes } = first.prepared;
  seat.check = check;
  seat.peakBytes = peakBytes;
  seat.firstMilliseconds = milliseconds;
  // The first call compiles, on a GPU for so long that it says nothing of the others.
  if (onGpu) await turn(seat, options, false);
  else if (milliseconds > limitSeconds * 1000) seat.fault = { exceeded: limitSeconds };
  // It counts only where there is no time for another.
  else if (milliseconds > (budgetSeconds * 1000) / 2) finish(seat, [milliseconds]);
  else await turn(seat, { ...options, sampleMilliseconds: 2 * sampleMilliseconds }, false);
}

function finish(seat: Seat, times: readonly number[]): void {
  seat.times.push(...times);
  seat.spentMilliseconds = Number.POSITIVE_INFINITY;
}

async function turn(seat: Seat, { sampleMilliseconds, limitSeconds, budgetSeconds }: Options, counts: boolean): Promise<void> {
  const { child, fault } = seat;
  if (child === null || fault !== null || seat.spentMilliseconds > budgetSeconds * 1000) return;
  const start = performance.now();
  const outcome = await child.ask({ sample: { milliseconds: sampleMilliseconds } }, limitSeconds * 1000 + 10 * sampleMilliseconds);
  seat.spentMilliseconds += performance.now() - start;
  settle(seat, outcome, limitSeconds);
  if (counts && 'times' in outcome) seat.times.push(...outcome.times);
  // A warm-up that leaves no time for more is all there is.
  if (!counts && 'times' in outcome && seat.spentMilliseconds > budgetSeconds * 1000) finish(seat, outcome.times);
}

function entryOf({ contestant: { name }, fault, times, check, firstMilliseconds: first, peakBytes }: Seat): Entry {
  if (fault !== null) return { name, ...fault };
  const sorted = [...times].sort((a, b) => a - b);
  const middle = quantile(sorted, 0.5);
  const spread = (quantile(sorted, 0.75) - quantile(sorted, 0.25)) / 2 / middle;
  return { name, median: middle, fastest: sorted[0]!, spread, samples: sorted.length, check, first, ...(peakBytes !== undefined && { peakBytes }) };
}

/** What several can do at once. */
async function together(children: readonly Child[], milliseconds: number): Promise<number> {
  const outcomes = await Promise.all(children.map((child) => child.ask({ sample: { milliseconds, shared: true } }, startSeconds * 1000)));
  return outcomes.reduce((sum, outcome) => sum + ('rates' in outcome ? outcome.rates.relaxed : Number.NaN), 0);
}

/** Measures one case: every contestant has its turn in every round, so that whatever else the machine does meets them alike. */
export async function measure(measured: Case, contestants: readonly Contestant[], options: Options, crew: Crew): Promise<Measured> {
  const demand = demandOf(measured.work);
  const invited = contestants.filter(({ device: theirs, only }) => theirs === measured.device && (only?.includes(measured.work.kind) ?? true));
  const seats = invited.map((contestant) => sit(contestant, crew));
  const { device } = measured;
  const limits = crew.hire({ name: 'limits', device }, limitsCommand[device]);
  const twin = invited.some(({ role }) => role === 'threaded') ? crew.hire({ name: 'twin', device }, limitsCommand[device]) : null;
  const rates: Rates[] = [];
  const pairs: number[] = [];
  const rate = (outcome: Outcome): void => {
    if ('rates' in outcome) rates.push(outcome.rates);
    // A GPU's are one figure of many there.
    else if (device === 'gpu') rates.push({ relaxed: Number.NaN, simd: Number.NaN, copy: Number.NaN, gpu: Number.NaN });
    else throw new Error(`the limits could not be measured: ${JSON.stringify(outcome)}`);
  };
  try {
    for (const seat of seats) await prepare(seat, measured, demand, options);
    for (const child of [limits, twin]) await child?.ask({ prepare: { work: measured.work, demand } }, startSeconds * 1000);
    for (let round = 0; round < options.rounds; round++) {
      rate(await limits.ask({ sample: { milliseconds: options.sampleMilliseconds } }, startSeconds * 1000));
      if (twin) pairs.push(await together([limits, twin], options.sampleMilliseconds));
      for (const seat of seats) await turn(seat, options, true);
    }
  } finally {
    crew.release();
  }
  const overall = (name: 'relaxed' | 'simd' | 'copy'): number => median(rates.map((entry) => entry[name]));
  return {
    case: measured,
    demand,
    rates: {
      relaxed: overall('relaxed'),
      simd: overall('simd'),
      copy: overall('copy'),
      ...(pairs.length > 0 && { pair: median(pairs) }),
      ...(measured.device === 'gpu' && { gpu: median(rates.map(({ gpu = Number.NaN }) => gpu)) }),
    },
    entries: seats.map(entryOf),
  };
}
