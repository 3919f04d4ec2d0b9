/** Compute pipelines by their WGSL: kernels of the same program and shapes share one. */
export class Pipelines {
  readonly #device: GPUDevice;
  readonly #made = new Map<string, Promise<GPUComputePipeline>>();

  constructor(device: GPUDevice) {
    this.#device = device;
  }

  get(code: string): Promise<GPUComputePipeline> {
    const known = this.#made.get(code);
    if (known) return known;
    const module = this.#device.createShaderModule({ code });
    const pipeline = this.#device.createComputePipelineAsync({ layout: 'auto', compute: { module } });
    this.#made.set(code, pipeline);
    pipeline.catch(() => this.#made.delete(code));
    return pipeline;
  }
}
