import type { Plan } from '../../compiler/plan.ts';
import { workOf } from '../../compiler/work.ts';
import type { TensegrityError } from '../../errors.ts';
import type { Crew } from './backend.ts';
import { inPage } from './platform.ts';
import type { Team } from './team.ts';

/** Plans of fewer operations (or bytes) than this take less time than it takes to wake a thread. */
const WORTH_SHARING = 2e6;
/**
 * Operations (or bytes) that take one thread about as long as it takes to start others: those are started for a plan of so many, and once as many
 * have been done by plans that are worth sharing.
 */
const WORTH_STARTING = 2e9;

/**
 * Which plans threads share, and when these start.
 * @param asked whether so many threads were asked for.
 */
export function createCrew(hire: () => Promise<Team>, threads: number, asked: boolean): Crew {
  let starting: Promise<Team | null> | null = null;
  let team: Team | null = null;
  /** Operations (or bytes) of the plans run so far that are worth sharing. */
  let done = 0;
  const alone = ({ details }: TensegrityError): null => {
    if (crew.threads > 1) console.warn(`tensegrity: 1 thread computes, not ${crew.threads}: ${details['fault']}`);
    crew.threads = 1;
    return null;
  };
  const hired = async (): Promise<void> => {
    // A page that lets no worker start still has its own thread.
    starting ??= asked ? hire() : hire().catch(alone);
    team = await starting;
  };
  const crew: Crew = {
    threads,
    async shareOf(plan) {
      const { whole, longest } = workIn(plan);
      if ((inPage() ? whole : longest) <= WORTH_SHARING) return null;
      if (asked || inPage() || whole > WORTH_STARTING) await hired();
      return () => {
        done += whole;
        // Whoever asked for them has them by now, or has been told.
        if (done > WORTH_STARTING && !starting) void hired();
        return team;
      };
    },
    dispose() {
      // One that did not start has been reported to who asked for it.
      starting?.then(
        (started) => started?.dispose(),
        () => undefined,
      );
    },
  };
  return crew;
}

/** Operations (or bytes) of a plan and of its longest kernel: threads are woken for this, but in a page, which all kernels would keep waiting, for all. */
function workIn({ kernels }: Plan): { readonly whole: number; readonly longest: number } {
  let [whole, longest] = [0, 0];
  for (const { flops, bytes } of kernels.map(workOf)) {
    whole += Math.max(flops, bytes);
    longest = Math.max(longest, flops, bytes);
  }
  return { whole, longest };
}
