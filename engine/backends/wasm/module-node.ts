import type { Build } from './build.ts';
import { fromBase64, nodeModule } from './platform.ts';
import { forSharedMemory } from './sharedMemory.ts';

/** Whether a module for shared memory can be had: it is compiled from bytes. */
export const canShare = true;

/** What it was compiled for here. */
export const builds: readonly Build[] = ['simd', 'relaxed'];

/** Each in a file of its own, of which one is read; and as text, so that a bundle for Node carries them without knowing. */
const texts = {
  simd: () => import('../../../wasm/simd.wasm?base64'),
  relaxed: () => import('../../../wasm/relaxed.wasm?base64'),
};

/** The compiled module, from bytes as they are: Node reads some more of them sooner than it unpacks any. */
export async function loadModule(build: Build, shared = false): Promise<WebAssembly.Module> {
  const { default: text } = await texts[build]();
  const node = nodeModule<Pick<typeof import('node:buffer'), 'Buffer'>>('node:buffer');
  const bytes = node ? node.Buffer.from(text, 'base64') : fromBase64(text);
  return WebAssembly.compile(shared ? forSharedMemory(bytes) : bytes);
}
