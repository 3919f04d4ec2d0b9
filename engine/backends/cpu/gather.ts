import type { Runner } from './dense.ts';

export const gather: Runner<'gather'> = ({ inputs: [source, indices] }, x, index) => {
  const [, positions = 0, inner = 0] = source!.shape;
  const rows = indices!.shape[1]!;
  // Storing NaN in an integer array gives 0, which is what an index outside gives there.
  return [
    index!.map((position, at) => {
      const outer = Math.floor(at / (rows * inner));
      return position >= 0 && position < positions ? x![(outer * positions + position) * inner + (at % inner)]! : NaN;
    }),
  ];
};
