import type { Gpu } from '../../../../engine/backends/webgpu/shader.ts';

/** What a large GPU has, for plans that are written and not run. */
export const realGpu: Gpu = {
  workgroupBytes: 49152,
  threads: 256,
  parallelism: 65536,
  mostFolded: 2 ** 30,
  software: false,
  subgroupSize: 32,
  f16: false,
  unit: null,
};
