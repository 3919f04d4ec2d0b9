import { sizeOf } from '../../shape.ts';
import type { Runner } from './dense.ts';
import { entryOf } from './gather.ts';

export const scatterAdd: Runner<'scatterAdd'> = ({ inputs: [indices], outputs: [target] }, index, updates) => {
  const [, positions = 0, inner = 0] = target!.shape;
  const rows = indices!.shape[1]!;
  const out = new Float64Array(sizeOf(target!.shape));
  index!.forEach((given, at) => {
    const outer = Math.floor(at / (rows * inner));
    const place = entryOf(given, positions);
    if (place >= 0) out[(outer * positions + place) * inner + (at % inner)]! += updates![at]!;
  });
  return [out];
};
