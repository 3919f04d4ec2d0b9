/**
 * The operations of a program, shared by the encoder (TypeScript) and the interpreter (AssemblyScript): this file is
 * both. Those below FUSED are the opcodes of `engine/scalar.ts`, for operands in f32. (A third of the numbers must be taken, or the compiler
 * makes no table of the switch that goes by them.)
 */
export const INDEX = 0;
export const ADD = 1;
export const SUB = 2;
export const MUL = 3;
export const DIV = 4;
export const POW = 5;
export const MAXIMUM = 6;
export const MINIMUM = 7;
export const NEG = 8;
export const ABS = 9;
export const SIGN = 10;
export const FLOOR = 11;
export const CEIL = 12;
export const ROUND = 13;
export const TRUNC = 14;
export const SQRT = 15;
export const EXP = 16;
export const EXPM1 = 17;
export const LOG = 18;
export const LOG1P = 19;
export const SIN = 20;
export const COS = 21;
export const TANH = 22;
export const SIGMOID = 23;
export const ERF = 24;
export const ERF_INVERSE = 25;
export const RELU = 26;
export const EQUAL = 27;
export const NOT_EQUAL = 28;
export const LESS = 29;
export const LESS_EQUAL = 30;
export const WHERE = 31;
export const BITWISE_AND = 32;
export const BITWISE_OR = 33;
export const BITWISE_XOR = 34;
export const SHIFT_LEFT = 35;
export const SHIFT_RIGHT = 36;
export const THREEFRY = 37;
export const TO_FLOAT = 38;
export const TO_INT = 39;
/** With the sign of the divisor; for a divisor of 0 integers give 0, floats NaN. */
export const REMAINDER = 40;

/** Fused forms, which save a value's trip through memory, have the numbers from here on. */
export const FUSED = 96;
/** x·y + z */
export const MUL_ADD = 96;
/** x·y − z */
export const MUL_SUB = 97;
/** z − x·y */
export const NEGATED_MUL_ADD = 98;
/** x·y·z */
export const MUL_MUL = 99;
/** x·y / z */
export const MUL_DIV = 100;
/** (x − y)·z */
export const SUB_MUL = 101;
/** (x + y)·z */
export const ADD_MUL = 102;
/** x + y + z */
export const ADD_ADD = 103;
/** √x·y + z */
export const SQRT_MUL_ADD = 104;
/** relu(x + y) */
export const ADD_RELU = 105;
/** relu(x·y + z) */
export const MUL_ADD_RELU = 106;
/** y where x > 0, else 0 */
export const GATE = 107;

// The same whose factors y and w are the same for all elements of a block.
/** x·y + z */
export const SCALE_ADD = 108;
/** z − x·y */
export const NEGATED_SCALE_ADD = 109;
/** x·y + z·w */
export const SCALE_ADD_SCALE = 110;
/** x·y − z·w */
export const SCALE_SUB_SCALE = 111;

// Reductions that are no operation of two values: they keep a position too (the lower bit says of which end), or sum squares, or products.
export const ARGMAX = 112;
export const ARGMIN = 113;
export const SQUARE = 114;
export const DOT = 115;

/** Added to an opcode whose operands are i32 where that differs from f32. */
export const INTEGER = 128;
