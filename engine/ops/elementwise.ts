import { shown } from '../arguments.ts';
import { isMovement } from '../compiler/locate.ts';
import { checkDType, type DType, dtypes, isFloat, promote } from '../dtype.ts';
import { TensegrityError } from '../errors.ts';
import type { Node } from '../graph.ts';
import { type ScalarName, type ScalarTyping, scalarRow } from '../scalar.ts';
import { broadcastShapes, sameShape } from '../shape.ts';
import type { Tensor } from '../tensor.ts';
import { derivatives } from './derivatives.ts';
import { expand } from './movement.ts';
import { apply, isTensor, type Rule } from './rule.ts';
import { fullNode } from './source.ts';

/** The type that operands are brought to (`null`: left as they are), and the type of the result. */
const typings: { readonly [T in ScalarTyping]: (operands: DType) => { readonly operand: DType; readonly result: DType } } = {
  same: (dtype) => ({ operand: widened(dtype), result: widened(dtype) }),
  float: (dtype) => ({ operand: floating(dtype), result: floating(dtype) }),
  compare: (dtype) => ({ operand: widened(dtype), result: 'u8' }),
  bits: () => ({ operand: 'i32', result: 'i32' }),
  select: (dtype) => ({ operand: dtype, result: dtype }),
  toFloat: (dtype) => ({ operand: dtype, result: 'f32' }),
  toInt: (dtype) => ({ operand: dtype, result: 'i32' }),
};

function widened(dtype: DType): DType {
  return dtype === 'u8' ? 'i32' : dtype;
}

function floating(dtype: DType): DType {
  return isFloat(dtype) ? dtype : 'f32';
}

/** Elementwise ops, all of them rows of the scalar table: operands have one shape (broadcasting is an `expand` before). */
export const scalarRule: Rule<'scalar'> = {
  op: 'scalar',
  infer: (inputs, { fn }) => {
    const row = scalarRow(fn);
    const valued = row.typing === 'select' ? inputs.slice(1) : inputs;
    const dtype = valued.map((input) => input.dtype).reduce(promote);
    return { shape: inputs[0]!.shape, dtype: typings[row.typing](dtype).result };
  },
  vjp: ({ g, inputs, output, attributes: { fn } }) => {
    const derivative = derivatives[fn];
    if (!derivative) return inputs.map(() => null);
    const [a, b, c] = inputs;
    const guard = maySettle(fn, output.node.inputs) ? settled : (_: Tensor, cotangent: Tensor): Tensor => cotangent;
    const cotangents = derivative(g, output, a!, b ?? a!, c ?? a!);
    // A cotangent has its operand's type: this is where a cast's derivative casts back.
    return cotangents
      .slice(0, scalarRow(fn).arity)
      .map((cotangent, i) => (isFloat(inputs[i]!.dtype) && cotangent ? cast(guard(g, cotangent), inputs[i]!.dtype) : null));
  },
};

/** Ops whose slope is infinite, or no number, at some operands. */
const singular: ReadonlySet<ScalarName> = new Set<ScalarName>([
  'div',
  'pow',
  'sqrt',
  'exp',
  'expm1',
  'log',
  'log1p',
  'sin',
  'cos',
  'erfInverse',
  'remainder',
]);

/**
 * Whether a cotangent may be 0·∞: that of an op with steep places, but where its last operand is a constant, or has a bound, that keeps it from
 * them; and that of a product with the value of such an op, as in x·ln x.
 */
function maySettle(fn: ScalarName, inputs: readonly Node[]): boolean {
  const made = inputs.map(unmoved);
  const last = made.at(-1)!;
  if (fn === 'mul') {
    const steep = (node: Node): boolean => node.is('scalar') && node.attributes.fn !== 'mul' && maySettle(node.attributes.fn, node.inputs);
    return made.some(steep) && !made.some((node) => node.is('full'));
  }
  const bound = last.is('scalar') && last.attributes.fn === 'maximum' ? unmoved(last.inputs[1]!) : last;
  const least = bound.is('full') ? bound.attributes.value : 0;
  return singular.has(fn) && !(fn === 'pow' ? least >= 1 : fn === 'div' && least > 0);
}

/** What reshapes, permutations and the like show. */
function unmoved(node: Node): Node {
  let source = node;
  while (isMovement(source)) source = source.inputs[0]!;
  return source;
}

/** A value that nothing depends on, g = 0, has gradient 0 however steep it is: so has the branch that `where` does not take. */
function settled(g: Tensor, cotangent: Tensor): Tensor {
  return g.equal(0).logicalAnd(cotangent.isNaN()).where(0, cotangent);
}

/** Conversions are scalar ops whose result type is not implied by their operand's: they carry it. */
export const castRule: Rule<'cast'> = {
  op: 'cast',
  infer: (inputs, { dtype }) => ({ shape: inputs[0]!.shape, dtype }),
  vjp: ({ g, inputs }) => [isFloat(inputs[0]!.dtype) && isFloat(g.dtype) ? cast(g, inputs[0]!.dtype) : null],
};

/**
 * Applies a row of the scalar table to operands, which are promoted to one type and broadcast to one shape. A plain number takes the
 * type of the tensors beside it.
 * @throws TensegrityError `shape` where the shapes do not broadcast.
 */
export function scalar(fn: ScalarName, ...operands: readonly (Tensor | number)[]): Tensor {
  checkOperands(fn, operands);
  const row = scalarRow(fn);
  const valued = row.typing === 'select' ? operands.slice(1) : operands;
  const { operand: dtype } = typings[row.typing](commonType(valued));
  if (row.typing === 'bits') requireIntegers(fn, operands);
  // There is one, since every caller is a method of a tensor.
  const some = operands.find((operand) => typeof operand !== 'number') as Tensor;
  const tensors = operands.map((operand, i) => {
    if (row.typing === 'select' && i === 0)
      return typeof operand === 'number' ? number(some, operand, 'i32') : isFloat(operand.dtype) ? operand.notEqual(0) : operand;
    if (typeof operand !== 'number') return cast(operand, dtype);
    return number(some, row.typing === 'bits' ? operand | 0 : operand, dtype);
  });
  const shape = broadcastShapes(
    tensors.map(({ node }) => node.shape),
    fn,
  );
  return apply(
    scalarRule,
    tensors.map((tensor) => (sameShape(tensor.node.shape, shape) ? tensor : expand(tensor, shape))),
    { fn },
  );
}

function number(beside: Tensor, value: number, dtype: DType): Tensor {
  return beside.of(fullNode('a number', [], value, dtype));
}

function checkOperands(name: string, operands: readonly unknown[]): void {
  for (const operand of operands) {
    if (!isTensor(operand) && typeof operand !== 'number')
      throw new TensegrityError('argument', `${name}: takes tensors and numbers, got ${shown(operand)}; make a tensor of it with tensor()`);
  }
}

const connectives = { logicalAnd: 'bitwiseAnd', logicalOr: 'bitwiseOr', logicalXor: 'bitwiseXor' } as const;

/** Of truth values, as a mask: what is not 0 is true. Of masks it is a bitwise operation and no more. */
export function logical(name: keyof typeof connectives, x: Tensor, y: Tensor | number): Tensor {
  checkOperands(name, [x, y]);
  return apply(castRule, [scalar(connectives[name], truth(x), truth(y))], { dtype: 'u8' });
}

function truth(x: Tensor | number): Tensor | number {
  if (typeof x === 'number') return x === 0 ? 0 : 1;
  return isMask(x.node) ? x : scalar('notEqual', x, 0);
}

/** Whether it is seen from how a value is made that it is 0 or 1: by a comparison, or by `logical`, perhaps moved since. */
function isMask(node: Node): boolean {
  const made = unmoved(node);
  if (made.is('scalar')) return scalarRow(made.attributes.fn).typing === 'compare';
  // `cast` brings integers within a byte first: only `logical` makes bytes of bits as they are.
  const bits = made.is('cast') && made.dtype === 'u8' ? made.inputs[0]! : null;
  return bits?.is('scalar') === true && scalarRow(bits.attributes.fn).typing === 'bits';
}

/** Counts outside 0 … 31 move everything out, where the table's shifts take them modulo 32. */
export function shift(name: 'bitwiseLeftShift' | 'bitwiseRightShift', x: Tensor, by: Tensor | number): Tensor {
  checkOperands(name, [x, by]);
  requireIntegers(name, [x, by]);
  const count = typeof by === 'number' ? number(x, by | 0, 'i32') : by;
  const inside = count.greaterEqual(0).logicalAnd(count.less(32));
  if (name === 'bitwiseLeftShift') return inside.where(scalar('shiftLeft', x, count), 0);
  // The table moves zeros in: that is what is wanted of x ≥ 0, and of ~x where x < 0.
  const sign = x.less(0).neg();
  return scalar('shiftRight', x.bitwiseXor(sign), inside.where(count, 31)).bitwiseXor(sign);
}

function commonType(operands: readonly (Tensor | number)[]): DType {
  const tensors = operands.filter((operand) => typeof operand !== 'number');
  const numbers = operands.filter((operand): operand is number => typeof operand === 'number');
  const dtype = tensors.length > 0 ? tensors.map((tensor) => tensor.dtype).reduce(promote) : 'f32';
  // Numbers take the tensors' type if it has them; else the next that does.
  const wider = [dtype, 'i32', 'f32'] as const;
  return wider.find((candidate) => promote(dtype, candidate) === candidate && numbers.every(dtypes[candidate].holds)) ?? dtype;
}

function requireIntegers(fn: string, operands: readonly (Tensor | number)[]): void {
  for (const operand of operands) {
    // Words may be given with or without a sign.
    if (typeof operand === 'number' && operand !== (operand | 0) && operand !== operand >>> 0)
      throw new TensegrityError('argument', `${fn}: takes whole numbers of 32 bits, got ${operand}`);
    if (isTensor(operand) && isFloat(operand.dtype)) {
      throw new TensegrityError('dtype', `${fn}: takes integers (i32 or u8), got ${operand.dtype}; convert with .cast('i32')`, {
        dtype: operand.dtype,
      });
    }
  }
}

/** `x` as another element type. To integers: towards zero, saturating, NaN to 0. */
export function cast(x: Tensor, dtype: DType): Tensor {
  if (x.dtype === dtype) return x;
  checkDType(dtype, 'cast');
  const inRange = dtype === 'u8' && x.dtype !== 'u8' ? scalar('minimum', scalar('maximum', x, 0), 255) : x;
  return apply(castRule, [inRange], { dtype });
}
