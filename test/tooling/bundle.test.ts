import { fileURLToPath } from 'node:url';
import { type OutputChunk, rolldown } from 'rolldown';
import { describe, expect, it } from 'vitest';

const built = (path: string): string => fileURLToPath(new URL(`../../dist/engine/${path}`, import.meta.url));

/** The chunks that a bundler for the web makes of a program that imports these names of modules, as `npm run check` measures their size. */
async function chunksOf(names: string, module = 'index.js', ...others: readonly string[]): Promise<OutputChunk[]> {
  const program = 'program.js';
  const bundle = await rolldown({
    input: program,
    platform: 'browser',
    // For threads in Node, where they are.
    external: /^node:/,
    plugins: [
      {
        name: 'program',
        resolveId: (id) => (id === program ? program : null),
        load: (id) => (id === program ? [`export { ${names} } from ${JSON.stringify(built(module))};`, ...others].join('\n') : null),
      },
    ],
  });
  const { output } = await bundle.generate({ format: 'es' });
  return output.filter((part) => part.type === 'chunk');
}

/** What a page loads before it runs: the program and all that it imports at once. */
function loadedAtOnce(chunks: readonly OutputChunk[]): OutputChunk[] {
  const loaded = new Set(chunks.filter(({ isEntry }) => isEntry));
  for (const { imports } of loaded) for (const chunk of chunks) if (imports.includes(chunk.fileName)) loaded.add(chunk);
  return [...loaded];
}

const isWebGpu = (path: string): boolean => path.includes('/backends/webgpu/');
const wgsl = /@compute|@workgroup_size|var<storage/;

describe('a bundle for the web', () => {
  it.each(['tensor', 'tensor, useBackend, grad, compile'])('of { %s } loads nothing of WebGPU until it is asked for', async (names) => {
    const chunks = await chunksOf(names);
    const atOnce = loadedAtOnce(chunks);
    expect(atOnce.flatMap(({ moduleIds }) => moduleIds).filter(isWebGpu)).toEqual([]);
    for (const { code } of atOnce) expect(code).not.toMatch(wgsl);

    const later = chunks.filter((chunk) => !atOnce.includes(chunk) && chunk.moduleIds.some(isWebGpu));
    expect(later.some(({ isDynamicEntry }) => isDynamicEntry)).toBe(true);
    expect(later.map(({ code }) => code).join('\n')).toMatch(wgsl);
  });

  it('of tensegrity/core, tensegrity/models/core and one backend holds no other', async () => {
    const chunks = await chunksOf(
      'tensor, useBackend',
      'core.js',
      `export { createWasmBackend } from ${JSON.stringify(built('backends/wasm/index.js'))};`,
      `export { vicreg } from ${JSON.stringify(built('../models/core.js'))};`,
    );
    const backends = chunks.flatMap(({ moduleIds }) => moduleIds).flatMap((path) => /\/backends\/(\w+)\//.exec(path)?.[1] ?? []);
    expect(new Set(backends)).toEqual(new Set(['wasm']));
  });

  it('of a saved plan holds one backend, and no graph, compiler or models', async () => {
    const paths = (await chunksOf('loadPlan', 'plan/load.js')).flatMap(({ moduleIds }) => moduleIds);
    const own = paths.flatMap((path) => /\/dist\/(.*)\.js$/.exec(path)?.[1] ?? []);
    // Of the compiler it holds what checks plans, and reads them.
    const compilers =
      /^engine\/(tensor|graph|compile|runtime|autodiff|slot|ops\/.*|compiler\/(compiler|fuse|lower|schedule|simplify|memory|buffers))$/;
    expect(own.filter((path) => compilers.test(path) || !/^(engine|wasm)\//.test(path) || /backends\/(cpu|webgpu)\//.test(path))).toEqual(
      [],
    );
  });

  it('keeps what makes the backends known by name', async () => {
    const chunks = await chunksOf('tensor');
    expect(loadedAtOnce(chunks).flatMap(({ moduleIds }) => moduleIds)).toContain(built('choices.js'));
  });
});
