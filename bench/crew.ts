import { Child } from './child.ts';
import type { Contestant } from './contestants.ts';
import { driverEnvironment } from './driver.ts';

/** Who is asked: a contestant, or what measures the limits. */
type Member = Pick<Contestant, 'name' | 'device' | 'environment'>;

/** A process. @throws where it is for a GPU and this machine has no driver. */
export function start({ device, environment }: Member, command: readonly string[]): Child {
  return new Child(command, { ...environment, ...(device === 'gpu' && driverEnvironment()) });
}

/** The processes of a case: fresh ones, or with `keep` those of the case before, as far as they live. */
export class Crew {
  readonly #keep: boolean;
  readonly #children = new Map<string, Child>();

  constructor({ keep }: { readonly keep: boolean }) {
    this.#keep = keep;
  }

  hire(member: Member, command: readonly string[]): Child {
    const kept = this.#children.get(member.name);
    if (kept?.alive) return kept;
    const child = start(member, command);
    this.#children.set(member.name, child);
    return child;
  }

  /** After a case. */
  release(): void {
    if (!this.#keep) this.dismiss();
  }

  dismiss(): void {
    for (const child of this.#children.values()) child.stop();
    this.#children.clear();
  }
}
