import { writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Counts } from '../counting.ts';
import type { Reply, Request } from '../protocol.ts';
import type { Work, WorkKind, WorkOf } from '../work.ts';

export interface Runner {
  /** Runs once and gives the magnitude of the result, by which contestants are compared. */
  first(): number | Promise<number>;
  run(): unknown;
  /** Waits for what `run` has started and not waited for: a GPU is given call after call, and waited for once. */
  settle?(): Promise<unknown>;
  /** What is known of a call before it runs: its work, by its own account. */
  plan?(): Promise<string>;
  /** The most memory that a call has in use at once, asked after the first. */
  peakBytes?(): Promise<number>;
}

/** How each kind of work is set up, or why it cannot be. */
export type Contestant = { readonly [Kind in WorkKind]: ((work: WorkOf<Kind>) => Runner | Promise<Runner>) | string };

export function unable(reason: string): Contestant {
  return { matmul: reason, convolution: reason, step: reason, chain: reason, whitening: reason, replay: reason };
}

export class CannotError extends Error {}

/** Short calls are timed in batches of about this many milliseconds, so that the clock does not count; nor the wait for a GPU, where there is one. */
const batchMilliseconds = 2;
const settledBatchMilliseconds = 30;

async function timed({ run, settle }: Pick<Runner, 'run' | 'settle'>, calls: number): Promise<number> {
  const start = performance.now();
  for (let call = 0; call < calls; call++) {
    const result = run();
    if (result instanceof Promise) await result;
  }
  await settle?.();
  return (performance.now() - start) / calls;
}

export async function sampleOf(runner: Pick<Runner, 'run' | 'settle'>, milliseconds: number): Promise<number[]> {
  const end = performance.now() + milliseconds;
  const times = [await timed(runner, 1)];
  const batch = runner.settle ? settledBatchMilliseconds : batchMilliseconds;
  const calls = Math.max(1, Math.ceil(batch / times[0]!));
  if (calls > 1) times.pop();
  while (times.length === 0 || performance.now() < end) times.push(await timed(runner, calls));
  return times;
}

export function reply(message: Reply): void {
  writeSync(3, `${JSON.stringify(message)}\n`);
}

/** Answers each line of standard input, one at a time, until it ends. */
export async function answer(respond: (request: Request) => Promise<Reply>): Promise<void> {
  for await (const line of createInterface({ input: process.stdin })) {
    try {
      reply(await respond(JSON.parse(line) as Request));
    } catch (error) {
      reply({ cannot: (error instanceof Error ? error.message : String(error)).split('\n')[0]!.slice(0, 120) });
    }
  }
  process.exit(0);
}

/** The child's end: sets up what the parent asks for, and times it. */
export async function serve(load: () => Promise<Contestant>): Promise<void> {
  let contestant: Contestant | null = null;
  let runner: Runner | null = null;
  const make = async (work: Work): Promise<Runner> => {
    contestant ??= await load();
    // The table's type ties each row to its kind; here both are of the same kind.
    const made = contestant[work.kind] as ((work: Work) => Runner | Promise<Runner>) | string;
    if (typeof made === 'string') throw new CannotError(made);
    return made(work);
  };
  await answer(async (request) => {
    if ('count' in request) {
      const { work, calls, dispatch } = request.count;
      const { startCounting, takeCounts } = await import('../counting.ts');
      startCounting({ dispatch });
      runner = await make(work);
      const counted: Counts[] = [];
      for (let call = 0; call < calls; call++) {
        await (call === 0 ? runner.first() : runner.run());
        await runner.settle?.();
        counted.push(takeCounts());
      }
      const plan = await runner.plan?.();
      return { counted, ...(plan !== undefined && { plan }) };
    }
    if ('prepare' in request) {
      runner = await make(request.prepare.work);
      const start = performance.now();
      const check = await runner.first();
      const milliseconds = performance.now() - start;
      const peakBytes = await runner.peakBytes?.();
      return { prepared: { milliseconds, check, ...(peakBytes !== undefined && { peakBytes }) } };
    }
    if (runner === null) throw new Error('asked for a sample before the work was prepared');
    return { times: await sampleOf(runner, request.sample.milliseconds) };
  });
}
