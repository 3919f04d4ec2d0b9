/** Measures what the machine can do, in the same run as the contestants: arithmetic in registers, and a copy as large as the work. */
import { loadKernels } from '../kernels.ts';
import { median } from '../statistics.ts';
import { answer } from './serve.ts';

interface Limits {
  readonly prepare: () => void;
  readonly relaxed: (rounds: number) => number;
  readonly simd: (rounds: number) => number;
  readonly copyLoop: (to: number, from: number, bytes: number) => void;
  readonly copyBuiltin: (to: number, from: number, bytes: number) => void;
}

const { functions, allocate, free } = await loadKernels<Limits>('limits');

const rounds = 100_000;
const shareOfSample = 0.2;
const smallestCopy = 4096;
const largestCopy = 256 * 2 ** 20;

/** The best of many short trials: a limit is what the machine can do, not what its other tenants leave. */
function best(trial: () => number, milliseconds: number): number {
  const end = performance.now() + milliseconds;
  let most = 0;
  do {
    const start = performance.now();
    const amount = trial();
    most = Math.max(most, (amount * 1000) / (performance.now() - start));
  } while (performance.now() < end);
  return most;
}

functions.prepare();

let source = 0;
let target = 0;
let bytes = smallestCopy;

/** Copies for a millisecond or so, however small the copy. */
function copied(copy: Limits['copyLoop']): number {
  const times = Math.ceil(2 ** 24 / bytes);
  for (let i = 0; i < times; i++) copy(target, source, bytes);
  return 2 * bytes * times;
}

function measure(milliseconds: number): { relaxed: number; simd: number; copy: number } {
  const each = milliseconds * shareOfSample;
  return {
    relaxed: best(() => functions.relaxed(rounds), each),
    simd: best(() => functions.simd(rounds), each),
    copy: Math.max(
      best(() => copied(functions.copyLoop), each),
      best(() => copied(functions.copyBuiltin), each),
    ),
  };
}

/** The median of trials that another process disturbs: the best would be of a moment when it did not. */
function disturbed(milliseconds: number): number {
  const end = performance.now() + milliseconds;
  const trials: number[] = [];
  do {
    const start = performance.now();
    const amount = functions.relaxed(rounds);
    trials.push((amount * 1000) / (performance.now() - start));
  } while (performance.now() < end);
  return median(trials);
}

await answer(async (request) => {
  if ('sample' in request) {
    const { milliseconds, shared } = request.sample;
    return { rates: shared ? { relaxed: disturbed(milliseconds), simd: 0, copy: 0 } : measure(milliseconds) };
  }
  if ('count' in request) return { cannot: 'has no work to count' };
  free();
  bytes = Math.floor(Math.min(largestCopy, Math.max(smallestCopy, (request.prepare.demand?.bytes ?? 0) / 2)) / 64) * 64;
  source = allocate(bytes);
  target = allocate(bytes);
  // Touches the pages, and lets the optimising compiler have its turn.
  return { rates: measure(100) };
});
