/** What the kernels are compiled for: vectors of 128 bits, without or with fused multiply-add and its like. */
export type Build = 'simd' | 'relaxed';
