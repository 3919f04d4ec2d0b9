/**
 * Where threads meet between two commands: [arrivals, generation, abort], three words. The last to arrive opens the next generation; the
 * others spin for a moment, for most commands take microseconds, and then sleep.
 */
const SPINS = 2000;
/** Nanoseconds after which a sleeper looks whether the others are still alive. */
const NAP: i64 = 100_000_000;

export function meet(barrier: usize, threads: i32): void {
  const generation = atomic.load<i32>(barrier, 4);
  if (atomic.add<i32>(barrier, 1) == threads - 1) {
    atomic.store<i32>(barrier, 0);
    atomic.add<i32>(barrier, 1, 4);
    atomic.notify(barrier + 4, -1);
    return;
  }
  for (let i = 0; i < SPINS; i++) {
    if (atomic.load<i32>(barrier, 4) != generation) return;
  }
  while (atomic.load<i32>(barrier, 4) == generation) {
    // Another thread has failed and will never arrive.
    if (atomic.load<i32>(barrier, 8) != 0) unreachable();
    atomic.wait<i32>(barrier + 4, generation, NAP);
  }
}
