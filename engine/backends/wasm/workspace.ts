import type { ConvKernel, Kernel } from '../../compiler/plan.ts';

// The layouts of wasm/product.ts and wasm/conv.ts; a test holds the two together.
const productBytes = 6 * 256 * 4 + 6 * 192 * 16 + 512 * 256 * 4 + 6 * 8 * 4 + 32;
const tableLength = 2048;
const slabLength = 131072;

/** A table of addresses, with room for a whole tile beyond. */
const tableBytes = (length: number): number => (length + 8) * 4;

/** Bytes of packing and temporary memory that a thread needs to run `kernel`. */
export function workspaceBytes(kernel: Kernel): number {
  switch (kernel.kind) {
    case 'gemm':
      return productBytes + 6 * tableBytes(tableLength);
    case 'conv':
      return productBytes + convTables(kernel) + 4 * Math.max(slabLength, smallestSlab(kernel));
    case 'pool': {
      // A row with its padding, and what whole vectors of results read beyond it.
      const { kernel: size, stride, padding, inputs, outputs } = kernel;
      return 4 * (Math.max(inputs[0]!.shape[3]!, outputs[0]!.shape[3]!) + 2 * padding[1] + size[1] + 8 * stride[1] + 16);
    }
    case 'cholesky': {
      const size = kernel.inputs[0]!.shape[1]!;
      const pitch = Math.ceil(size / 32) * 32;
      return productBytes + 4 * (pitch * size + 32 * pitch) + 2 * 256 + 4 * tableBytes(pitch);
    }
    case 'triangularSolve':
      return kernel.inputs[0]!.shape[1]! * 32 * 4;
    case 'eigh': {
      const size = kernel.inputs[0]!.shape[1]!;
      return (size + 4) * size * 8;
    }
    default:
      return 0;
  }
}

/** The part of each view that the three directions name source, target and kernel; see wasm/conv.ts. */
function roles({ direction, inputs, outputs }: ConvKernel): {
  source: readonly number[];
  target: readonly number[];
  weight: readonly number[];
} {
  const [first, second, last] = [inputs[0]!.shape, inputs[1]!.shape, outputs[0]!.shape];
  return direction === 'weight' ? { source: first, target: second, weight: last } : { source: first, target: last, weight: second };
}

function convTables(kernel: ConvKernel): number {
  const { target, weight } = roles(kernel);
  const [kernelHeight, kernelWidth] = [weight[2]!, weight[3]!];
  const taps = Math.max(tableLength, kernelHeight * kernelWidth);
  return (
    2 * tableBytes(target[1]! / kernel.groups) + 2 * tableBytes(tableLength) + 2 * tableBytes(taps) + 2 * 4 * (kernelHeight + kernelWidth)
  );
}

/** One row of target pixels, of one channel of one image. */
function smallestSlab(kernel: ConvKernel): number {
  const { target, weight } = roles(kernel);
  const transposed = kernel.direction === 'input';
  const reach = [0, 1].map((axis) => kernel.dilation[axis]! * (weight[2 + axis]! - 1) + 1);
  const [strideHeight, strideWidth] = transposed ? [1, 1] : kernel.stride;
  const columns = transposed ? Math.ceil(target[3]! / kernel.stride[1]) : target[3]!;
  return (columns * strideWidth + reach[1]! + 2 * strideWidth) * (reach[0]! + strideHeight);
}
