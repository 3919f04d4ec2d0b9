import type { Runner } from './dense.ts';

/** The fill, which touches a whole buffer, is done where buffers are known. */
export const copy: Runner<'copy'> = (_kernel, ...inputs) => inputs;
