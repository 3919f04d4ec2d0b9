import { contiguousStrides } from '../shape.ts';
import type { Kernel } from './plan.ts';

/** A kernel without its epilogue, and this as the map that it is; a kernel that has none, alone. */
export function partsOf(kernel: Kernel): Kernel[] {
  if (!('epilogue' in kernel) || !kernel.epilogue) return [kernel];
  const { epilogue: program, outputs } = kernel;
  const inputs = kernel.inputs.slice(2);
  const { shape } = inputs[0]!;
  return [
    { ...kernel, epilogue: null, inputs: kernel.inputs.slice(0, 2) },
    { kind: 'map', shape, program, inputs, outputs: [{ ...outputs[0]!, shape, strides: contiguousStrides(shape) }] },
  ];
}
