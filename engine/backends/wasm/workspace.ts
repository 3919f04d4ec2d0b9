/** What the kernels of `wasm/` lay out in their workspaces; a test holds the two together. */
import * as sizes from '../../../wasm/sizes.ts';
import type { ConvKernel, Kernel, View } from '../../compiler/plan.ts';

/** A table of addresses, with room for a whole tile beyond. */
const tableBytes = (length: number): number => (length + sizes.TILE_COLUMNS) * 4;

/** Bytes of packing and temporary memory that a thread needs to run `kernel`. */
export function workspaceBytes(kernel: Kernel): number {
  switch (kernel.kind) {
    case 'matmul':
      return sizes.PRODUCT_BYTES + 6 * sizes.TABLE_BYTES;
    case 'conv':
      return sizes.PRODUCT_BYTES + 2 * sizes.AXIS_BYTES + convTables(kernel) + 4 * Math.max(sizes.SLAB_LENGTH, smallestSlab(kernel));
    case 'pool': {
      // A row with its padding, and what whole vectors of results read beyond it.
      const { kernel: size, stride, padding, inputs, outputs } = kernel;
      return 4 * (Math.max(inputs[0]!.shape[3]!, outputs[0]!.shape[3]!) + 2 * padding[1] + size[1] + 8 * stride[1] + 16);
    }
    case 'scan':
      return 8 * sizes.SCANNED_LINES;
    case 'cholesky': {
      const size = kernel.inputs[0]!.shape[1]!;
      const pitch = Math.ceil(size / sizes.FACTORED_ROWS) * sizes.FACTORED_ROWS;
      const rows = 4 * pitch * (size + sizes.FACTORED_ROWS);
      return sizes.PRODUCT_BYTES + rows + 2 * tableBytes(sizes.FACTORED_ROWS) + 4 * tableBytes(pitch);
    }
    case 'triangularSolve':
      return kernel.inputs[0]!.shape[1]! * sizes.SOLVED_COLUMNS * 4;
    case 'eigh': {
      const size = kernel.inputs[0]!.shape[1]!;
      return (size + 4) * size * 8;
    }
    // A row twice, each element with its position.
    case 'argsort':
      return 2 * 8 * kernel.inputs[0]!.shape[1]!;
    // Of a map or a fold, its program says (encodeProgram).
    case 'map':
    case 'reduce':
    case 'gather':
    case 'scatterAdd':
    case 'scatter':
    case 'gridSample':
    case 'copy':
    case 'pad':
    case 'concat':
      return 0;
  }
}

/** What the three directions name source (is gathered), target (gathers it, or is what was gathered) and filters; see wasm/conv.ts. */
export function rolesOf({ direction, inputs, outputs }: ConvKernel): Readonly<Record<'source' | 'target' | 'filters', View>> {
  const [source, second, last] = [inputs[0]!, inputs[1]!, outputs[0]!];
  return direction === 'weight' ? { source, target: second, filters: last } : { source, target: last, filters: second };
}

function convTables(kernel: ConvKernel): number {
  const { target, filters } = rolesOf(kernel);
  const [kernelHeight, kernelWidth] = [filters.shape[2]!, filters.shape[3]!];
  const taps = Math.max(sizes.TABLE_LENGTH, kernelHeight * kernelWidth);
  return (
    2 * tableBytes(target.shape[1]! / kernel.groups) + 2 * sizes.TABLE_BYTES + 2 * tableBytes(taps) + 2 * 4 * (kernelHeight + kernelWidth)
  );
}

/** One row of target pixels, of one channel of one image. */
function smallestSlab(kernel: ConvKernel): number {
  const { target, filters } = rolesOf(kernel);
  const width = target.shape[3]!;
  const transposed = kernel.direction === 'input';
  const reach = [0, 1].map((axis) => kernel.dilation[axis]! * (filters.shape[2 + axis]! - 1) + 1);
  const [strideHeight, strideWidth] = transposed ? [1, 1] : kernel.stride;
  const columns = transposed ? Math.ceil(width / kernel.stride[1]) : width;
  return (columns * strideWidth + reach[1]! + 2 * strideWidth) * (reach[0]! + strideHeight);
}
