import type { Runner } from './dense.ts';

/** Which entry of an axis an index means: negative ones count from the end. −1 for one outside. */
export function entryOf(index: number, extent: number): number {
  const place = index < 0 ? index + extent : index;
  return place >= 0 && place < extent ? place : -1;
}

export const gather: Runner<'gather'> = ({ inputs: [source, indices] }, x, index) => {
  const [, positions = 0, inner = 0] = source!.shape;
  const rows = indices!.shape[1]!;
  // Storing NaN in an integer array gives 0, which is what an index outside gives there.
  return [
    index!.map((given, at) => {
      const outer = Math.floor(at / (rows * inner));
      const place = entryOf(given, positions);
      return place >= 0 ? x![(outer * positions + place) * inner + (at % inner)]! : NaN;
    }),
  ];
};
