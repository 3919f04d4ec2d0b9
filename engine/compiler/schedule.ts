import { Heap } from './collections.ts';

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
  const ready = new Heap<number>((a, b) => a < b);
  return run(
    tasks,
    (task) => ready.push(task),
    () => ready.pop(),
  );
}

function greedyOrder(tasks: readonly Task[], bytes: readonly number[]): number[] {
  const uses = usesOf(tasks, bytes.length);
  const readers: number[][] = bytes.map(() => []);
  tasks.forEach(({ reads }, task) => {
    for (const buffer of reads) readers[buffer]!.push(task);
  });
  const growth = (task: number): number => {
    const { reads, writes } = tasks[task]!;
    const taken = writes.reduce((sum, buffer) => sum + bytes[buffer]!, 0);
    return reads.reduce((sum, buffer) => (uses[buffer] === 1 ? sum - bytes[buffer]! : sum), taken);
  };
  const waiting = new Set<number>();
  const inOrder = new Heap<number>((a, b) => a < b);
  // A task's growth only falls: what is known of it from before comes later, when it has run.
  const shrinking = new Heap<{ readonly task: number; readonly grows: number }>(
    (a, b) => a.grows < b.grows || (a.grows === b.grows && a.task < b.task),
  );
  const consider = (task: number): void => {
    const grows = growth(task);
    if (grows <= 0) shrinking.push({ task, grows });
  };
  return run(
    tasks,
    (task) => {
      waiting.add(task);
      inOrder.push(task);
      consider(task);
    },
    () => {
      let task = shrinking.pop()?.task;
      while (task !== undefined && !waiting.has(task)) task = shrinking.pop()?.task;
      while (task === undefined || !waiting.has(task)) {
        task = inOrder.pop();
        if (task === undefined) return undefined;
      }
      waiting.delete(task);
      for (const buffer of tasks[task]!.reads)
        if (--uses[buffer]! === 1) for (const reader of readers[buffer]!) if (waiting.has(reader)) consider(reader);
      return task;
    },
  );
}

function run(tasks: readonly Task[], add: (ready: number) => void, next: () => number | undefined): number[] {
  const waiting = tasks.map((task) => new Set(task.after).size);
  const users: number[][] = tasks.map(() => []);
  tasks.forEach((task, i) => {
    for (const before of new Set(task.after)) users[before]!.push(i);
  });
  waiting.forEach((count, task) => {
    if (count === 0) add(task);
  });
  const order: number[] = [];
  for (let task = next(); task !== undefined; task = next()) {
    order.push(task);
    for (const user of users[task]!) if (--waiting[user]! === 0) add(user);
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
