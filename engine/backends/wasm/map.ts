/** Elementwise programs (`wasm/map.ts`). */
import * as command from '../../../wasm/command.ts';
import * as modes from '../../../wasm/modes.ts';
import * as word from '../../../wasm/words.ts';
import type { KernelOf, Plan } from '../../compiler/plan.ts';
import { sizeOf } from '../../shape.ts';
import { byteStrides, liesInBlocks, windowOf, windowWords } from './blocks.ts';
import type { Command } from './command.ts';
import { encodeMove } from './copy.ts';
import { BLOCK, cutMap } from './cut.ts';
import { encodeProgram, mayShare, positionStrides } from './program.ts';
import { axesOf, byReach, collapse, extentOf, stridesAlong } from './space.ts';
import { inOrder, type Words } from './words.ts';

/** @param row whose pieces are the blocks, in whatever order another kernel asks for them; with 0 the map cuts its blocks itself. */
export function encodeMap(plan: Plan, kernel: KernelOf<'map'>, row: number): Command[] {
  const { shape, program, inputs, outputs } = kernel;
  if (sizeOf(shape) === 0) return [];
  const moved = outputs.map((output, k) => [inputs[program.results[k]!], output] as const);
  const apart = outputs.length === 1 || !outputs.some((output) => inputs.some((input) => mayShare(plan, input.buffer, output.buffer)));
  if (!row && apart && sizeOf(shape) < 2 ** 31 && moved.every(([from, to]) => from?.dtype === to.dtype))
    return moved.flatMap(([from, to]) => encodeMove(from!, to));

  const before = [...inputs.map(byteStrides), ...positionStrides(program, shape)];
  const axes = collapse(byReach(axesOf(shape, [...before, ...outputs.map(byteStrides)]), before.length));
  const { blocks, length } = row
    ? { blocks: { axes, longest: BLOCK, segment: row, grain: 1 }, length: row }
    : cutMap(axes, inputs, program.instructions.length);
  const inPlace = (k: number): boolean => outputs[k]!.dtype !== 'u8' && liesInBlocks(axes, before.length + k, blocks.segment);
  const encoded = encodeProgram(plan, program, inputs, blocks, { target: (k) => (inPlace(k) ? outputs[k]! : null) });
  const results = encoded.results.flatMap(({ slot, direct, spare }, k) => {
    const window = windowOf(outputs[k]!);
    const result: Words<'RESULT'> = {
      [word.RESULT_STORE]: direct ? modes.DIRECT : modes.EACH,
      [word.RESULT_ELEMENT]: window.element,
      [word.RESULT_SLOT]: slot,
      [word.RESULT_SPARE]: spare,
    };
    return [...inOrder(result), ...windowWords(window, stridesAlong(axes, before.length + k))];
  });
  const head: Words<'MAP'> = {
    [word.MAP_SEGMENTS]: extentOf(axes) / length,
    [word.MAP_LENGTH]: length,
    [word.MAP_BLOCK]: blocks.longest,
    [word.MAP_RESULTS]: outputs.length,
  };
  return [{ kind: command.MAP, words: [...inOrder(head), ...encoded.words, ...results], workspaceBytes: encoded.bytes }];
}
