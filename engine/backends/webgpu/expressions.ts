import { type Lane, valueLanes } from '../../compiler/lanes.ts';
import type { Program, View } from '../../compiler/plan.ts';
import { TensegrityError } from '../../errors.ts';
import type { ScalarName } from '../../scalar.ts';

/** An op as WGSL, given its lane and the names of its operands. Floats are f32, everything else is i32; truth is 0 or 1. */
type Expression = (lane: Lane, a: string, b: string, c: string) => string;

/** One expression for floats and one for integers. */
const perLane =
  (float: Expression, integer: Expression): Expression =>
  (lane, a, b, c) =>
    (lane === 'i32' ? integer : float)(lane, a, b, c);

const compare =
  (operator: string): Expression =>
  (_lane, a, b) =>
    `select(0, 1, ${a} ${operator} ${b})`;

export const expressions: { readonly [Op in ScalarName]: Expression } = {
  index: () => 'i',
  add: (_, a, b) => `${a} + ${b}`,
  sub: (_, a, b) => `${a} - ${b}`,
  mul: (_, a, b) => `${a} * ${b}`,
  div: (_, a, b) => `${a} / ${b}`,
  pow: (_, a, b) => `power(${a}, ${b})`,
  maximum: perLane(
    (_, a, b) => `larger(${a}, ${b})`,
    (_, a, b) => `max(${a}, ${b})`,
  ),
  minimum: perLane(
    (_, a, b) => `smaller(${a}, ${b})`,
    (_, a, b) => `min(${a}, ${b})`,
  ),
  neg: (_, a) => `-${a}`,
  abs: (_, a) => `abs(${a})`,
  sign: perLane(
    (_, a) => `signOf(${a})`,
    (_, a) => `sign(${a})`,
  ),
  floor: (_, a) => `floor(${a})`,
  ceil: (_, a) => `ceil(${a})`,
  round: (_, a) => `round(${a})`,
  trunc: (_, a) => `trunc(${a})`,
  sqrt: (_, a) => `sqrt(${a})`,
  exp: (_, a) => `exponential(${a})`,
  expm1: (_, a) => `expMinusOne(${a})`,
  log: (_, a) => `naturalLog(${a})`,
  log1p: (_, a) => `logOnePlus(${a})`,
  sin: (_, a) => `sine(${a}, 0)`,
  cos: (_, a) => `sine(${a}, 1)`,
  tanh: (_, a) => `hyperbolicTangent(${a})`,
  sigmoid: (_, a) => `1.0 / (1.0 + exponential(-${a}))`,
  erf: (_, a) => `errorFunction(${a})`,
  erfInverse: (_, a) => `inverseErrorFunction(${a})`,
  relu: perLane(
    (_, a) => `select(${a}, 0.0, ${a} < 0.0)`,
    (_, a) => `max(${a}, 0)`,
  ),
  equal: compare('=='),
  // Not `!=`, which is false of NaN on some GPUs; and a compiler may take it that a float equals itself.
  notEqual: perLane(
    (_, a, b) => (a === b ? `select(0, 1, isNan(${a}))` : `select(1, 0, ${a} == ${b})`),
    (_, a, b) => `select(1, 0, ${a} == ${b})`,
  ),
  less: compare('<'),
  lessEqual: compare('<='),
  where: (_, a, b, c) => `select(${c}, ${b}, ${a} != 0)`,
  bitwiseAnd: (_, a, b) => `${a} & ${b}`,
  bitwiseOr: (_, a, b) => `${a} | ${b}`,
  bitwiseXor: (_, a, b) => `${a} ^ ${b}`,
  shiftLeft: (_, a, b) => `${a} << (u32(${b}) & 31u)`,
  shiftRight: (_, a, b) => `i32(u32(${a}) >> (u32(${b}) & 31u))`,
  threefry: (_, a, b, c) => `threefryBits(${a}, ${b}, ${c})`,
  toFloat: (_, a) => `f32(${a})`,
  toInt: (_, a) => `toInteger(${a})`,
  remainder: perLane(
    (_, a, b) => `remainderOf(${a}, ${b})`,
    (_, a, b) => `integerRemainder(${a}, ${b})`,
  ),
};

/** A lane's type in WGSL. @throws TensegrityError `dtype` for f64, which WGSL has not. */
export function wgslType(lane: Lane): 'f32' | 'i32' {
  if (lane === 'f64') throw new TensegrityError('dtype', 'WebGPU has no f64; cast to f32, or use the cpu backend');
  return lane;
}

export function literal(value: number, lane: Lane): string {
  if (wgslType(lane) === 'i32') return `i32(${value | 0})`;
  const rounded = Math.fround(value);
  if (Number.isNaN(rounded)) return 'fromBits(0x7fc00000u)';
  if (!Number.isFinite(rounded)) return `fromBits(${rounded > 0 ? '0x7f800000u' : '0xff800000u'})`;
  return `${Object.is(rounded, -0) ? '-0' : rounded}f`;
}

/** The statements of a program at position `i`, from inputs already loaded as `v0`, `v1`, …; value `k` becomes `vk`. */
export function programStatements(program: Program, inputs: readonly View[]): { statements: string; lanes: Lane[] } {
  const lanes = valueLanes(
    program,
    inputs.map(({ dtype }) => dtype),
  );
  const first = program.inputs + program.constants.length;
  const constants = program.constants.map(({ value, lane }, k) => `let v${program.inputs + k} = ${literal(value, lane)};`);
  const instructions = program.instructions.map(({ op, lane, operands }, k) => {
    const [a = '', b = '', c = ''] = operands.map((operand) => `v${operand}`);
    return `let v${first + k}: ${wgslType(lanes[first + k]!)} = ${expressions[op](lane, a, b, c)};`;
  });
  return { statements: [...constants, ...instructions].join('\n'), lanes };
}
