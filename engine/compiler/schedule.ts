import type { Buffers } from './buffers.ts';
import { Heap } from './collections.ts';
import { paddedBytes } from './memory.ts';
import type { Kernel } from './plan.ts';

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
  const given = orderOf(tasks, bytes, false);
  const greedy = orderOf(tasks, bytes, true);
  return peakOf(tasks, bytes, greedy) <= peakOf(tasks, bytes, given) ? greedy : given;
}

function orderOf(tasks: readonly Task[], bytes: readonly number[], greedy: boolean): number[] {
  const uses = usesOf(tasks, bytes.length);
  const readers: number[][] = bytes.map(() => []);
  const users: number[][] = tasks.map(() => []);
  const missing = tasks.map(({ reads, after }, task) => {
    for (const buffer of reads) readers[buffer]!.push(task);
    const before = new Set(after);
    for (const each of before) users[each]!.push(task);
    return before.size;
  });
  const ready = new Heap<{ readonly task: number; readonly growth: number }>(
    (a, b) => a.growth < b.growth || (a.growth === b.growth && a.task < b.task),
  );
  const done = new Set<number>();
  // Growth only falls, so of several entries of a task the right one comes first. All that takes memory is alike.
  const consider = (task: number): void => {
    if (missing[task] !== 0 || done.has(task)) return;
    const { reads, writes } = tasks[task]!;
    const taken = writes.reduce((sum, buffer) => sum + bytes[buffer]!, 0);
    const growth = reads.reduce((sum, buffer) => (uses[buffer] === 1 ? sum - bytes[buffer]! : sum), taken);
    ready.push({ task, growth: greedy ? Math.min(growth, 1) : 1 });
  };
  for (const task of tasks.keys()) consider(task);
  for (let next = ready.pop(); next; next = ready.pop()) {
    const { task } = next;
    if (done.has(task)) continue;
    done.add(task);
    for (const buffer of tasks[task]!.reads) if (--uses[buffer]! === 1) readers[buffer]!.forEach(consider);
    for (const user of users[task]!) {
      missing[user]!--;
      consider(user);
    }
  }
  if (done.size !== tasks.length) throw new Error('the compiler built kernels that wait for each other');
  return [...done];
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

/** Orders the kernels; the last `finals` of them run at the end. Kernels that read a buffer run before one that comes over it. */
export function scheduleKernels(kernels: readonly Kernel[], { specs, over }: Pick<Buffers, 'specs' | 'over'>, finals: number): Kernel[] {
  // What ends the plan waits for one task that waits for all others.
  const end = kernels.length;
  const writer = new Map<number, number>();
  kernels.slice(0, end - finals).forEach(({ outputs }, i) => {
    for (const { buffer } of outputs) writer.set(buffer, i);
  });
  const overwriter = new Map([...over].map(([buffer, before]) => [before, writer.get(buffer)]));
  const tasks = kernels.map(({ inputs, outputs }, i) => {
    const writes = outputs.map((view) => view.buffer);
    const reads = [...new Set([...inputs.map((view) => view.buffer), ...writes.flatMap((buffer) => over.get(buffer) ?? [])])];
    return { reads, writes, after: reads.flatMap((buffer) => writer.get(buffer) ?? []).filter((task) => task !== i) };
  });
  tasks.forEach(({ reads }, i) => {
    for (const buffer of reads) {
      const write = overwriter.get(buffer);
      if (write !== undefined && write !== i) tasks[write]!.after.push(i);
    }
  });
  for (const { after } of tasks.slice(end - finals)) after.push(end);
  tasks.push({ reads: [], writes: [], after: [...Array(end - finals).keys()] });
  const bytes = specs.map((spec) => (spec.kind === 'scratch' || spec.kind === 'output' ? paddedBytes(spec) : 0));
  return schedule(tasks, bytes).flatMap((task) => kernels[task] ?? []);
}
