import { contiguous } from '../../compiler/layout.ts';
import type { MapKernel, Program, View } from '../../compiler/plan.ts';
import { map } from './map.ts';
import type { Emitter } from './shader.ts';

const identity: Program = { inputs: 1, constants: [], instructions: [], registers: 0, results: [0] };

/** A fill and each window are maps: of a constant, and of the identity. The windows lie beside each other. */
export const copy: Emitter<'copy'> = ({ fill, inputs, outputs }, context) => {
  const maps = inputs.map(
    (input, k): MapKernel => ({ kind: 'map', shape: input.shape, program: identity, inputs: [input], outputs: [outputs[k]!] }),
  );
  const filled = fill === null ? [] : map(fillMap(outputs[0]!, fill, context.plan.buffers[outputs[0]!.buffer]!.length), context);
  const windows = maps.flatMap((kernel) => map(kernel, context)).map((shader, k) => ({ ...shader, besides: k > 0 }));
  return [...filled, ...windows];
};

function fillMap({ buffer, dtype }: View, value: number, length: number): MapKernel {
  const program: Program = {
    inputs: 0,
    constants: [{ value, lane: dtype === 'u8' ? 'i32' : dtype }],
    instructions: [],
    registers: 0,
    results: [0],
  };
  return { kind: 'map', shape: [length], program, inputs: [], outputs: [{ buffer, dtype, ...contiguous([length]) }] };
}
