/** What work a plan is: for its listing, for benchmarks, and for a backend that decides whether threads pay. */
import { dtypes } from '../dtype.ts';
import { scalarRow } from '../scalar.ts';
import { sizeOf } from '../shape.ts';
import { partsOf } from './epilogue.ts';
import type { Kernel, Program, View } from './plan.ts';

/** What a kernel has to do at least. */
export interface Work {
  /** Floating-point operations; a multiply-add counts two. */
  readonly flops: number;
  /** Bytes read and written, each element of a view once. */
  readonly bytes: number;
}

/** Counts a kernel's work; the costs of transcendentals are counted as one operation. */
export function workOf(kernel: Kernel): Work {
  // What an epilogue takes is not read from memory.
  const read = kernel.inputs.filter(({ buffer }) => kernel.kind === 'map' || buffer !== kernel.outputs[0]!.buffer);
  // Of what rows are replaced in, only they are touched.
  const written = kernel.kind === 'scatter' ? kernel.inputs.slice(1) : kernel.outputs;
  return {
    flops: partsOf(kernel).reduce((sum, part) => sum + flopsOf(part), 0),
    bytes: [...read, ...written].reduce((sum, view) => sum + touchedBytes(view), 0),
  };
}

function touchedBytes({ shape, strides, dtype }: View): number {
  const distinct = shape.filter((_, axis) => strides[axis] !== 0);
  return sizeOf(distinct) * dtypes[dtype].bytes;
}

function flopsOf(kernel: Kernel): number {
  const out = kernel.outputs[0]!;
  switch (kernel.kind) {
    case 'map':
      return sizeOf(kernel.shape) * arithmetic(kernel.program);
    case 'reduce':
      return sizeOf(kernel.shape) * (arithmetic(kernel.program) + kernel.reductions.length);
    case 'matmul':
      return 2 * sizeOf(out.shape) * kernel.inputs[0]!.shape[2]!;
    case 'conv': {
      const [x, w, y] = convViews(kernel);
      return 2 * sizeOf(y.shape) * w.shape[1]! * w.shape[2]! * w.shape[3]! * (x.shape[0]! > 0 ? 1 : 0);
    }
    case 'pool':
      return sizeOf((kernel.mode === 'sumTranspose' ? kernel.inputs[0]! : out).shape) * kernel.kernel[0] * kernel.kernel[1];
    case 'gridSample':
      return 8 * sizeOf(out.shape);
    case 'cholesky':
      return sizeOf(out.shape) * Math.ceil(out.shape[2]! / 3);
    case 'triangularSolve':
      return sizeOf(out.shape) * out.shape[1]!;
    case 'eigh':
      return 9 * kernel.inputs[0]!.shape[0]! * kernel.inputs[0]!.shape[2]! ** 3;
    case 'scan':
    case 'scatterAdd':
      return sizeOf(kernel.inputs.at(-1)!.shape);
    case 'gather':
    case 'scatter':
    case 'argsort':
    case 'copy':
    case 'pad':
    case 'concat':
      return 0;
  }
}

function arithmetic({ instructions }: Program): number {
  return instructions.filter(({ op }) => scalarRow(op).arity > 0).length;
}

/** Image, weights and result of a convolution, whichever of them is the output. */
function convViews({ direction, inputs, outputs }: Extract<Kernel, { kind: 'conv' }>): [View, View, View] {
  const [first, second] = [inputs[0]!, inputs[1]!];
  const out = outputs[0]!;
  if (direction === 'forward') return [first, second, out];
  return direction === 'input' ? [out, second, first] : [first, out, second];
}
