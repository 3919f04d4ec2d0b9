import relaxed from '../../../wasm/relaxed.wasm';
import simd from '../../../wasm/simd.wasm';
import type { Build } from './build.ts';

/** Platforms that import modules compiled have no threads. */
export const canShare = false;

/** What it was compiled for here. */
export const builds: readonly Build[] = ['simd', 'relaxed'];

/** The compiled module, where the platform compiles at deployment and forbids it afterwards. */
export async function loadModule(build: Build): Promise<WebAssembly.Module> {
  return build === 'relaxed' ? relaxed : simd;
}
