#!/usr/bin/env node
/**
 * Builds everything that a clone lacks: the WebAssembly module, packed and in its two builds, dist/ by tsc, and dist/node/, the same in few files.
 * `--wasm` stops after the modules; `--clean` empties dist/ first, so that no output outlives its source.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, isAbsolute, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import zopfli from '@gfx/zopfli';
import { rolldown } from 'rolldown';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const generated = join(root, 'engine/backends/wasm/generated');
const options = new Set(process.argv.slice(2));
/** Which of them have multiply-adds that are one instruction. */
const builds = { relaxed: true, simd: false };
const binaryOf = (name) => join(root, 'dist/wasm', `${name}.wasm`);

function run(script, ...parameters) {
  const { status, error } = spawnSync(process.execPath, [script, ...parameters], { cwd: root, stdio: 'inherit' });
  if (error) throw error;
  if (status !== 0) process.exit(status ?? 1);
}

const modified = (path) => (existsSync(path) ? statSync(path).mtimeMs : 0);

function newestIn(folder) {
  return Math.max(...readdirSync(join(root, folder), { recursive: true }).map((name) => modified(join(root, folder, name))));
}

/** The module as it is compiled, with fused multiply-adds. */
const compiled = join(generated, 'module.wasm');

/**
 * The module, packed and compressed, in a text; and its two builds, as they are unpacked from that: engine/backends/wasm/unpack.ts. (What packs is
 * TypeScript, which no Node below 22.18 loads: so it is imported here.)
 */
async function buildModule() {
  const inlined = join(generated, 'module.ts');
  const sources = [
    newestIn('wasm'),
    newestIn('scripts'),
    ...['asconfig.json', 'engine/backends/wasm/unpack.ts'].map((name) => modified(join(root, name))),
  ];
  if (Math.min(...[inlined, ...Object.keys(builds).map(binaryOf)].map(modified)) > Math.max(...sources)) return;
  rmSync(generated, { recursive: true, force: true });
  mkdirSync(generated, { recursive: true });
  run('node_modules/assemblyscript/bin/asc.js', '--config', 'asconfig.json');
  const { pack } = await import('./wasm.mjs');
  const { unpack } = await import('../engine/backends/wasm/unpack.ts');
  const { bytes, packing } = pack(readFileSync(compiled));
  mkdirSync(join(root, 'dist/wasm'), { recursive: true });
  for (const [name, fused] of Object.entries(builds)) {
    const module = unpack(bytes, packing, fused);
    if (!WebAssembly.validate(module)) throw new Error(`the ${name} build of the module is not valid: scripts/wasm.mjs packs it wrongly`);
    writeFileSync(binaryOf(name), module);
  }
  // Deflate's format, by an encoder that looks longer than zlib does: 5% shorter.
  const base64 = Buffer.from(await zopfli.zlibAsync(bytes, { numiterations: 15 })).toString('base64');
  // The text in a record, which minifiers leave where it is, before all code of a bundle: what compresses that takes 400 bytes more with the text in its midst.
  writeFileSync(
    inlined,
    `import type { Packing } from '../unpack.ts';\nexport const packed: { base64: string; packing: Packing } = ${JSON.stringify({ base64, packing })};\n`,
  );
}

/**
 * What tsc puts before a module, for scripts that have a `this`, makes bundlers warn of one in a module that has none; and its way of renaming what a
 * dynamic import names stands between the import and the comments by which they leave it alone.
 */
function unwrap(path) {
  const emitted = readFileSync(path, 'utf8');
  const text = emitted
    .replace(/^var __rewriteRelativeImportExtension = .*?\n\};\n/ms, '')
    .replaceAll(/\bimport\(__rewriteRelativeImportExtension\((.*?)\)\)/g, 'import($1)')
    .replaceAll(/\(this && this\.(__\w+)\) \|\| /g, '');
  if (text !== emitted) writeFileSync(path, text);
}

/** The bytes of what is imported as `….wasm?base64`, in a text. */
const base64 = {
  name: 'base64',
  resolveId: (id, importer) => (id.endsWith('.wasm?base64') ? join(dirname(importer), id) : null),
  load: (id) => (id.endsWith('.wasm?base64') ? `export default '${readFileSync(id.slice(0, -'?base64'.length), 'base64')}';` : null),
};

/**
 * What Node loads: all entries in one bundle, so that they share one engine. Node takes about a millisecond for each file of the two hundred that tsc
 * writes; bundlers for the web want these, and leave out what a program does not use.
 */
async function bundleForNode() {
  const { exports, bin } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const entries = Object.values(exports).flatMap((entry) => (entry.node ? [[entry.node, entry.default]] : []));
  entries.push([bin.tensegrity, 'dist/cli/main.js'], ['dist/node/moduleWorker.js', 'dist/audit/moduleWorker.js']);
  const bundle = await rolldown({
    input: Object.fromEntries(entries.map(([to, from]) => [basename(to, '.js'), join(root, from)])),
    platform: 'node',
    // Optional peers stay where they are.
    external: (id) => /^[\w@]/.test(id) && !isAbsolute(id),
    resolve: { conditionNames: ['tensegrity-node', 'default'] },
    plugins: [base64],
    checks: { ineffectiveDynamicImport: false },
  });
  rmSync(join(root, 'dist/node'), { recursive: true, force: true });
  await bundle.write({ dir: join(root, 'dist/node'), format: 'es' });
}

if (options.has('--clean')) rmSync(join(root, 'dist'), { recursive: true, force: true });
await buildModule();
if (!options.has('--wasm')) {
  run('node_modules/typescript/bin/tsc', '--project', 'tsconfig.build.json');
  for (const name of readdirSync(join(root, 'dist'), { recursive: true })) if (name.endsWith('.js')) unwrap(join(root, 'dist', name));
  const { workerProgram } = await import(pathToFileURL(join(root, 'dist/engine/backends/wasm/worker.js')).href);
  writeFileSync(join(root, 'dist/wasm/worker.js'), workerProgram.trimStart());
  cpSync(join(root, 'export/jax/files'), join(root, 'dist/export/jax/files'), { recursive: true });
  await bundleForNode();
}
