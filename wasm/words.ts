/**
 * The words of commands by name, shared by the encoder (TypeScript), which writes them, and the kernels (AssemblyScript), which read them:
 * this file is both. Each name is the number of a word, counted from where what it belongs to begins; `…_WORDS` is how many there are. What
 * is not of a fixed length (views, the rest of a program) follows those.
 */

// Every command begins so; a kernel is given the address behind.
export const HEADER_KIND = 0;
/** Of the whole command. */
export const HEADER_LENGTH = 1;
export const HEADER_WORDS = 2;

// A view, padded to rank 4 at the front (dimension 1, stride 0): its offset is in bytes, its strides in elements.
export const VIEW_BUFFER = 0;
export const VIEW_OFFSET = 1;
export const VIEW_SHAPE = 2;
export const VIEW_STRIDES = 6;
export const VIEW_WORDS = 10;

// Parameters of kernels that are followed by views: of their inputs, then of their outputs.

/** Where in the workspace the registers of the epilogue are, the words of a map that follow the views; 0 without one. */
export const MATMUL_EPILOGUE = 0;
export const MATMUL_WORDS = 1;

export const CONV_DIRECTION = 0;
export const CONV_STRIDE_HEIGHT = 1;
export const CONV_STRIDE_WIDTH = 2;
export const CONV_PADDING_HEIGHT = 3;
export const CONV_PADDING_WIDTH = 4;
export const CONV_DILATION_HEIGHT = 5;
export const CONV_DILATION_WIDTH = 6;
export const CONV_GROUPS = 7;
export const CONV_WORDS = 8;

/** Of the transformation of filters, or back. */
export const FILTERS_KIND = 0;
export const FILTERS_WORDS = 1;

export const WINOGRAD_KIND = 0;
export const WINOGRAD_PADDING_HEIGHT = 1;
export const WINOGRAD_PADDING_WIDTH = 2;
export const WINOGRAD_WORDS = 3;

export const POOL_MODE = 0;
export const POOL_KERNEL_HEIGHT = 1;
export const POOL_KERNEL_WIDTH = 2;
export const POOL_STRIDE_HEIGHT = 3;
export const POOL_STRIDE_WIDTH = 4;
export const POOL_PADDING_HEIGHT = 5;
export const POOL_PADDING_WIDTH = 6;
export const POOL_WORDS = 7;

export const SCAN_IS_PRODUCT = 0;
export const SCAN_ELEMENT = 1;
export const SCAN_WORDS = 2;

export const GATHER_BYTES = 0;
/** What is given for an index outside. */
export const GATHER_MISSING = 1;
export const GATHER_WORDS = 2;

export const SCATTER_ELEMENT = 0;
/** To zeros; else an update replaces what is there. */
export const SCATTER_ADDS = 1;
export const SCATTER_WORDS = 2;

export const GRID_SAMPLE_IS_BORDER = 0;
export const GRID_SAMPLE_ALIGNS_CORNERS = 1;
export const GRID_SAMPLE_WORDS = 2;

export const TRIANGULAR_SOLVE_IS_LOWER = 0;
export const TRIANGULAR_SOLVE_TRANSPOSES = 1;
export const TRIANGULAR_SOLVE_WORDS = 2;

export const ARGSORT_DESCENDS = 0;
export const ARGSORT_ELEMENT = 1;
export const ARGSORT_WORDS = 2;

export const CHOLESKY_WORDS = 0;
export const EIGH_WORDS = 0;

// A copy, followed by its axes, two at least, the innermost of the destination last.
export const COPY_BYTES = 0;
export const COPY_FROM_BUFFER = 1;
export const COPY_FROM_OFFSET = 2;
export const COPY_TO_BUFFER = 3;
export const COPY_TO_OFFSET = 4;
export const COPY_RANK = 5;
export const COPY_WORDS = 6;

/** Strides are in bytes. */
export const AXIS_EXTENT = 0;
export const AXIS_FROM_STRIDE = 1;
export const AXIS_TO_STRIDE = 2;
export const AXIS_WORDS = 3;

export const FILL_BUFFER = 0;
export const FILL_OFFSET = 1;
export const FILL_BYTES = 2;
export const FILL_VALUE = 3;
export const FILL_WORDS = 4;

// A map, followed by its program and its results.
export const MAP_SEGMENTS = 0;
/** Elements of a segment, and of the blocks that it is cut into. */
export const MAP_LENGTH = 1;
export const MAP_BLOCK = 2;
export const MAP_RESULTS = 3;
export const MAP_WORDS = 4;

// A fold, followed by its program, the shape of its outputs, and its results. `reduce.ts` says what these are; the last three are of 64 bits.
export const REDUCE_MODE = 0;
export const REDUCE_PREFIX = 1;
export const REDUCE_SUFFIX = 2;
export const REDUCE_BLOCK = 3;
export const REDUCE_GROUP = 4;
/** Where in the workspace the states are, and how many bytes one line of them takes. */
export const REDUCE_STATES = 5;
export const REDUCE_LINE_BYTES = 6;
export const REDUCE_RESULTS = 7;
export const REDUCE_OUTER_RANK = 8;
export const REDUCE_REDUCED = 9;
export const REDUCE_REDUCED_HIGH = 10;
export const REDUCE_RUN = 11;
export const REDUCE_RUN_HIGH = 12;
export const REDUCE_CHUNK = 13;
export const REDUCE_CHUNK_HIGH = 14;
export const REDUCE_WORDS = 15;

// A program, followed by the shape of its space, its inputs, its constants, a word each, and its instructions.
export const PROGRAM_RANK = 0;
export const PROGRAM_REGISTER_BYTES = 1;
export const PROGRAM_INPUTS = 2;
export const PROGRAM_CONSTANTS = 3;
export const PROGRAM_INSTRUCTIONS = 4;
export const PROGRAM_REGISTERS = 5;
export const PROGRAM_STILLS = 6;
/** Of the slots of its table. */
export const PROGRAM_HALF = 7;
export const PROGRAM_WORDS = 8;

/** A view of a space that others share: what follows are its strides along the axes of that, in bytes, as its offset is. */
export const WINDOW_BUFFER = 0;
export const WINDOW_OFFSET = 1;
export const WINDOW_WORDS = 2;

// An input of a program, the result of a map, or of a fold, each followed by its window.
/** How blocks come in; what is loaded once says of how many elements, four times of that is added. */
export const INPUT_LOAD = 0;
export const INPUT_ELEMENT = 1;
export const INPUT_SLOT = 2;
export const INPUT_WORDS = 3;

export const RESULT_STORE = 0;
export const RESULT_ELEMENT = 1;
export const RESULT_SLOT = 2;
/** A register for what cannot be written in place. */
export const RESULT_SPARE = 3;
export const RESULT_WORDS = 4;

export const FOLD_OPCODE = 0;
export const FOLD_ELEMENT = 1;
export const FOLD_SLOT = 2;
/** The slot of the other factor of a DOT, else the same. */
export const FOLD_FACTOR = 3;
export const FOLD_WORDS = 4;

export const INSTRUCTION_OPCODE = 0;
export const INSTRUCTION_RESULT = 1;
export const INSTRUCTION_A = 2;
export const INSTRUCTION_B = 3;
export const INSTRUCTION_C = 4;
export const INSTRUCTION_D = 5;
export const INSTRUCTION_WORDS = 6;
