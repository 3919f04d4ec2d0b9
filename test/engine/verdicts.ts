/** The whole table at once, for the runtimes that tests start: a browser, Deno. */
import fc from 'fast-check';
import { createCpuBackend } from '../../engine/backends/cpu/index.ts';
import { createWebGpuBackend } from '../../engine/backends/webgpu/index.ts';
import { draws, gradientFaults, valueFaults } from './agreement.ts';
import { cases } from './cases/index.ts';

/** By op: what is wrong with it, if anything. */
export type Verdicts = Readonly<Record<string, readonly string[]>>;

export interface Asked {
  readonly what: 'values' | 'gradients';
  readonly seed: number;
  /** Draws of each case; half as many of a heavy one. */
  readonly count: number;
}

/** The cases with derivatives, or all. */
export const casesOf = (what: Asked['what']) => cases.filter(({ gradient }) => what === 'values' || gradient);

/** Every case on the GPU of the runtime, against the reference. */
export async function table({ what, seed, count }: Asked): Promise<Verdicts> {
  const [backend, reference] = [await createWebGpuBackend(), createCpuBackend({ poison: true })];
  const verdicts: Record<string, string[]> = {};
  for (const entry of casesOf(what)) {
    const arbitrary = fc.tuple(...draws(entry, what === 'values' ? 'any' : 'small'));
    const faultsOf = what === 'values' ? valueFaults : gradientFaults;
    try {
      const said = await faultsOf(
        entry,
        fc.sample(arbitrary, { seed, numRuns: Math.ceil(entry.heavy ? count / 2 : count) }),
        backend,
        reference,
      );
      verdicts[entry.name] = said.flatMap((fault, draw) => (fault === null ? [] : [`draw ${draw}: ${fault}`]));
    } catch (error) {
      verdicts[entry.name] = [String(error)];
    }
  }
  backend.dispose();
  return verdicts;
}
