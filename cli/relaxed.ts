import { setFlagsFromString } from 'node:v8';

/** Node 20 has relaxed SIMD behind a flag, which a program may set and a library should not. Must come before the first module is compiled. */
export function v8ReleaseRelaxedSimd(): void {
  if (Number(process.versions.node.split('.')[0]) < 22) setFlagsFromString('--experimental-wasm-relaxed-simd');
}
