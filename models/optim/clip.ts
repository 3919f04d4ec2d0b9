import type { Tensor } from '../../engine/core.ts';
import { checkList, checkNumber, checkTensors } from '../../engine/internal.ts';

/**
 * Gradients scaled down together where their common norm exceeds `most`: g·min(1, most/(‖g‖ + 1e-6)), as PyTorch's `clip_grad_norm_`.
 * (R. Pascanu et al., ICML 2013, Algorithm 1)
 * @throws TensegrityError `argument` unless `most` is a finite number ≥ 0.
 */
export function clipByNorm(gradients: readonly Tensor[], most: number): Tensor[] {
  checkList('clipByNorm: the gradients', gradients);
  checkTensors('clipByNorm', ...gradients);
  checkNumber('clipByNorm: the largest norm', most, 0);
  const [first, ...rest] = gradients.map((gradient) => gradient.square().sum());
  if (!first) return [];
  const norm = rest.reduce((sum, square) => sum.add(square), first).sqrt();
  const factor = norm.add(1e-6).reciprocal().mul(most).minimum(1);
  return gradients.map((gradient) => gradient.mul(factor));
}
