import type { Build } from './build.ts';
import { packed } from './generated/module.ts';
import { fromBase64, nodeModule } from './platform.ts';
import { forSharedMemory } from './sharedMemory.ts';
import { unpack } from './unpack.ts';

/** Whether a module for shared memory can be had: it is compiled from bytes. */
export const canShare = true;

/** What it was compiled for here. */
export const builds: readonly Build[] = ['simd', 'relaxed'];

/** The compiled module, from a copy that any bundler can carry. */
export async function loadModule(build: Build, shared = false): Promise<WebAssembly.Module> {
  const bytes = unpack(await inflate(packed.base64), packed.packing, build === 'relaxed');
  return WebAssembly.compile(shared ? forSharedMemory(bytes) : bytes);
}

async function inflate(text: string): Promise<Uint8Array<ArrayBuffer>> {
  const compressed = fromBase64(text);
  // Node loads all of its web streams for a DecompressionStream, which takes it longer than everything else here.
  const zlib = nodeModule<Pick<typeof import('node:zlib'), 'inflateSync'>>('node:zlib');
  if (zlib) return new Uint8Array(zlib.inflateSync(compressed));
  // Where there is none, the error says so, and `warnOfCpu` what to do.
  return new Uint8Array(await new Response(new Blob([compressed]).stream().pipeThrough(new DecompressionStream('deflate'))).arrayBuffer());
}
