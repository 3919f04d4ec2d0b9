import type { Kernel } from '../../compiler/plan.ts';
import type { Runner } from './dense.ts';

/** The fill, which touches a whole buffer, is done where buffers are known. */
export const copy: Runner<'copy'> = (_kernel, ...inputs) => inputs;

/** A call of JavaScript has no more than some ten thousand arguments. */
const MOST_WINDOWS = 4096;

/** A copy of very many windows as several; any other kernel as it is. */
export function inPieces(kernel: Kernel): Kernel[] {
  const { kind, inputs, outputs } = kernel;
  if (kind !== 'copy' || inputs.length <= MOST_WINDOWS) return [kernel];
  return Array.from({ length: Math.ceil(inputs.length / MOST_WINDOWS) }, (_, i): Kernel => {
    const [from, to] = [i * MOST_WINDOWS, (i + 1) * MOST_WINDOWS];
    return { kind, fill: i === 0 ? kernel.fill : null, inputs: inputs.slice(from, to), outputs: outputs.slice(from, to) };
  });
}
