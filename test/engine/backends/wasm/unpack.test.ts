import { readdirSync, readFileSync } from 'node:fs';
import { inflateSync } from 'node:zlib';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { packed as carried } from '../../../../engine/backends/wasm/generated/module.ts';
import { FUSED_BYTES, ROUNDED_BYTES, unpack } from '../../../../engine/backends/wasm/unpack.ts';

const { base64, packing } = carried;
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

const compressed = Buffer.from(base64, 'base64');
const packed = new Uint8Array(inflateSync(compressed));

it('unpacks what every bundle carries to the builds in dist/wasm, which are what Node is given as they are', () => {
  const node = readdirSync(new URL('dist/node/', root));
  for (const build of ['relaxed', 'simd'] as const) {
    const wanted = bytes(`dist/wasm/${build}.wasm`);
    expect(wanted.equals(unpack(packed, packing, build === 'relaxed'))).toBe(true);
    const [file, ...others] = node.filter((name) => name.startsWith(`${build}-`));
    expect(others).toEqual([]);
    expect(readFileSync(new URL(`dist/node/${file}`, root), 'latin1')).toContain(`'${wanted.toString('base64')}'`.slice(1, -1));
  }
});

it('refuses a packed module that is cut or longer', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: packed.length - 1 }), (length) => {
      expect(() => unpack(packed.subarray(0, length), packing, true)).toThrow(
        `the packed module has ${length} bytes, not ${packed.length}`,
      );
    }),
  );
  expect(() => unpack(Uint8Array.of(...packed, 0), packing, false)).toThrow('the packed module has');
});

it('never gives a module for damaged bytes: the checksum of what is compressed tells', () => {
  const mutated = (at: number, mask: number): Buffer => {
    const copy = Buffer.from(compressed);
    copy[at]! ^= mask;
    return copy;
  };
  fc.assert(
    fc.property(fc.integer({ min: 0, max: compressed.length - 1 }), fc.integer({ min: 1, max: 255 }), (at, mask) => {
      let inflated: Uint8Array | null = null;
      try {
        inflated = new Uint8Array(inflateSync(mutated(at, mask)));
      } catch {
        return;
      }
      // A bit of the header may say nothing of the content.
      expect(Buffer.compare(inflated, packed)).toBe(0);
    }),
  );
});
