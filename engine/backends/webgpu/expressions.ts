import { type Lane, valueLanes } from '../../compiler/lanes.ts';
import type { Program, View } from '../../compiler/plan.ts';
import { TensegrityError } from '../../errors.ts';
import type { ScalarName } from '../../scalar.ts';

/** Each op as WGSL, of operands `a`, `b` and `c`; or as one text for floats and one for integers. Floats are f32, everything else is i32; truth is 0 or 1. */
const texts: { readonly [Op in ScalarName]: string | readonly [float: string, integer: string] } = {
  index: 'i',
  add: 'a + b',
  sub: 'a - b',
  mul: 'a * b',
  div: 'a / b',
  pow: 'power(a, b)',
  maximum: ['larger(a, b)', 'max(a, b)'],
  minimum: ['smaller(a, b)', 'min(a, b)'],
  neg: '-a',
  abs: 'abs(a)',
  sign: ['signOf(a)', 'sign(a)'],
  floor: 'floor(a)',
  ceil: 'ceil(a)',
  round: 'round(a)',
  trunc: 'trunc(a)',
  sqrt: 'sqrt(a)',
  exp: 'exponential(a)',
  expm1: 'expMinusOne(a)',
  log: 'naturalLog(a)',
  log1p: 'logOnePlus(a)',
  sin: 'sine(a, 0)',
  cos: 'sine(a, 1)',
  tanh: 'hyperbolicTangent(a)',
  sigmoid: '1.0 / (1.0 + exponential(-a))',
  erf: 'errorFunction(a)',
  erfInverse: 'inverseErrorFunction(a)',
  relu: ['select(a, 0.0, a < 0.0)', 'max(a, 0)'],
  equal: 'select(0, 1, a == b)',
  // Not `!=`, which is false of NaN on some GPUs.
  notEqual: 'select(1, 0, a == b)',
  less: 'select(0, 1, a < b)',
  lessEqual: 'select(0, 1, a <= b)',
  where: 'select(c, b, a != 0)',
  bitwiseAnd: 'a & b',
  bitwiseOr: 'a | b',
  bitwiseXor: 'a ^ b',
  shiftLeft: 'a << (u32(b) & 31u)',
  shiftRight: 'i32(u32(a) >> (u32(b) & 31u))',
  threefry: 'threefryBits(a, b, c)',
  toFloat: 'f32(a)',
  toInt: 'toInteger(a)',
  remainder: ['remainderOf(a, b)', 'integerRemainder(a, b)'],
};

/** An op of operands in a lane, as WGSL. */
export function expression(op: ScalarName, lane: Lane, operands: readonly string[]): string {
  const isFloat = lane !== 'i32';
  const text = texts[op];
  const ofLane = typeof text === 'string' ? text : text[isFloat ? 0 : 1];
  // A compiler may take it that a float equals itself.
  const chosen = op === 'notEqual' && isFloat && operands[0] === operands[1] ? 'select(0, 1, isNan(a))' : ofLane;
  return chosen.replace(/\b[abc]\b/g, (name) => operands['abc'.indexOf(name)]!);
}

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

export const NAN = literal(Number.NaN, 'f32');

/** The statements of a program at position `i`, from inputs already loaded as `v0`, `v1`, …; value `k` becomes `vk`. */
export function programStatements(program: Program, inputs: readonly View[]): { statements: string; lanes: Lane[] } {
  const lanes = valueLanes(
    program,
    inputs.map(({ dtype }) => dtype),
  );
  const first = program.inputs + program.constants.length;
  const constants = program.constants.map(({ value, lane }, k) => `let v${program.inputs + k} = ${literal(value, lane)};`);
  const instructions = program.instructions.map(({ op, lane, operands }, k) => {
    const value = expression(
      op,
      lane,
      operands.map((operand) => `v${operand}`),
    );
    return `let v${first + k}: ${wgslType(lanes[first + k]!)} = ${value};`;
  });
  return { statements: [...constants, ...instructions].join('\n'), lanes };
}
