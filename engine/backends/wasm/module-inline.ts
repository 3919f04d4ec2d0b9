import type { Build } from './index.ts';

/** Whether a module for shared memory can be had: it is compiled from bytes. */
export const canShare = true;

/** The compiled module, from a copy that any bundler can carry. */
export async function loadModule(build: Build, shared = false): Promise<WebAssembly.Module> {
  const { default: base64 } = build === 'relaxed' ? await import('./generated/relaxed.ts') : await import('./generated/simd.ts');
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  return WebAssembly.compile(shared ? forSharedMemory(bytes) : bytes);
}

/** The import of `memory`, as it stands in the module: name, kind, and limits with a maximum. */
const MEMORY_IMPORT = [6, ...new TextEncoder().encode('memory'), 2, 1];
const SHARED = 3;

/** The two builds differ in one bit of the memory's import, so there is one binary, and the bit is set here. */
function forSharedMemory(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const at = bytes.findIndex((_, start) => MEMORY_IMPORT.every((byte, i) => bytes[start + i] === byte));
  bytes[at + MEMORY_IMPORT.length - 1] = SHARED;
  return bytes;
}
