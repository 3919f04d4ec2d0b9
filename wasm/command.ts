/**
 * The kinds of command, shared by the encoder (TypeScript) and the interpreter (AssemblyScript): this file is both.
 *
 * A command is a run of i32 words, which `words.ts` names. A kernel is called as `kernel(command, bases, workspace, thread, threads)`:
 * - `command` points at the first word behind the header;
 * - `bases` is a table of one address per buffer;
 * - `workspace` is scratch memory that belongs to this thread alone;
 * - `thread` of `threads` takes its share of the outputs (or of chunks of a fixed size), so that no bit of a result
 *   depends on `threads`. All threads have finished a command before any starts the next.
 */
export const MAP = 0;
export const REDUCE = 1;
export const MATMUL = 2;
export const CONV = 3;
export const POOL = 4;
export const GATHER = 5;
export const SCATTER = 6;
export const GRID_SAMPLE = 7;
export const CHOLESKY = 8;
export const TRIANGULAR_SOLVE = 9;
export const EIGH = 10;
export const ARGSORT = 11;
export const COPY = 12;
/** Not a kernel of its own in a plan: the first half of a `pad`, whose other is a `COPY`; a `concat` is as many as it has inputs. */
export const FILL = 13;
/** Neither are these: what a 3×3 convolution is made of where `winograd.ts` has a faster way. */
export const WINOGRAD_FILTERS = 14;
export const WINOGRAD = 15;
export const WINOGRAD_WEIGHT = 16;
export const WINOGRAD_FILTER_GRADIENT = 17;
export const SCAN = 18;
