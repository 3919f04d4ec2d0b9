import './webgpu.ts';

/** What a program asks of WebGPU. Bytes are of buffers; an upload is written by the host, a read is mapped by it, a copy stays on the GPU. */
export interface Counts {
  readonly dispatches: number;
  readonly submits: number;
  readonly pipelines: number;
  readonly shaders: number;
  readonly buffers: number;
  readonly bindGroups: number;
  readonly uploaded: number;
  readonly read: number;
  readonly copied: number;
  /** The bytes of all bindings of all dispatches: what the kernels move, if each touches all that it is given once. */
  readonly bound: number;
  /** The most bytes of buffers that were alive at once. */
  readonly peak: number;
}

type Tally = { -readonly [Name in keyof Counts]: number };

const zero = (): Tally => ({
  dispatches: 0,
  submits: 0,
  pipelines: 0,
  shaders: 0,
  buffers: 0,
  bindGroups: 0,
  uploaded: 0,
  read: 0,
  copied: 0,
  bound: 0,
  peak: 0,
});

let tally = zero();
let alive = 0;

/** The counts since the last call. */
export function takeCounts(): Counts {
  const taken = tally;
  tally = { ...zero(), peak: alive };
  return taken;
}

/** The bytes of a mapping, from where to how many. */
const spanOf = (buffer: GPUBuffer, offset = 0, size = buffer.size - offset): number => size;

/** Puts something before or around a method. `before` sees the receiver and the parameters, `after` the result too. */
function wrap<Type extends object, Name extends keyof Type>(
  { prototype }: { readonly prototype: Type },
  name: Name,
  around: (
    call: () => unknown,
    receiver: Type,
    parameters: Type[Name] extends (...parameters: infer Parameters) => unknown ? Parameters : never,
  ) => unknown,
): void {
  // What is wrapped is a method, whose type TypeScript does not relate to that of its wrapper.
  const original = prototype[name] as (...parameters: readonly unknown[]) => unknown;
  const wrapped = function (this: Type, ...parameters: readonly unknown[]): unknown {
    return around(() => original.apply(this, [...parameters]), this, parameters as never);
  };
  prototype[name] = wrapped as Type[Name];
}

function bytesOf(data: AllowSharedBufferSource, offset = 0, size?: number): number {
  const unit = ArrayBuffer.isView(data) && 'BYTES_PER_ELEMENT' in data ? Number(data.BYTES_PER_ELEMENT) : 1;
  return size === undefined ? data.byteLength - offset * unit : size * unit;
}

/**
 * Counts from now on what this process asks of WebGPU, by wrapping its prototypes. Dispatches are counted and left out: what a program asks
 * for does not depend on the numbers that it computes, so that a step of any size can be counted on a machine of any speed.
 */
export function startCounting({ dispatch }: { readonly dispatch: boolean }): void {
  const sizes = new WeakMap<GPUBuffer, number>();
  const collected = new FinalizationRegistry<number>((size) => void (alive -= size));
  const bound = new WeakMap<GPUBindGroup, number>();
  const set = new WeakMap<GPUComputePassEncoder, Map<number, number>>();

  wrap(GPUDevice, 'createBuffer', (call, _device, [{ size, mappedAtCreation }]) => {
    const buffer = call() as GPUBuffer;
    sizes.set(buffer, size);
    collected.register(buffer, size, buffer);
    alive += size;
    tally.buffers++;
    tally.peak = Math.max(tally.peak, alive);
    if (mappedAtCreation) tally.uploaded += size;
    return buffer;
  });
  wrap(GPUBuffer, 'destroy', (call, buffer) => {
    alive -= sizes.get(buffer) ?? 0;
    sizes.delete(buffer);
    collected.unregister(buffer);
    return call();
  });
  wrap(GPUBuffer, 'mapAsync', (call, buffer, [mode, offset, size]) => {
    tally[mode === GPUMapMode.READ ? 'read' : 'uploaded'] += spanOf(buffer, offset, size);
    return call();
  });
  wrap(GPUQueue, 'writeBuffer', (call, _queue, [, , data, offset, size]) => {
    tally.uploaded += bytesOf(data, offset, size);
    return call();
  });
  wrap(GPUQueue, 'submit', (call) => {
    tally.submits++;
    return call();
  });
  wrap(GPUCommandEncoder, 'copyBufferToBuffer', (call, _encoder, parameters: readonly unknown[]) => {
    // (source, target, size?) or (source, from, target, to, size).
    const [source, second, third, , fifth] = parameters as [GPUBuffer, unknown, number | undefined, unknown, number | undefined];
    tally.copied += (typeof second === 'number' ? fifth : third) ?? source.size;
    return call();
  });
  for (const name of ['createComputePipeline', 'createComputePipelineAsync'] as const) {
    wrap(GPUDevice, name, (call) => {
      tally.pipelines++;
      return call();
    });
  }
  wrap(GPUDevice, 'createShaderModule', (call) => {
    tally.shaders++;
    return call();
  });
  wrap(GPUDevice, 'createBindGroup', (call, _device, [{ entries }]) => {
    const group = call() as GPUBindGroup;
    tally.bindGroups++;
    const resources = [...entries].map(({ resource }) => resource);
    const spans = resources.map((resource) => {
      if (resource instanceof GPUBuffer) return resource.size;
      return 'buffer' in resource ? spanOf(resource.buffer, resource.offset, resource.size) : 0;
    });
    bound.set(
      group,
      spans.reduce((sum, span) => sum + span, 0),
    );
    return group;
  });
  wrap(GPUComputePassEncoder, 'setBindGroup', (call, pass, [index, group]) => {
    const groups = set.get(pass) ?? new Map<number, number>();
    groups.set(index, group ? (bound.get(group) ?? 0) : 0);
    set.set(pass, groups);
    return call();
  });
  for (const name of ['dispatchWorkgroups', 'dispatchWorkgroupsIndirect'] as const) {
    wrap(GPUComputePassEncoder, name, (call, pass) => {
      tally.dispatches++;
      for (const span of set.get(pass)?.values() ?? []) tally.bound += span;
      return dispatch ? call() : undefined;
    });
  }
}
