import type { Contestant } from './contestants.ts';
import type { Counts } from './counting.ts';
import { start } from './crew.ts';
import { bytesText, textTable } from './report.ts';
import type { Case } from './suites.ts';

/** What a contestant asks of WebGPU in a call: the first, with all that leads to it, and at the most in any of those after it. */
export type Counted = { readonly name: string } & (
  | { readonly first: Counts; readonly later: Counts; readonly plan?: string }
  | { readonly cannot: string }
);

export interface CountedCase {
  readonly case: Case;
  readonly entries: readonly Counted[];
}

const calls = 4;

const columns: readonly (readonly [title: string, name: keyof Counts, text: (count: number) => string])[] = [
  ['dispatches', 'dispatches', String],
  ['submits', 'submits', String],
  ['pipelines', 'pipelines', String],
  ['buffers', 'buffers', String],
  ['bind groups', 'bindGroups', String],
  ['uploaded', 'uploaded', bytesText],
  ['read', 'read', bytesText],
  ['copied', 'copied', bytesText],
  ['bound', 'bound', bytesText],
  ['peak', 'peak', bytesText],
];

const most = (counts: readonly Counts[]): Counts =>
  counts.reduce((all, each) => Object.fromEntries(columns.map(([, name]) => [name, Math.max(all[name], each[name])])) as Record<keyof Counts, number>);

export interface CountOptions {
  /** Whether what is counted is carried out too. */
  readonly dispatch: boolean;
  /** How long a contestant may take. */
  readonly limitSeconds: number;
}

export async function count(counted: Case, contestants: readonly Contestant[], options: CountOptions): Promise<CountedCase> {
  const entries: Counted[] = [];
  for (const contestant of contestants.filter(({ device, counts }) => device === counted.device && counts)) {
    entries.push(await countOne(counted, contestant, options));
  }
  return { case: counted, entries };
}

async function countOne({ work }: Case, contestant: Contestant, { dispatch, limitSeconds }: CountOptions): Promise<Counted> {
  const { name, command } = contestant;
  if ('missing' in command) return { name, cannot: command.missing };
  const child = start(contestant, command);
  try {
    const outcome = await child.ask({ count: { work, calls, dispatch } }, limitSeconds * 1000);
    if ('counted' in outcome) {
      const { counted, plan } = outcome;
      return { name, first: counted[0]!, later: most(counted.slice(1)), ...(plan !== undefined && { plan }) };
    }
    return { name, cannot: 'cannot' in outcome ? outcome.cannot : `no answer in ${limitSeconds} s` };
  } finally {
    child.stop();
  }
}

export function countTable({ entries }: CountedCase): string {
  const line = (title: string, counts: Counts): string[] => [title, ...columns.map(([, name, text]) => text(counts[name]))];
  const body = entries.flatMap((entry) => ('cannot' in entry ? [] : [line(entry.name, entry.later), line('  first step', entry.first)]));
  const notes = entries.flatMap((entry) => {
    if ('cannot' in entry) return [`  ${entry.name} cannot: ${entry.cannot}`];
    return entry.plan === undefined ? [] : [`  ${entry.name}, ${entry.plan}`];
  });
  return [...textTable(['each step after the first', ...columns.map(([title]) => title)], body), ...notes].join('\n');
}
