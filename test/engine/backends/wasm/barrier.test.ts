/** The barrier of `wasm/barrier.ts`, its source run step by step: every order in which threads can come to its atomic operations. */
import { readFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { describe, expect, it } from 'vitest';

/** An atomic operation: its name and its operands, addresses in bytes. The barrier lies at 0. */
type Operation = readonly [name: string, address: number, ...operands: number[]];
type Meeting = Generator<Operation, void, number>;

/** The function `meet` as a generator that gives its atomic operations out to be done, and spins once. */
const meet = (() => {
  const path = new URL('../../../../wasm/barrier.ts', import.meta.url);
  const source = readFileSync(path, 'utf8')
    .replace('const SPINS = 2000', 'const SPINS = 1')
    .replace('export function meet', 'function* meet');
  const stepwise = stripTypeScriptTypes(source.replace(/atomic\.(\w+)(?:<i32>)?\(([^()]*)\)/g, '(yield ["$1", $2])'));
  expect(stepwise).not.toMatch(/atomic\.|SPINS = 2000/);
  // The source is this repository's own.
  return new Function('unreachable', `${stepwise.replace('100_000_000n', '0')}; return meet;`)(() => {
    throw new Error('aborted');
  }) as (barrier: number, threads: number) => Meeting;
})();

interface Thread {
  /** How many meetings it has left behind. */
  readonly met: number;
  /** What the operations of the meeting it is in have given it: with them, it is where it was. */
  readonly given: readonly number[];
  /** The address that it sleeps on. */
  readonly asleep: number | null;
  /** How it ended, if it has: by arriving at the end, or by the abort. */
  readonly end: 'arrived' | 'aborted' | null;
}
interface State {
  readonly words: readonly number[];
  readonly threads: readonly Thread[];
}

interface Rules {
  readonly threads: number;
  readonly meetings: number;
  /** The last thread fails before its first meeting, and the abort is raised at any time from then on. */
  readonly failing?: boolean;
}

/** The operation that a thread is about to do. */
function next({ given }: Thread, threads: number): Operation | 'left' | 'aborted' {
  try {
    const meeting = meet(0, threads);
    let step = meeting.next();
    for (const value of given) step = meeting.next(value);
    return step.done ? 'left' : step.value;
  } catch {
    return 'aborted';
  }
}

/** A thread that wakes and finds nothing new goes round in a loop of three operations: where it is after two rounds, it was after one. */
function withoutRepeats(given: readonly number[]): readonly number[] {
  const [last, before] = [given.slice(-3), given.slice(-6, -3)];
  return given.length > 8 && last.every((value, i) => value === before[i]) ? given.slice(0, -3) : given;
}

/** What a thread's next step makes of a state. A meeting that is left is entered anew, as from the next command. */
function after({ words, threads }: State, number: number, { meetings }: Rules): State {
  const thread = threads[number]!;
  const operation = next(thread, threads.length);
  if (operation === 'left' || operation === 'aborted') throw new Error('threads are settled between their steps');
  const [name, address, ...operands] = operation;
  const memory = [...words];
  // An offset may follow the operands.
  const at = (address + (operands[{ load: 0, add: 1, store: 1, notify: 9, wait: 9 }[name] ?? 9] ?? 0)) / 4;
  let others = threads;
  let mine: Thread = thread;
  let value = memory[at]!;
  if (name === 'add') memory[at] = value + operands[0]!;
  else if (name === 'store') memory[at] = operands[0]!;
  else if (name === 'notify') others = threads.map((each) => (each.asleep === at ? { ...each, asleep: null } : each));
  else if (name === 'wait') {
    if (value === operands[0]) mine = { ...mine, asleep: at };
    value = 0;
  } else if (name !== 'load') throw new Error(`the model knows no ${name}`);
  mine = { ...mine, given: withoutRepeats([...mine.given, value]) };
  if (mine.given.length > 30) throw new Error(`a thread goes round without end: ${JSON.stringify(mine)}`);
  const outcome = next(mine, threads.length);
  if (outcome === 'aborted') mine = { ...mine, end: 'aborted' };
  if (outcome === 'left') mine = { met: mine.met + 1, given: [], asleep: null, end: mine.met + 1 === meetings ? 'arrived' : null };
  return { words: memory, threads: others.map((each, i) => (i === number ? mine : each)) };
}

/** All states that steps in any order lead to. @throws where a thread leaves a meeting before all have come, or none can go on. */
function explore(rules: Rules): number {
  const fresh: Thread = { met: 0, given: [], asleep: null, end: null };
  const failed = (number: number): boolean => rules.failing === true && number === rules.threads - 1;
  const start: State = {
    words: [0, 0, 0],
    threads: Array.from({ length: rules.threads }, (_, i) => (failed(i) ? { ...fresh, end: 'aborted' } : fresh)),
  };
  const seen = new Set<string>();
  const open = [start];
  for (let state = open.pop(); state; state = open.pop()) {
    const key = JSON.stringify(state);
    if (seen.has(key)) continue;
    seen.add(key);
    if (seen.size > 300_000) throw new Error('the model has too many states to be held');
    const { words, threads } = state;
    const arrived = threads.map(({ met, given, end }) => met + (end === null && given.length > 1 ? 1 : 0));
    for (const { met } of threads) if (met > Math.min(...arrived)) throw new Error(`a thread left before all had come: ${key}`);
    const able = threads.flatMap(({ asleep, end }, i) => (asleep === null && end === null ? [i] : []));
    open.push(...able.map((i) => after(state, i, rules)));
    if (rules.failing && words[2] === 0) open.push({ ...state, words: [words[0]!, words[1]!, 1] });
    const napping = threads.flatMap(({ asleep }, i) => (asleep === null ? [] : [i]));
    // Naps end by themselves, but a barrier that needs them to would be slow.
    if (!rules.failing && able.length === 0 && napping.length > 0) throw new Error(`all sleep: ${key}`);
    for (const i of napping) open.push({ words, threads: threads.map((each, j) => (i === j ? { ...each, asleep: null } : each)) });
    if (able.length === 0 && napping.length === 0) {
      const ends = new Set(threads.map(({ end }) => end));
      expect([...ends]).toEqual([rules.failing ? 'aborted' : 'arrived']);
    }
  }
  return seen.size;
}

describe('in every order of its atomic operations, the barrier', () => {
  it.each([
    [2, 4],
    [3, 3],
    [4, 1],
  ])('lets %i threads leave together, %i times', (threads, meetings) => {
    expect(explore({ threads, meetings })).toBeGreaterThan(100);
  });

  it.each([2, 3, 4])('lets the others of %i threads end when one has failed', (threads) => {
    expect(explore({ threads, meetings: 2, failing: true })).toBeGreaterThan(10);
  });
});
