#!/usr/bin/env node
/**
 * Builds everything that a clone lacks: the two WebAssembly modules, their inlined copy, dist/ by tsc, and dist/node/, the same in few files.
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
/** The longer first: so what is alike in the two is never further apart than a turn is long. */
const modules = ['relaxed', 'simd'];

function run(script, ...parameters) {
  const { status, error } = spawnSync(process.execPath, [script, ...parameters], { cwd: root, stdio: 'inherit' });
  if (error) throw error;
  if (status !== 0) process.exit(status ?? 1);
}

const modified = (path) => (existsSync(path) ? statSync(path).mtimeMs : 0);

function newestSource() {
  const sources = readdirSync(join(root, 'wasm'), { recursive: true }).map((name) => join(root, 'wasm', name));
  return Math.max(...[...sources, join(root, 'asconfig.json')].map(modified));
}

const binaryOf = (name) => join(root, 'dist/wasm', `${name}.wasm`);

function buildModule(name, newest) {
  if (modified(binaryOf(name)) <= newest) run('node_modules/assemblyscript/bin/asc.js', '--config', 'asconfig.json', '--target', name);
}

/** Bytes in a turn, a little less than the 32 KiB that deflate looks back: the fewer turns, the more is near. */
const BLOCK = 30720;

/** Both binaries in one text, in turns and compressed: see engine/backends/wasm/module-inline.ts. */
async function inlineModules() {
  const inlined = join(generated, 'modules.ts');
  if (modified(inlined) >= Math.max(...modules.map((name) => modified(binaryOf(name))))) return;
  const binaries = modules.map((name) => readFileSync(binaryOf(name)));
  const turns = Math.ceil(Math.max(...binaries.map(({ length }) => length)) / BLOCK);
  const parts = Array.from({ length: turns }, (_, i) => binaries.map((binary) => binary.subarray(i * BLOCK, (i + 1) * BLOCK))).flat();
  // Deflate's format, by an encoder that looks longer than zlib does: 5% shorter.
  const base64 = Buffer.from(await zopfli.zlibAsync(Buffer.concat(parts), { numiterations: 15 })).toString('base64');
  mkdirSync(generated, { recursive: true });
  writeFileSync(
    inlined,
    `export const lengths: readonly number[] = [${binaries.map(({ length }) => length).join(', ')}];\nexport const block = ${BLOCK};\nexport const base64: string = '${base64}';\n`,
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
    resolve: { conditionNames: ['default'] },
    checks: { ineffectiveDynamicImport: false },
  });
  rmSync(join(root, 'dist/node'), { recursive: true, force: true });
  await bundle.write({ dir: join(root, 'dist/node'), format: 'es' });
}

if (options.has('--clean')) rmSync(join(root, 'dist'), { recursive: true, force: true });
const newest = newestSource();
for (const name of modules) buildModule(name, newest);
await inlineModules();
if (!options.has('--wasm')) {
  run('node_modules/typescript/bin/tsc', '--project', 'tsconfig.build.json');
  for (const name of readdirSync(join(root, 'dist'), { recursive: true })) if (name.endsWith('.js')) unwrap(join(root, 'dist', name));
  const { workerProgram } = await import(pathToFileURL(join(root, 'dist/engine/backends/wasm/worker.js')).href);
  writeFileSync(join(root, 'dist/wasm/worker.js'), workerProgram.trimStart());
  cpSync(join(root, 'export/jax/files'), join(root, 'dist/export/jax/files'), { recursive: true });
  await bundleForNode();
}
