import { type Operand, Slot, Tensor } from '../../engine/core.ts';
import { check, checkList, shown } from '../../engine/internal.ts';

/**
 * Moves each target towards its source, in the plan that runs: ξ ← τξ + (1−τ)θ, with θ as assigned so far. For fixed θ the distance shrinks
 * by τ each time. A pair that is listed twice, as shared parameters are, counts once. (K. He et al., CVPR 2020, Eq. 2)
 * @param momentum τ in [0, 1]: a number, or a tensor of shape [] that a schedule sets.
 * @throws TensegrityError `argument` for lists of different lengths, and a target with two sources, `shape` for slots that do not pair up.
 */
export function moveAverage(targets: readonly Slot[], sources: readonly Slot[], momentum: Operand): void {
  checkList('moveAverage: the targets', targets);
  checkList('moveAverage: the sources', sources);
  check(
    momentum instanceof Tensor || (momentum >= 0 && momentum <= 1),
    'argument',
    () => `moveAverage: the momentum must be from 0 to 1, got ${shown(momentum)}`,
  );
  check(
    targets.length === sources.length,
    'argument',
    () => `moveAverage: ${targets.length} targets need as many sources, got ${sources.length}`,
  );
  for (const slot of [...targets, ...sources])
    check(slot instanceof Slot, 'argument', () => `moveAverage: takes slots, got ${shown(slot)}`);
  const sourceOf = new Map<Slot, Slot>();
  targets.forEach((target, i) => {
    const known = sourceOf.get(target);
    check(known === undefined || known === sources[i], 'argument', () => `moveAverage: ${target.name} is a target with two sources`);
    if (known) return;
    sourceOf.set(target, sources[i]!);
    const source = sources[i]!.value;
    // θ + τ(ξ − θ): exact where they are equal.
    target.assign(source.add(target.value.sub(source).mul(momentum)));
  });
}
