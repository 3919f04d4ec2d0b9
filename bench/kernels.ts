import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import * as asc from 'assemblyscript/asc';

const source = (name: string): string => fileURLToPath(new URL(`./kernels/${name}.ts`, import.meta.url));
const binary = (name: string): string => fileURLToPath(new URL(`./dist/${name}.wasm`, import.meta.url));
const kernels = ['limits', 'chains'];

const modified = (path: string): number => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;

/** Compiles the AssemblyScript of this folder, where a source is newer than its module. */
export async function buildKernels(): Promise<void> {
  for (const name of kernels.filter((kernel) => modified(binary(kernel)) < modified(source(kernel)))) {
    const options = [
      '--runtime',
      'stub',
      '--noAssert',
      '--importMemory',
      '--enable',
      'simd,relaxed-simd',
      '-O3',
      '--converge',
      '--memoryBase',
      '1024',
    ];
    const { error, stderr } = await asc.main([`${name}.ts`, '--outFile', `${name}.wasm`, ...options], {
      readFile: (file) => (file === `${name}.ts` ? readFileSync(source(name), 'utf8') : null),
      writeFile: (file, contents) => {
        if (!file.endsWith('.wasm')) return;
        mkdirSync(new URL('./dist/', import.meta.url), { recursive: true });
        writeFileSync(binary(name), contents);
      },
      listFiles: () => [],
    });
    if (error) throw new Error(`kernels/${name}.ts: ${error.message}\n${stderr.toString()}`);
  }
}

export interface Kernels<Functions> {
  readonly functions: Functions;
  readonly memory: WebAssembly.Memory;
  /** Gives that many bytes of memory, at a multiple of 64, until `free`. */
  allocate(bytes: number): number;
  free(): void;
}

const pageBytes = 65_536;
const firstFree = 4096;

/** Runs a module that `buildKernels` made. */
export async function loadKernels<Functions>(name: string): Promise<Kernels<Functions>> {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 65_536 });
  const { instance } = await WebAssembly.instantiate(readFileSync(binary(name)), { env: { memory } });
  let end = firstFree;
  return {
    // The module exports what its source does.
    functions: instance.exports as Functions,
    memory,
    allocate: (bytes) => {
      const start = end;
      end = Math.ceil((start + bytes) / 64) * 64;
      const missing = end - memory.buffer.byteLength;
      if (missing > 0) memory.grow(Math.ceil(missing / pageBytes));
      return start;
    },
    free: () => {
      end = firstFree;
    },
  };
}
