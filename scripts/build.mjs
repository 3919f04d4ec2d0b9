#!/usr/bin/env node
/**
 * Builds everything that a clone lacks: the two WebAssembly modules, their inlined base64 copies, and dist/ by tsc.
 * `--wasm` stops after the modules; `--clean` empties dist/ first, so that no output outlives its source.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const generated = join(root, 'engine/backends/wasm/generated');
const options = new Set(process.argv.slice(2));
const modules = ['simd', 'relaxed'];

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

function buildModule(name, newest) {
  const binary = join(root, 'dist/wasm', `${name}.wasm`);
  const inlined = join(generated, `${name}.ts`);
  if (modified(binary) <= newest) run('node_modules/assemblyscript/bin/asc.js', '--config', 'asconfig.json', '--target', name);
  if (modified(inlined) >= modified(binary)) return;
  mkdirSync(generated, { recursive: true });
  writeFileSync(inlined, `const base64: string = '${readFileSync(binary).toString('base64')}';\nexport default base64;\n`);
}

if (options.has('--clean')) rmSync(join(root, 'dist'), { recursive: true, force: true });
const newest = newestSource();
for (const name of modules) buildModule(name, newest);
if (!options.has('--wasm')) run('node_modules/typescript/bin/tsc', '--project', 'tsconfig.build.json');
