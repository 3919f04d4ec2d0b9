/** What options say in types that every program has: this file and index.ts name none of WebGPU's, which a program for Node may lack. */

/** A `GPU`, as WebGPU calls what adapters are asked of. */
export interface GpuEntry {
  requestAdapter(options?: object): Promise<object | null>;
}

export interface DeviceOptions {
  /** Instead of `navigator.gpu`, or of the one that the npm package `webgpu` makes. */
  readonly gpu?: GpuEntry;
  /** Keep large arrays between kernels as 16-bit floats; sums stay 32-bit. Less memory, good to 3 digits; numbers beyond 65504 overflow. */
  readonly f16?: boolean;
  /** Experimental, of Dawn: multiply by the GPU's matrix units, which take 16-bit factors and sum in 32 bits. */
  readonly subgroupMatrices?: boolean;
  /** Measure how long each kernel takes: see {@link Executable.times}. Plans run a little slower. */
  readonly profile?: boolean;
}
