/** A Python module of functions that were written from graphs. */
import type { DType, HostArray, TypedArray } from '../../engine/dtype.ts';
import { contiguousStrides, show, sizeOf } from '../../engine/shape.ts';
import type { Slot } from '../../engine/slot.ts';
import { helpersOf } from './helpers.ts';
import { jaxType, literal, numpyType, quoted } from './python.ts';

/** The first version of JAX that a module was tried with. */
const OLDEST = [0, 5, 0] as const;

/** The arrays that are part of graphs: small ones as Python, large ones as files. */
export class Constants {
  readonly #files = new Map<TypedArray, { readonly name: string; readonly array: HostArray }>();
  readonly #most: number;

  /** @param most up to how many elements an array is written into the module; a larger one is in a file beside it. */
  constructor(most = 64) {
    this.#most = most;
  }

  /** An expression for an array. */
  textOf(data: TypedArray, { dtype, shape }: { readonly dtype: DType; readonly shape: readonly number[] }): string {
    if (data.length <= this.#most) return `jnp.array(${nested(data, shape, dtype)}, ${jaxType(dtype)})`;
    const { name } = this.#files.get(data) ?? this.#add(data, { dtype, shape, data });
    return `CONSTANTS[${quoted(name)}]`;
  }

  #add(data: TypedArray, array: HostArray): { readonly name: string } {
    const file = { name: `constant-${this.#files.size + 1}`, array };
    this.#files.set(data, file);
    return file;
  }

  /** What belongs in the folder `constants` beside the module, as NumPy's `.npy`. */
  get files(): readonly { readonly name: string; readonly array: HostArray }[] {
    return [...this.#files.values()];
  }
}

/** A list of lists. */
function nested(data: ArrayLike<number>, shape: readonly number[], dtype: DType): string {
  const strides = contiguousStrides(shape);
  const part = (axis: number, at: number): string => {
    if (axis === shape.length) return literal(data[at]!, dtype);
    return `[${Array.from({ length: shape[axis]! }, (_, i) => part(axis + 1, at + i * strides[axis]!)).join(', ')}]`;
  };
  // Zero elements keep their shape, too.
  return sizeOf(shape) === 0 ? `np.zeros((${shape.join(', ')},))` : part(0, 0);
}

/** What a function takes or gives by name, as a comment of the module has it. */
export function described(entries: Iterable<readonly [name: string, array: Pick<HostArray, 'dtype' | 'shape'>]>): string {
  const rows = [...entries].map(([name, { dtype, shape }]) => `    ${quoted(name)}: (${quoted(numpyType(dtype))}, ${tupleOf(shape)}),`);
  return rows.length === 0 ? '{}' : `{\n${rows.join('\n')}\n}`;
}

function tupleOf(shape: readonly number[]): string {
  return show(shape).replace(/^\[(.*)\]$/, (_, inside: string) => (shape.length === 1 ? `(${inside},)` : `(${inside})`));
}

export const indented = (line: string): string => (line === '' ? '' : `    ${line}`);

/** The name of each slot of a state. What is no part of it would be a constant that ought to change. */
export function slotNames(slots: ReadonlyMap<string, Slot>): (slot: Slot) => string {
  const names = new Map([...slots].map(([name, slot]) => [slot, name]));
  return (slot) => {
    const name = names.get(slot);
    if (name === undefined) throw new Error(`export: slot ${slot.name} is read or written, and is no part of the state`);
    return name;
  };
}

/** A module: its docstring, what it needs, `parts` in order. */
export function moduleOf(about: string, parts: readonly string[], constants: Constants): string {
  const body = parts.join('\n\n\n');
  const helpers = helpersOf(body);
  const text = [...helpers, body].join('\n\n\n');
  const imports = ['functools', 'json', 'math', 'pathlib'].filter(
    (name) => new RegExp(`\\b${name}\\.`).test(text) || (name === 'pathlib' && constants.files.length > 0),
  );
  const loaded =
    constants.files.length === 0
      ? []
      : ['CONSTANTS = {path.stem: np.load(path) for path in pathlib.Path(__file__).with_name("constants").glob("*.npy")}'];
  return `${[
    `"""${about}"""`,
    '',
    ...imports.map((name) => `import ${name}`),
    '',
    'import jax',
    'import jax.numpy as jnp',
    ...(/\bnp\./.test(text) || loaded.length > 0 ? ['import numpy as np'] : []),
    `from jax import lax${/\brandom\./.test(text) ? ', random' : ''}`,
    '',
    `if jax.__version_info__ < (${OLDEST.join(', ')}):`,
    `    raise ImportError(f"this module needs JAX ${OLDEST.join('.')} or later, and here is {jax.__version__}; pip install --upgrade jax")`,
    '',
    '# Of products and convolutions. lax.Precision.DEFAULT is faster on TPUs and on some GPUs, which round to 16 or 19 bits then.',
    'PRECISION = lax.Precision.HIGHEST',
    ...loaded,
    '',
    '',
    text,
  ].join('\n')}\n`;
}
