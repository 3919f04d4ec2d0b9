import { type Arbitrary, assert, asyncProperty, type Parameters } from 'fast-check';

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
  try {
    await assert(
      asyncProperty<Values>(...arbitraries, async (...values) => predicate(...values)),
      replayed(options),
    );
  } catch (error) {
    const failure = /seed: (-?\d+), path: "([^"]*)"/.exec(error instanceof Error ? error.message : '');
    if (!(error instanceof Error) || failure === null) throw error;
    error.message += `\nReplay: FC_SEED=${failure[1]} FC_PATH=${failure[2]} npx vitest run <file> -t '<test name>'`;
    throw error;
  }
}
