import simd from '../../../wasm/simd.wasm?module';
import type { Build } from './build.ts';

/** Platforms that import modules compiled have no threads. */
export const canShare = false;

/** Of `edge-light`: what builds for it need not know relaxed instructions, and refuse a module that has them. */
export const builds: readonly Build[] = ['simd'];

/** The compiled module, as bundlers for Next.js name it (`?module`). */
export async function loadModule(): Promise<WebAssembly.Module> {
  return simd;
}
