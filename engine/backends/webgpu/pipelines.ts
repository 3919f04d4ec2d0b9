/** How many are kept apart from those that plans hold, the least recently used going first. */
const KEPT = 1024;

/** Compute pipelines by their WGSL: kernels of the same program and shapes share one. */
export class Pipelines {
  readonly #device: GPUDevice;
  readonly #made = new Map<string, Promise<GPUComputePipeline>>();

  constructor(device: GPUDevice) {
    this.#device = device;
  }

  get(code: string): Promise<GPUComputePipeline> {
    const pipeline = this.#made.get(code) ?? this.#make(code);
    this.#made.delete(code);
    this.#made.set(code, pipeline);
    const [oldest] = this.#made.keys();
    if (this.#made.size > KEPT) this.#made.delete(oldest!);
    return pipeline;
  }

  #make(code: string): Promise<GPUComputePipeline> {
    const module = this.#device.createShaderModule({ code });
    const pipeline = this.#device.createComputePipelineAsync({ layout: 'auto', compute: { module } });
    pipeline.catch(() => this.#made.delete(code));
    return pipeline;
  }
}
