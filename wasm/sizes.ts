/**
 * Sizes that the encoder (TypeScript) and the kernels (AssemblyScript) must agree on, since one provides what the others fill: this file
 * is both.
 */

/** Bytes of an f32, an i32 or an address, and of a vector of four. */
const WORD_BYTES = 4;
export const VECTOR_BYTES = 16;

// Blocked products: product.ts.
/** Rows of the larger register tile; the smaller one, which is all that the build without fused multiply-add has, has four. */
export const TILE_ROWS = 6;
/** Columns of either tile. */
export const TILE_COLUMNS = 8;
/** Columns and steps of a block of the right-hand matrix. */
export const BLOCK_COLUMNS = 512;
export const BLOCK_DEPTH = 256;
/** Steps of a block where panels of the left-hand matrix are spread, with which it must share the first-level cache. */
export const SPREAD_DEPTH = 192;
/** A panel of rows as it is packed; behind it the same spread, each number as a vector. */
export const PACKED_BYTES = TILE_ROWS * BLOCK_DEPTH * WORD_BYTES;
export const PANEL_BYTES = PACKED_BYTES + TILE_ROWS * SPREAD_DEPTH * VECTOR_BYTES;
/** Addresses of a tile's rows, in whole vectors. */
export const ROW_TABLE_BYTES = 2 * VECTOR_BYTES;
/** A tile whose columns do not belong side by side, before they are taken apart, and the addresses of its rows. */
export const TILE_BYTES = ROW_TABLE_BYTES + TILE_ROWS * TILE_COLUMNS * WORD_BYTES;
/** The tables of a product (`Product` in product.ts), and what else it is told once for all, in whole lines of the cache. */
export const FACTOR_BYTES = 64;
/** What a product needs of the workspace; its caller's own begins behind that. */
export const PRODUCT_BYTES = FACTOR_BYTES + TILE_BYTES + PANEL_BYTES + BLOCK_COLUMNS * BLOCK_DEPTH * WORD_BYTES;
/** The most rows, columns or steps that a table of addresses holds, with room for a whole tile beyond. */
export const TABLE_LENGTH = 2048;
export const TABLE_BYTES = (TABLE_LENGTH + TILE_COLUMNS) * WORD_BYTES;

/** What a convolution knows of each of its two axes: axis.ts. */
export const AXIS_BYTES = 128;
/** What a slab holds (slab.ts), in elements, unless a single row of a single channel needs more. */
export const SLAB_LENGTH = 131072;

/** Rows that are factored at once: cholesky.ts. */
export const FACTORED_ROWS = 32;
/** Columns of the unknowns that are solved for at once: triangularSolve.ts. */
export const SOLVED_COLUMNS = 32;
/** Lines side by side that are walked together, so that no line of cache is read for one of its elements alone: scan.ts. */
export const SCANNED_LINES = 16;

// Winograd: winograd.ts, winogradTile.ts.
/** Panels of columns in a block, or half as many where there are more points; tiles in one of the weight gradient; filters of a round. */
export const BLOCK_PANELS = 8;
export const BLOCK_TILES = 64;
export const ROUND_FILTERS = 24;
/** Filters are padded to whole panels of six rows and of four, which are whole quads too. */
export const WHOLE_ROWS = 12;
/** So that the matrices of one element do not share a line of the cache. */
export const SKEW_BYTES = 64;
/** Along an axis, of each kind of convolution: products of a tile, pixels that come out, pixels that go in, pixels from one patch to the next. */
export const DENSE_POINTS = 6;
export const DENSE_TILE = 4;
export const DENSE_PATCH = 6;
export const DENSE_PATCH_STEP = 4;
export const STRIDED_POINTS = 9;
export const STRIDED_TILE = 4;
export const STRIDED_PATCH = 9;
export const STRIDED_PATCH_STEP = 8;
export const TRANSPOSED_TILE = 8;
export const TRANSPOSED_PATCH = 5;
export const TRANSPOSED_PATCH_STEP = 4;
/** Values of a transformed filter, of which the products of a tile may share some; its taps; and the lines of it that are half-way. */
export const FILTER_POINTS = 36;
export const FILTER_TAPS = 9;
export const FILTER_LINES = 18;
/** Scratch for one tile: its pixels, at most 8×8 of four images, and the lines between its two transforms. */
export const SQUARE_BYTES = (TRANSPOSED_TILE * TRANSPOSED_TILE + TRANSPOSED_TILE * STRIDED_POINTS) * VECTOR_BYTES;

// Programs: program.ts.
/** Loops over a block take so many elements at a time, beyond its end if need be: a register has room for as many more. */
export const GROUP = 16;
export const GROUP_BYTES = GROUP * WORD_BYTES;
/**
 * Slots of the table of operands: registers in one half of it; in the other, values that fill a block, and from its end downwards memory in
 * place. A program that needs more has a table of twice as many, or four times.
 */
export const HALF = 128;
/** A slot: an address, and the step to the next group. */
export const SLOT_BYTES = 2 * WORD_BYTES;
/** The most axes of a space that do not have one element each or lie on one line: the sizes of shapes are safe integers. */
export const MOST_AXES = 64;
/** Coordinates behind the table of slots: of the block, and of the row that is being moved. */
export const COORDINATE_BYTES = 2 * MOST_AXES * WORD_BYTES;
/** What a fold keeps of each result: a register of words, and two that hold a double for each. */
export const STATE_LINES = 3;
