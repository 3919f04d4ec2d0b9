/** Iteration spaces in blocks, and how those of a view reach a program. */
import * as modes from '../../../wasm/modes.ts';
import { GROUP, GROUP_BYTES } from '../../../wasm/sizes.ts';
import * as word from '../../../wasm/words.ts';
import type { View } from '../../compiler/plan.ts';
import { dtypes } from '../../dtype.ts';
import { type Axis, contiguousRun, extentOf, period, stillRun } from './space.ts';
import { inOrder, type Words } from './words.ts';

/** How an iteration space is cut into blocks. */
export interface Blocks {
  readonly axes: readonly Axis[];
  /** The most elements of a block. */
  readonly longest: number;
  /** No block reaches across a multiple of this many elements. */
  readonly segment: number;
  /** Every block begins at a multiple of this many elements. */
  readonly grain: number;
}

/** A view without its strides, which the axes of a space have. */
export interface Window {
  readonly buffer: number;
  readonly byteOffset: number;
  readonly element: number;
}

export const windowOf = (view: View): Window => ({
  buffer: view.buffer,
  byteOffset: view.offset * dtypes[view.dtype].bytes,
  element: view.dtype === 'u8' ? modes.BYTE : modes.WORD,
});

/** @param strides in bytes, one for each axis of the space. */
export function windowWords({ buffer, byteOffset }: Omit<Window, 'element'>, strides: readonly number[]): number[] {
  const window: Words<'WINDOW'> = { [word.WINDOW_BUFFER]: buffer, [word.WINDOW_OFFSET]: byteOffset };
  return [...inOrder(window), ...strides];
}

export const byteStrides = (view: View): number[] => view.strides.map((stride) => stride * dtypes[view.dtype].bytes);

/** A view that repeats itself is spread out once and read in place from there, if it is not larger. */
const MOST_EXPANDED = 16384;

/** How blocks of a view reach the program (`wasm/modes.ts`); EXPANDED: loaded once, then read in place. */
export function loadOf({ element }: Window, { axes, segment, grain }: Blocks, view: number): number {
  const cycle = period(axes, view);
  if (stillRun(axes, view) % segment === 0 || cycle === 1) return modes.STILL;
  if (element === modes.WORD && liesInBlocks(axes, view, segment)) return modes.DIRECT;
  if (grain % cycle === 0) return modes.ONCE;
  return cycle % segment === 0 && cycle <= MOST_EXPANDED && cycle < extentOf(axes) ? EXPANDED : modes.EACH;
}

export const EXPANDED = 4;

/** Whether every block of a view is contiguous words. */
export function liesInBlocks(axes: readonly Axis[], view: number, segment: number): boolean {
  const run = contiguousRun(axes, view, 4);
  return run === extentOf(axes) || run % segment === 0;
}

/** A count of elements in whole groups, as loops run over them. */
export const roundUp = (count: number): number => Math.ceil(count / GROUP) * GROUP;

/** Bytes of a register for so many elements, of which moves may write a group too many. */
export const registerBytesOf = (count: number): number => 4 * roundUp(count) + GROUP_BYTES;
