/** How iteration spaces are cut into blocks. */

import * as modes from '../../../wasm/modes.ts';
import type { View } from '../../compiler/plan.ts';
import { type Blocks, EXPANDED, loadOf, roundUp, windowOf } from './blocks.ts';
import { type Axis, extentOf, greatestCommonDivisor, period } from './space.ts';

/** A block's elements at most: its registers fit the first-level cache, and dispatching an instruction is little beside running it. */
export const BLOCK = 512;
/** The same for maps of few values, by how many values there are. */
const longestBlock = (values: number): number => Math.min(1024, Math.max(BLOCK, Math.floor(8192 / values)));
/** A shorter row does not make a block. */
const SHORTEST = 128;

/** The cheapest of a few ways to cut a map into blocks: across the whole space, or along its rows, or rows of rows. */
export function cutMap(axes: readonly Axis[], inputs: readonly View[], instructions: number): { blocks: Blocks; length: number } {
  const size = extentOf(axes);
  const most = longestBlock(inputs.length + instructions);
  const candidates: { blocks: Blocks; length: number; cost: number }[] = [];
  const consider = (length: number, longest: number) => {
    const pieces = Math.ceil(length / longest);
    const blocks = { axes, longest, segment: length, grain: pieces === 1 ? length : greatestCommonDivisor(length, longest) };
    const overhead = overheadOf(instructions) / (length / pieces);
    candidates.push({ blocks, length, cost: overhead + loadCost(blocks, inputs) });
  };
  const periods = inputs.map((_, view) => period(axes, view));
  for (const cycle of new Set([1, ...periods, periods.reduce(leastCommonMultiple, 1)])) {
    const unit = leastCommonMultiple(16, cycle);
    if (unit <= most) consider(size, Math.min(Math.floor(most / unit) * unit, roundUp(size)));
  }
  for (const [axis] of axes.entries()) {
    const row = extentOf(axes.slice(axis));
    if (row >= SHORTEST) consider(row, evenly(row, most));
  }
  return candidates.reduce((best, candidate) => (candidate.cost < best.cost ? candidate : best));
}

/** What a block costs, however short. */
const overheadOf = (instructions: number): number => 60 + 20 * instructions;

/** What loading the inputs costs for an element, in elements moved by one vector instruction. */
function loadCost(blocks: Blocks, inputs: readonly View[]): number {
  const copied = 1 + 16 / blocks.axes.at(-1)!.extent;
  const costs = inputs.map((input, view) => {
    const mode = loadOf(windowOf(input), blocks, view);
    return mode === modes.EACH ? copied : mode === EXPANDED ? 0.2 + (copied * period(blocks.axes, view)) / extentOf(blocks.axes) : 0;
  });
  return costs.reduce((sum, cost) => sum + cost, 0);
}

const leastCommonMultiple = (a: number, b: number): number => (a / greatestCommonDivisor(a, b)) * b;
/** The length of the blocks that a row is cut into, about the same for all. */
const evenly = (row: number, most = BLOCK): number => roundUp(Math.ceil(row / Math.ceil(row / most)));

/** The extents of a fold, which has been ordered as prefix × folded × suffix. */
export interface Fold {
  readonly prefix: number;
  readonly folded: number;
  readonly suffix: number;
}

/** How a fold is cut (`wasm/reduce.ts`). */
export interface Cut {
  readonly blocks: Blocks;
  /** No block reaches across a multiple of this many folded elements. */
  readonly run: number;
  readonly block: number;
  readonly group: number;
  /** A chunk of the fold is a multiple of this. */
  readonly step: number;
}

export function cutRows(axes: readonly Axis[], { folded }: Fold, inputs: readonly View[]): Cut {
  if (folded <= BLOCK / 2) {
    // Whole rows, as many as make a block: some fewer, where more inputs can be read in place then.
    const row = Math.max(1, folded);
    const most = Math.floor(BLOCK / row);
    const cuts = Array.from({ length: Math.ceil(most / 2) }, (_, fewer): Cut => {
      const group = most - fewer;
      const longest = group * row;
      return { blocks: { axes, longest, segment: longest, grain: longest }, run: row, block: row, group, step: row };
    });
    return cuts.reduce((best, cut) => (loadCost(cut.blocks, inputs) < loadCost(best.blocks, inputs) ? cut : best));
  }
  // Along the innermost axis alone, where that lets more inputs be read in place.
  const row = axes.at(-1)!.extent;
  const cuts = [folded, ...(folded % row === 0 && row >= SHORTEST ? [row] : [])].map((run): Cut => {
    const block = evenly(run);
    const blocks = { axes, longest: block, segment: run, grain: greatestCommonDivisor(run, block) };
    return { blocks, run, block, group: 1, step: run < folded ? run : block };
  });
  return cuts.reduce((best, cut) => (loadCost(cut.blocks, inputs) < loadCost(best.blocks, inputs) ? cut : best));
}

/** @param rows of `run` elements, which are a plane; a block is some rows, or a piece of one. */
export function cutPlanes(axes: readonly Axis[], rows: number, run: number, inputs: readonly View[], instructions: number): Cut {
  const most = Math.max(1, Math.min(rows, Math.floor(BLOCK / run)));
  const cuts = Array.from({ length: most }, (_, fewer) => {
    const group = most - fewer;
    const block = group > 1 ? run : Math.min(roundUp(run), evenly(run));
    const segment = rows % group === 0 ? group * run : rows * run;
    const grain = group > 1 ? run * greatestCommonDivisor(rows, group) : greatestCommonDivisor(run, block);
    const blocks = { axes, longest: group * block, segment, grain };
    return {
      cut: { blocks, run, block, group, step: 1 },
      cost: loadCost(blocks, inputs) + overheadOf(instructions) / (group * Math.min(run, block)),
    };
  });
  return cuts.reduce((best, candidate) => (candidate.cost < best.cost ? candidate : best)).cut;
}

export function cutColumns(axes: readonly Axis[], { prefix, folded, suffix }: Fold): Cut {
  if (suffix > BLOCK) {
    const block = evenly(suffix);
    const blocks = { axes, longest: block, segment: suffix, grain: greatestCommonDivisor(suffix, block) };
    return { blocks, run: 1, block, group: 1, step: 1 };
  }
  const group = Math.min(folded, Math.floor(BLOCK / suffix));
  const longest = group * suffix;
  const aligned = prefix === 1 || folded % group === 0;
  const blocks = { axes, longest, segment: aligned ? longest : suffix * folded * prefix, grain: aligned ? longest : suffix };
  return { blocks, run: 1, block: suffix, group, step: group };
}
