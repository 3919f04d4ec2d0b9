/** Pieces of Python text. */
import { type DType, dtypes } from '../../engine/dtype.ts';
import { TensegrityError } from '../../engine/errors.ts';

/** Python's keywords, and what a module of ours names otherwise. */
const taken: ReadonlySet<string> = new Set(
  'False None True and as assert async await break class continue def del elif else except finally for from global if import in is lambda nonlocal not or pass raise return try while with yield jax jnp lax np random functools pathlib state batch step'.split(
    ' ',
  ),
);

/** A name as Python writes one, of any text: `encoder.0.weight` → `encoder_0_weight`, `learningRate` → `learning_rate`. */
export function identifier(text: string): string {
  const snake = text
    .replaceAll(/([a-z0-9])([A-Z])/g, '$1_$2')
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '_')
    .replaceAll(/^_+|_+$/g, '');
  return /^[a-z]/.test(snake) && !taken.has(snake) ? snake : `x_${snake}`;
}

/** Gives each text a name that no other has. */
export class Names {
  readonly #used: Set<string>;

  constructor(reserved: readonly string[]) {
    this.#used = new Set(reserved);
  }

  of(text: string): string {
    const name = identifier(text);
    let free = name;
    for (let k = 2; this.#used.has(free); k++) free = `${name}_${k}`;
    this.#used.add(free);
    return free;
  }
}

/** A text in quotes. JSON's escapes are Python's, too. */
export function quoted(text: string): string {
  return JSON.stringify(text);
}

export function tuple(values: readonly (number | string)[]): string {
  return values.length === 1 ? `(${values[0]},)` : `(${values.join(', ')})`;
}

export function truth(value: boolean): string {
  return value ? 'True' : 'False';
}

/** The shortest decimal that is read as the value of an f32. */
function decimal(value: number): string {
  let digits = 1;
  while (Math.fround(Number(value.toPrecision(digits))) !== value) digits++;
  const text = `${Number(value.toPrecision(digits))}`;
  return /^-?\d+$/.test(text) ? `${text}.0` : text;
}

/** A number as JAX takes it for the type: it adopts the type of what it is computed with. */
export function literal(value: number, dtype: DType): string {
  if (!dtypes[dtype].float) return `${value}`;
  if (Number.isNaN(value)) return 'jnp.nan';
  if (!Number.isFinite(value)) return value > 0 ? 'jnp.inf' : '-jnp.inf';
  return Object.is(value, -0) ? '-0.0' : decimal(value);
}

const types: { readonly [D in DType]: string | null } = { f32: 'float32', i32: 'int32', u8: 'uint8', f64: null };

/** The name of a type in NumPy. @throws TensegrityError `dtype` for f64, which JAX has not unless it is told so. */
export function numpyType(dtype: DType): string {
  const name = types[dtype];
  if (name === null)
    throw new TensegrityError('dtype', "export: JAX computes in 32 bits, and this graph has f64; build it of f32, .cast('f32')");
  return name;
}

export function jaxType(dtype: DType): string {
  return `jnp.${numpyType(dtype)}`;
}

/** Whether an expression binds tighter than any operator around it. */
function isAtom(text: string): boolean {
  let depth = 0;
  for (const character of text.replaceAll(/"(?:[^"\\]|\\.)*"/g, '""')) {
    if ('([{'.includes(character)) depth++;
    else if (')]}'.includes(character)) depth--;
    else if (depth === 0 && (character === ' ' || character === '-')) return false;
  }
  return true;
}

/** The expression, in parentheses where it needs them beside an operator or before a method. */
export function atom(text: string): string {
  return isAtom(text) && !/^[\d.]+$/.test(text) ? text : `(${text})`;
}

/** An expression of `a`, `b` and `c` with others in their places, in parentheses unless they are arguments. */
export function substituted(template: string, operands: readonly string[]): string {
  return template.replaceAll(/(?<![\w.])[abc](?!\w)/g, (name, at: number) => {
    const operand = operands['abc'.indexOf(name)]!;
    const argument = /[(,] ?$/.test(template.slice(0, at)) && /^[,)]/.test(template.slice(at + 1));
    return argument || isAtom(operand) ? operand : `(${operand})`;
  });
}
