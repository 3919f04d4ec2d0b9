import { contiguousStrides } from '../shape.ts';
import type { Kernel } from './plan.ts';

/** Windows that are copied at once: a call of JavaScript has no more than some ten thousand arguments. */
const MOST_WINDOWS = 4096;

/** A kernel without its epilogue, and this as the map that it is; a copy of very many windows in pieces; any other kernel alone. */
export function partsOf(kernel: Kernel): Kernel[] {
  const { inputs: windows, outputs: targets } = kernel;
  if (kernel.kind === 'copy' && windows.length > MOST_WINDOWS) {
    return Array.from({ length: Math.ceil(windows.length / MOST_WINDOWS) }, (_, i) => {
      const [from, to] = [i * MOST_WINDOWS, (i + 1) * MOST_WINDOWS];
      return { ...kernel, fill: i === 0 ? kernel.fill : null, inputs: windows.slice(from, to), outputs: targets.slice(from, to) };
    });
  }
  if (!('epilogue' in kernel) || !kernel.epilogue) return [kernel];
  const { epilogue: program, outputs } = kernel;
  const inputs = kernel.inputs.slice(2);
  const { shape } = inputs[0]!;
  return [
    { ...kernel, epilogue: null, inputs: kernel.inputs.slice(0, 2) },
    { kind: 'map', shape, program, inputs, outputs: [{ ...outputs[0]!, shape, strides: contiguousStrides(shape) }] },
  ];
}
