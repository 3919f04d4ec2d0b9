import { sizeOf } from '../../shape.ts';
import type { Runner } from './dense.ts';

export const scatterAdd: Runner<'scatterAdd'> = ({ inputs: [indices], outputs: [target] }, index, updates) => {
  const [, positions = 0, inner = 0] = target!.shape;
  const rows = indices!.shape[1]!;
  const out = new Float64Array(sizeOf(target!.shape));
  index!.forEach((position, at) => {
    const outer = Math.floor(at / (rows * inner));
    if (position >= 0 && position < positions) out[(outer * positions + position) * inner + (at % inner)]! += updates![at]!;
  });
  return [out];
};
