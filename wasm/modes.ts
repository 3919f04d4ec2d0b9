/** What words that stand for one of a few may say, shared by the encoder (TypeScript) and the kernels (AssemblyScript): this file is both. */

// What a convolution computes.
export const FORWARD = 0;
export const INPUT_GRADIENT = 1;
export const WEIGHT_GRADIENT = 2;

// What is made of a window of a pool. The transpose of a sum gives to each element what the windows have that it is in.
export const MAXIMUM = 0;
export const ARGMAX = 1;
export const SUM = 2;
export const SUM_TRANSPOSE = 3;

// Kinds of convolution by Winograd's way: of stride 1; of stride 2; the input gradient of one of stride 2.
export const DENSE = 0;
export const STRIDED = 1;
export const TRANSPOSED = 2;

// The type of elements that a kernel computes with.
export const F32 = 0;
export const I32 = 1;
export const U8 = 2;

// How an element of a view is held: in four bytes, in one (unsigned), or nowhere: it is its own position.
export const WORD = 0;
export const BYTE = 1;
export const POSITION = 2;

// How a block of an input reaches the program: read where it lies, loaded once for all blocks, loaded for each, or as
// one value that all elements of a block share. A result is written where it belongs, or stored for each block.
export const DIRECT = 0;
export const ONCE = 1;
export const EACH = 2;
export const STILL = 3;

// Which axes a reduction folds: the innermost ones, or ones with results side by side within them, or both of these.
export const ROWS = 0;
export const COLUMNS = 1;
export const PLANES = 2;
