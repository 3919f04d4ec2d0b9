import { dtypes } from '../../engine/dtype.ts';
import type { Attributes, ConvolutionAttributes, Node, OpName } from '../../engine/graph.ts';
import { sizeOf } from '../../engine/shape.ts';
import { atom, jaxType, literal, quoted, truth, tuple } from './python.ts';

/** A node as one Python expression of its operands, which are expressions themselves. */
type Row<Op extends OpName> = (node: Node<Op>, operands: readonly string[]) => string;

const convolution = ({ stride, padding, dilation, groups }: ConvolutionAttributes): string =>
  `stride=${tuple(stride)}, padding=${tuple(padding)}, dilation=${tuple(dilation)}, groups=${groups}`;

const windows = ({ kernel, stride, padding }: Attributes['pool']): string =>
  `kernel=${tuple(kernel)}, stride=${tuple(stride)}, padding=${tuple(padding)}`;

/** The call of each kind of pool, before the window. */
const pools: { readonly [Mode in Attributes['pool']['mode']]: (x: string, size: readonly number[]) => string } = {
  max: (x) => `pool_max(${x}`,
  argmax: (x) => `pool_argmax(${x}`,
  sum: (x) => `pool_sum(${x}`,
  sumTranspose: (x, size) => `pool_sum_transpose(${x}, size=${tuple(size)}`,
};

/** What a fold of nothing gives, where NumPy has no answer. */
function initial({ attributes: { fn }, inputs, dtype }: Node<'reduce'>): string {
  if ((fn !== 'max' && fn !== 'min') || sizeOf(inputs[0]!.shape) > 0) return '';
  const [least, most] = dtypes[dtype].float ? ['-jnp.inf', 'jnp.inf'] : ['-(2**31)', '2**31 - 1'];
  return `, initial=${fn === 'max' ? least : most}`;
}

/**
 * Every primitive in JAX's public interface; the type checker proves it. Names without a module are of `helpers.ts`. Null: of its own kind, which
 * `body.ts` writes: what is there before, and what is made of the table of scalar functions.
 */
export const ops: { readonly [Op in OpName]: Row<Op> | null } = {
  leaf: null,
  slot: null,
  placeholder: null,
  scalar: null,
  full: ({ attributes: { value }, shape, dtype }) => `jnp.full(${tuple(shape)}, ${literal(value, dtype)}, ${jaxType(dtype)})`,
  arange: ({ shape: [length] }) => `jnp.arange(${length}, dtype=jnp.int32)`,
  cast: ({ dtype }, [x]) => `${atom(x!)}.astype(${jaxType(dtype)})`,
  reduce: (node, [x]) => {
    const { fn, axes } = node.attributes;
    const name = fn === 'argmax' || fn === 'argmin' ? `${fn}_over` : `jnp.${fn}`;
    return `${name}(${x}, axis=${tuple(axes)}${initial(node)})`;
  },
  scan: ({ attributes: { fn, axis } }, [x]) => `jnp.cum${fn}(${x}, axis=${axis})`,
  reshape: ({ shape }, [x]) => `${atom(x!)}.reshape(${tuple(shape)})`,
  permute: ({ attributes: { axes } }, [x]) => `jnp.transpose(${x}, ${tuple(axes)})`,
  expand: ({ shape }, [x]) => `jnp.broadcast_to(${x}, ${tuple(shape)})`,
  slice: ({ attributes: { start, length, step } }, [x]) => {
    const stop = start.map((from, axis) => from + (length[axis] === 0 ? 0 : (length[axis]! - 1) * step[axis]! + 1));
    const strides = step.every((stride) => stride === 1) ? '' : `, ${tuple(step)}`;
    return `lax.slice(${x}, ${tuple(start)}, ${tuple(stop)}${strides})`;
  },
  flip: ({ attributes: { axes } }, [x]) => `jnp.flip(${x}, ${tuple(axes)})`,
  // Negative counts cut.
  pad: ({ attributes: { before, after, value }, dtype }, [x]) =>
    `lax.pad(${x}, ${jaxType(dtype)}(${literal(value, dtype)}), ${tuple(before.map((count, axis) => tuple([count, after[axis]!, 0])))})`,
  concat: ({ attributes: { axis } }, operands) => `jnp.concatenate([${operands.join(', ')}], axis=${axis})`,
  matmul: (_, [a, b]) => `jnp.matmul(${a}, ${b}, precision=PRECISION)`,
  conv2d: ({ attributes }, [x, w]) => `conv2d(${x}, ${w}, ${convolution(attributes)})`,
  conv2dInput: ({ attributes }, [y, w]) => `conv2d_input(${y}, ${w}, size=${tuple(attributes.size)}, ${convolution(attributes)})`,
  conv2dWeight: ({ attributes }, [x, y]) => `conv2d_weight(${x}, ${y}, size=${tuple(attributes.size)}, ${convolution(attributes)})`,
  pool: ({ attributes, shape }, [x]) => `${pools[attributes.mode](x!, shape.slice(2))}, ${windows(attributes)})`,
  gather: ({ attributes: { axis } }, [x, index]) => `gather(${x}, ${index}, axis=${axis})`,
  scatterAdd: ({ attributes: { axis }, shape }, [updates, index]) =>
    `scatter_add(${updates}, ${index}, shape=${tuple(shape)}, axis=${axis})`,
  scatter: ({ attributes: { axis } }, [x, index, updates]) => `scatter(${x}, ${index}, ${updates}, axis=${axis})`,
  gridSample: ({ attributes: { padding, alignCorners } }, [x, grid]) =>
    `grid_sample(${x}, ${grid}, padding=${quoted(padding)}, align_corners=${truth(alignCorners)})`,
  cholesky: (_, [x]) => `cholesky(${x})`,
  triangularSolve: ({ attributes: { lower, transpose } }, [a, b]) =>
    `lax.linalg.triangular_solve(${a}, ${b}, left_side=True, lower=${truth(lower)}, transpose_a=${truth(transpose)})`,
  eigh: (_, [x]) => `eigh(${x})`,
  argsort: ({ attributes: { descending } }, [x]) => `jnp.argsort(${x}, stable=True, descending=${truth(descending)}).astype(jnp.int32)`,
  // Values only: XLA is not asked for a derivative.
  stopGradient: (_, [x]) => x!,
  customGradient: (_, [x]) => x!,
};
