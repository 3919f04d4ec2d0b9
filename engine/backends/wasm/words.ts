/** Words by the names that `wasm/words.ts` gives them. */
import * as word from '../../../wasm/words.ts';
import type { View } from '../../compiler/plan.ts';
import { type DType, dtypes } from '../../dtype.ts';

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

/** A value of an element type as the word, or the four bytes, that hold it. */
export function wordOf(value: number, dtype: DType): number {
  if (dtype === 'f32') return new Int32Array(Float32Array.of(value).buffer)[0]!;
  return dtype === 'u8' ? Math.imul(value & 255, 0x01010101) : value | 0;
}

/** A view of at most four axes. */
export function viewWords({ buffer, dtype, offset, shape, strides }: View): number[] {
  const four = (values: readonly number[], padding: number): number[] => [...Array<number>(4 - values.length).fill(padding), ...values];
  const view: Omit<Words<'VIEW'>, typeof word.VIEW_SHAPE | typeof word.VIEW_STRIDES> = {
    [word.VIEW_BUFFER]: buffer,
    [word.VIEW_OFFSET]: offset * dtypes[dtype].bytes,
  };
  return [...inOrder(view), ...four(shape, 1), ...four(strides, 0)];
}
