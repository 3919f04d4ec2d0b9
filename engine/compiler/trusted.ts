import type { Plan } from './plan.ts';

/** Plans that this compiler made, and that nobody outside the engine has: what backends need not validate. */
export const trusted = new WeakSet<Plan>();
