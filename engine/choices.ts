/**
 * The backends that have a name, each loaded when it is asked for. They are made known when this module is loaded, which `tensegrity` does, and `tensegrity/core`
 * does not: what is bundled from there holds the one backend that it imports.
 */
import type { Backend } from './backends/backend.ts';
import type { CpuOptions } from './backends/cpu/index.ts';
import type { WasmOptions } from './backends/wasm/index.ts';
import type { WebGpuOptions } from './backends/webgpu/index.ts';
import { factories } from './runtime.ts';

/** Options of the backends, by name. */
export interface BackendOptions {
  readonly wasm: WasmOptions;
  readonly cpu: CpuOptions;
  readonly webgpu: WebGpuOptions;
}
export type BackendName = keyof BackendOptions;

Object.assign(factories, {
  wasm: async (given) => (await import('./backends/wasm/index.ts')).createWasmBackend(given),
  cpu: async (given) => (await import('./backends/cpu/index.ts')).createCpuBackend(given),
  webgpu: async (given) => (await import('./backends/webgpu/index.ts')).createWebGpuBackend(given),
} satisfies { readonly [Name in BackendName]: (options: BackendOptions[Name]) => Promise<Backend> });
