import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { packing } from '../../../../engine/backends/wasm/generated/module.ts';
import { FUSED_BYTES, ROUNDED_BYTES } from '../../../../engine/backends/wasm/unpack.ts';

const root = new URL('../../../../', import.meta.url);
const bytes = (path: string): Buffer => readFileSync(new URL(path, root));

/** How often some bytes stand in others. */
function count(module: Buffer, wanted: readonly number[]): number {
  let times = 0;
  for (let at = module.indexOf(Buffer.from(wanted)); at >= 0; at = module.indexOf(Buffer.from(wanted), at + 1)) times += 1;
  return times;
}

it('gives both builds of the compiled module, which differ in multiply-adds alone', () => {
  const [compiled, relaxed, simd] = ['engine/backends/wasm/generated/module.wasm', 'dist/wasm/relaxed.wasm', 'dist/wasm/simd.wasm'].map(
    bytes,
  );
  const nops = new Array<number>(ROUNDED_BYTES - FUSED_BYTES).fill(1);
  const fused = [0x05, 0x06].map((second) => [0xfd, 0x80 + second, 2]);
  const total = fused.reduce((sum, code) => sum + count(compiled!, code), 0);
  expect(total).toBeGreaterThan(100);
  expect(fused.reduce((sum, code) => sum + count(relaxed!, [...code, ...nops]), 0)).toBe(total);
  expect(fused.reduce((sum, code) => sum + count(simd!, [...code, ...nops]), 0)).toBe(0);
  expect(simd).toHaveLength(packing.size);
  // Where they differ, relaxed has the one instruction and nothing behind it.
  let differing = 0;
  for (let at = 0; at < simd!.length; at++) {
    if (simd![at] === relaxed![at]) continue;
    differing += 1;
    expect(fused.some((code) => relaxed!.subarray(at, at + ROUNDED_BYTES).equals(Buffer.from([...code, ...nops])))).toBe(true);
    at += ROUNDED_BYTES - 1;
  }
  expect(differing).toBe(total);
  const exported = (module: Buffer): string[] =>
    WebAssembly.Module.exports(new WebAssembly.Module(new Uint8Array(module))).map(({ name }) => name);
  for (const build of [relaxed!, simd!]) expect(exported(build)).toEqual(exported(compiled!));
});
