/**
 * `node bench/gpu/pack.ts`: gathers in bench/dist/gpu all that gpu/run.sh needs on a machine that has a GPU's driver and nothing else: Node, Dawn,
 * a Vulkan loader, the peers (runtime.tar.xz, made anew only where it is missing or with --all), and this project (project.tar.xz).
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { contestants } from '../contestants.ts';
import { Crew } from '../crew.ts';
import { swiftShader } from '../driver.ts';
import { installPeers } from '../peers.ts';

/** Of the tests: the table of op cases, and what it is written with. */
const tested = ['engine/cases', 'engine/draws.ts', 'engine/naive.ts', 'support/unpack.ts'].map((name) => `test/${name}`);

const repository = fileURLToPath(new URL('../..', import.meta.url));
const bench = join(repository, 'bench');
const target = join(bench, 'dist/gpu');

const { values: options } = parseArgs({ options: { all: { type: 'boolean', default: false }, build: { type: 'boolean', default: true } }, allowNegative: true });

function run(program: string, ...parameters: readonly string[]): void {
  execFileSync(program, parameters, { cwd: repository, stdio: ['ignore', 'inherit', 'inherit'] });
}

/** Writes an archive of a folder that `fill` fills. */
function archive(name: string, level: string, fill: (folder: string) => void): void {
  const folder = mkdtempSync(join(tmpdir(), 'tensegrity-pack-'));
  try {
    fill(folder);
    execFileSync('tar', ['-C', folder, '-cJf', join(target, name), '.'], { env: { ...process.env, XZ_OPT: level } });
  } finally {
    rmSync(folder, { recursive: true });
  }
  console.log(`${name}: ${(statSync(join(target, name)).size / 2 ** 20).toFixed(1)} MiB`);
}

/** Without what only a debugger reads, where there is a tool for that. */
function copyStripped(from: string, to: string): void {
  mkdirSync(dirname(to), { recursive: true });
  if (spawnSync('strip', ['-o', to, from]).status !== 0) cpSync(from, to, { dereference: true });
}

/** The files of node_modules that the contestants load, as they say themselves. */
async function loadedFiles(): Promise<string[]> {
  const log = join(mkdtempSync(join(tmpdir(), 'tensegrity-loaded-')), 'log');
  const hook = `
    import { appendFileSync } from 'node:fs';
    import { registerHooks } from 'node:module';
    registerHooks({ load(url, context, next) { appendFileSync(${JSON.stringify(log)}, url + '\\n'); return next(url, context); } });`;
  const crew = new Crew({ keep: false });
  for (const contestant of contestants.filter(({ counts }) => counts)) {
    const [node, ...program] = contestant.command as readonly string[];
    const child = crew.hire(contestant, [node!, '--import', `data:text/javascript,${encodeURIComponent(hook)}`, ...program]);
    const work = { kind: 'matmul', m: 4, k: 4, n: 4, transposeA: false, transposeB: false } as const;
    const outcome = await child.ask({ prepare: { work, demand: null } }, 60_000);
    if (!('prepared' in outcome)) throw new Error(`${contestant.name}: ${JSON.stringify(outcome)}`);
  }
  crew.dismiss();
  const files = readFileSync(log, 'utf8').split('\n');
  rmSync(dirname(log), { recursive: true });
  const modules = join(bench, 'node_modules/');
  return [...new Set(files.filter((url) => url.startsWith('file:')).map((url) => fileURLToPath(url)))].filter((file) => file.startsWith(modules));
}

/** The files that say what a package is: for Node how to load it, for its users on what terms. */
function papersOf(file: string): string[] {
  const papers: string[] = [];
  for (let folder = dirname(file); folder !== bench; folder = dirname(folder)) {
    papers.push(...['package.json', 'LICENSE', 'LICENSE.md'].map((name) => join(folder, name)).filter((path) => existsSync(path)));
  }
  return papers;
}

async function packRuntime(): Promise<void> {
  const files = await loadedFiles();
  const dawn = join(bench, 'node_modules/webgpu/dist/linux-x64/dawn.node');
  archive('runtime.tar.xz', '-7e -T0', (folder) => {
    copyStripped(process.execPath, join(folder, 'runtime/node'));
    copyStripped(dawn, join(folder, relative(repository, dawn)));
    cpSync(join(swiftShader(), 'libvulkan.so.1'), join(folder, 'runtime/lib/libvulkan.so.1'));
    for (const name of ['fast-check', 'pure-rand']) {
      const part = join('node_modules', name);
      cpSync(join(repository, part), join(folder, part), { recursive: true, filter: (source) => !/\.d\.[cm]?ts$|\.md$|\/cjs$/.test(source) });
    }
    for (const file of new Set(files.flatMap((loaded) => [loaded, ...papersOf(loaded)]))) {
      if (!file.endsWith('.node')) cpSync(file, join(folder, relative(repository, file)));
    }
  });
}

installPeers();
mkdirSync(target, { recursive: true });
if (options.build) run(process.execPath, 'scripts/build.mjs');
if (options.all || !existsSync(join(target, 'runtime.tar.xz'))) await packRuntime();
archive('project.tar.xz', '-6', (folder) => {
  for (const part of ['package.json', 'dist', 'engine', 'bench', ...tested]) {
    cpSync(join(repository, part), join(folder, part), {
      recursive: true,
      filter: (source) => !/\/node_modules$|\/bench\/dist$|\.d\.ts$/.test(source),
    });
  }
});
cpSync(join(bench, 'gpu/run.sh'), join(target, 'run.sh'));
