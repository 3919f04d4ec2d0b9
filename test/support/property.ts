import { type Arbitrary, assert, asyncProperty, type Parameters, sample, tuple } from 'fast-check';

export const minimumRuns = 100;

export type PropertyOptions = Omit<Parameters<unknown>, 'seed' | 'path'>;

type Arbitraries<Values extends readonly unknown[]> = { [Index in keyof Values]: Arbitrary<Values[Index]> };
type Predicate<Values extends readonly unknown[]> = (...values: Values) => boolean | undefined | void | Promise<boolean | undefined | void>;

/** `options` with at least `minimumRuns` runs, and the seed and path that `FC_SEED` and `FC_PATH` name. */
export function replayed(options: PropertyOptions): Parameters<unknown> {
  const numRuns = Math.max(minimumRuns, options.numRuns ?? minimumRuns);
  const { FC_SEED: seed, FC_PATH: path } = process.env as { FC_SEED?: string; FC_PATH?: string };
  return { ...options, numRuns, ...(seed ? { seed: Number(seed) } : {}), ...(path ? { path } : {}) };
}

/**
 * Checks that `predicate` holds for at least 100 draws of the arbitraries. It may return a promise; await the result.
 * A failure names the command that replays it.
 *
 * @example it('adds', () => property([fc.float(), fc.float()], (a, b) => a + b === b + a));
 * @example it('is slow', () => property([fc.nat()], async (n) => { … }, { numRuns: 200 }));
 */
export async function property<Values extends [unknown, ...unknown[]]>(
  arbitraries: Arbitraries<Values>,
  predicate: Predicate<Values>,
  options: PropertyOptions = {},
): Promise<void> {
  await checked(arbitraries, predicate, replayed(options));
}

/** Checks `count` draws only: where each takes long, of what {@link property} holds elsewhere. */
export async function fewDraws<Values extends [unknown, ...unknown[]]>(
  count: number,
  arbitraries: Arbitraries<Values>,
  predicate: Predicate<Values>,
): Promise<void> {
  await checked(arbitraries, predicate, { ...replayed({}), numRuns: count });
}

/**
 * Checks `count` draws of the arbitraries together, where one by one would take too long: `faults` says of each what is wrong with it, or null.
 * A draw that fails is checked by itself then, and made smaller; one that fails only among the others is an error as well.
 */
export async function propertyTogether<Values extends [unknown, ...unknown[]]>(
  arbitraries: Arbitraries<Values>,
  count: number,
  faults: (draws: readonly Values[]) => Promise<readonly (string | null)[]>,
): Promise<void> {
  const { seed = (Math.random() * 2 ** 32) | 0, path } = replayed({});
  const alone = (at: string): Promise<void> =>
    checked(
      arbitraries,
      async (...values) => {
        const [fault] = await faults([values]);
        if (fault) throw new Error(fault);
      },
      // Making it smaller ends before the test's time does.
      { seed, path: at, numRuns: 1, interruptAfterTimeLimit: 30_000, markInterruptAsFailure: false },
    );
  if (path !== undefined) return alone(path);
  const said = await faults(sample(tuple<Values>(...arbitraries), { seed, path: '', numRuns: count }));
  const failed = said.findIndex((fault) => fault !== null);
  if (failed < 0) return;
  await alone(String(failed));
  throw new Error(`draw ${failed} of ${count} fails, but not by itself: ${said[failed]}\n${replayCommand(`FC_SEED=${seed}`)}`);
}

async function checked<Values extends [unknown, ...unknown[]]>(
  arbitraries: Arbitraries<Values>,
  predicate: Predicate<Values>,
  parameters: Parameters<unknown>,
): Promise<void> {
  try {
    await assert(
      asyncProperty<Values>(...arbitraries, async (...values) => predicate(...values)),
      parameters,
    );
  } catch (error) {
    const failure = /seed: (-?\d+), path: "([^"]*)"/.exec(error instanceof Error ? error.message : '');
    if (!(error instanceof Error) || failure === null) throw error;
    error.message += `\n${replayCommand(`FC_SEED=${failure[1]} FC_PATH=${failure[2]}`)}`;
    throw error;
  }
}

const replayCommand = (variables: string): string => `Replay: ${variables} npx vitest run <file> -t '<test name>'`;
