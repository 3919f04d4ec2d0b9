/** What the scheduler knows of a kernel: which kernels must run before it, and what it makes and may set free. */
export interface Task {
  readonly after: readonly number[];
  readonly reads: readonly number[];
  readonly writes: readonly number[];
}

/**
 * An order that respects `after`. Among the kernels that can run, one that gives back at least the memory it takes goes first; else the
 * first in the order given, which is the order in which the user's code built them. If that keeps more alive at the peak than
 * the order given, the order given is taken.
 * @param bytes of each buffer; 0 for those whose memory is not the plan's.
 * @returns task numbers.
 */
export function schedule(tasks: readonly Task[], bytes: readonly number[]): number[] {
  const given = topological(tasks);
  const greedy = greedyOrder(tasks, bytes);
  return peakOf(tasks, bytes, greedy) <= peakOf(tasks, bytes, given) ? greedy : given;
}

function topological(tasks: readonly Task[]): number[] {
  return run(tasks, (ready) => ready.reduce((best, task) => Math.min(best, task)));
}

function greedyOrder(tasks: readonly Task[], bytes: readonly number[]): number[] {
  const uses = usesOf(tasks, bytes.length);
  const growth = (task: number): number => {
    const { reads, writes } = tasks[task]!;
    const taken = writes.reduce((sum, buffer) => sum + bytes[buffer]!, 0);
    return reads.reduce((sum, buffer) => (uses[buffer] === 1 ? sum - bytes[buffer]! : sum), taken);
  };
  return run(tasks, (ready) => {
    const best = ready
      .filter((task) => growth(task) <= 0)
      .reduce(
        (chosen, task) =>
          chosen === -1 || growth(task) < growth(chosen) || (growth(task) === growth(chosen) && task < chosen) ? task : chosen,
        -1,
      );
    const task = best === -1 ? ready.reduce((first, other) => Math.min(first, other)) : best;
    for (const buffer of tasks[task]!.reads) uses[buffer]!--;
    return task;
  });
}

function run(tasks: readonly Task[], choose: (ready: readonly number[]) => number): number[] {
  const waiting = tasks.map((task) => new Set(task.after).size);
  const users: number[][] = tasks.map(() => []);
  tasks.forEach((task, i) => {
    for (const before of new Set(task.after)) users[before]!.push(i);
  });
  const ready = new Set(tasks.flatMap((_, i) => (waiting[i] === 0 ? [i] : [])));
  const order: number[] = [];
  while (ready.size > 0) {
    const task = choose([...ready]);
    ready.delete(task);
    order.push(task);
    for (const user of users[task]!) if (--waiting[user]! === 0) ready.add(user);
  }
  if (order.length !== tasks.length) throw new Error('the compiler built kernels that wait for each other');
  return order;
}

function usesOf(tasks: readonly Task[], buffers: number): number[] {
  const uses = new Array<number>(buffers).fill(0);
  for (const { reads } of tasks) for (const buffer of reads) uses[buffer]!++;
  return uses;
}

/** The most bytes alive at once. */
export function peakOf(tasks: readonly Task[], bytes: readonly number[], order: readonly number[]): number {
  const uses = usesOf(tasks, bytes.length);
  let live = 0;
  let peak = 0;
  for (const task of order) {
    const { reads, writes } = tasks[task]!;
    for (const buffer of writes) live += bytes[buffer]!;
    peak = Math.max(peak, live);
    for (const buffer of reads) if (--uses[buffer]! === 0) live -= bytes[buffer]!;
    for (const buffer of writes) if (uses[buffer] === 0) live -= bytes[buffer]!;
  }
  return peak;
}
