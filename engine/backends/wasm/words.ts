/** Words by the names that `wasm/words.ts` gives them. */
import * as word from '../../../wasm/words.ts';
import type { View } from '../../compiler/plan.ts';
import { dtypes } from '../../dtype.ts';

/** The words whose names begin with `Name` there, each under its number: a type that asks for every one of them, and for no other. */
export type Words<Name extends string> = {
  readonly [Key in keyof typeof word as Key extends `${Name}_WORDS`
    ? never
    : Key extends `${Name}_${string}`
      ? (typeof word)[Key]
      : never]: number;
};

/** In the order of their numbers, which is that of an object's keys, whatever it was written in. */
export const inOrder = (words: Readonly<Record<number, number>>): number[] => Object.values(words);

/** Several words from one on. */
const from = (first: number, values: readonly number[]): Record<number, number> =>
  Object.fromEntries(values.map((value, k) => [first + k, value]));

/** A view of at most four axes. */
export function viewWords({ buffer, dtype, offset, shape, strides }: View): number[] {
  const padded = (values: readonly number[], padding: number): number[] => [...Array<number>(4 - values.length).fill(padding), ...values];
  return inOrder({
    [word.VIEW_BUFFER]: buffer,
    [word.VIEW_OFFSET]: offset * dtypes[dtype].bytes,
    ...from(word.VIEW_SHAPE, padded(shape, 1)),
    ...from(word.VIEW_STRIDES, padded(strides, 0)),
  });
}
