import { laneOf } from '../../compiler/lanes.ts';
import { type MovingKernel, movesOf } from '../../compiler/moves.ts';
import type { MapKernel, PadKernel, Program, View } from '../../compiler/plan.ts';
import { map } from './map.ts';
import type { Context, Shader } from './shader.ts';

const identity: Program = { inputs: 1, constants: [], instructions: [], registers: 0, results: [0] };

/** Each window is a map of the identity. They lie beside each other. */
export function copy(kernel: MovingKernel, context: Context): Shader[] {
  const maps = movesOf(kernel).map(
    ([from, to]): MapKernel => ({ kind: 'map', shape: to.shape, program: identity, inputs: [from], outputs: [to] }),
  );
  return maps.flatMap((each) => map(each, context)).map((shader, k) => ({ ...shader, besides: k > 0 }));
}

/** First a map of a constant. */
export function pad(kernel: PadKernel, context: Context): Shader[] {
  return [...map(filled(kernel.outputs[0]!, kernel.value), context), ...copy(kernel, context)];
}

function filled(output: View, value: number): MapKernel {
  const { shape, dtype } = output;
  const program: Program = {
    inputs: 0,
    constants: [{ value, lane: laneOf(dtype) }],
    instructions: [],
    registers: 0,
    results: [0],
  };
  return { kind: 'map', shape, program, inputs: [], outputs: [output] };
}
