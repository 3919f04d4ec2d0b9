/** What gpu/run.sh runs: this project on a real GPU beside its peers and PyTorch, in sections that do not hold each other up. See README.md. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { contestants, experimental } from '../contestants.ts';
import { type CountedCase, count, countTable } from '../count.ts';
import { Crew } from '../crew.ts';
import { driverEnvironment } from '../driver.ts';
import { measure } from '../measure.ts';
import { cell, type Row, rowOf, tableOf } from '../report.ts';
import { countedCases, gpuCases } from '../suites.ts';
import type { Smoke } from './smoke.ts';

const sections = ['adapter', 'smoke', 'matmul', 'step', 'conv', 'count'] as const;
type Section = (typeof sections)[number];

const usage = `main.ts [options]

  --out folder          writes results.json there, after each section
  --only a,b            of the sections ${sections.join(', ')}
  --contestants a,b     who takes part
  --small               sizes for a GPU that a CPU imitates
  --rounds n            how often each contestant has its turn (5)
  --tune file [...]     runs a module of one's own instead (see tune.ts), with what follows as its parameters`;

/** Seconds that a section may take; what it has not begun by then is left out, and said. */
const limits: Readonly<Record<Section, number>> = { adapter: 20, smoke: 40, matmul: 60, step: 60, conv: 75, count: 30 };

/** Of f32 outside tensor cores, by the makers' data sheets. */
const datasheets: readonly (readonly [name: RegExp, teraflops: number])[] = [
  [/H100.*(HBM3|SXM)|H200/, 67],
  [/H100.*PCIe/, 51],
  [/A100/, 19.5],
  [/L40S/, 91.6],
  [/L4\b/, 30.3],
  [/RTX 4090/, 82.6],
];

const tuneAt = process.argv.indexOf('--tune');
const given = tuneAt < 0 ? process.argv.slice(2) : process.argv.slice(2, tuneAt);
const tune = tuneAt < 0 ? [] : process.argv.slice(tuneAt + 1);
const { values: options } = parseArgs({
  args: given,
  options: {
    out: { type: 'string' },
    only: { type: 'string' },
    contestants: { type: 'string', default: 'tensegrity-webgpu,tensegrity-f16,tensegrity-matrix,jax-js-webgpu,tfjs-webgpu,pytorch-cuda' },
    small: { type: 'boolean', default: false },
    rounds: { type: 'string', default: '5' },
    help: { type: 'boolean', default: false },
  },
});

const here = (file: string): string => fileURLToPath(new URL(file, import.meta.url));
const started = performance.now();
const seconds = (): number => (performance.now() - started) / 1000;

/** Runs a program of this folder on the GPU. What it prints goes on, unless it is wanted here. */
function program(file: string, parameters: readonly string[], limit: number, output: 'inherit' | 'pipe'): string {
  const { stdout, stderr, status, error } = spawnSync(process.execPath, [...process.execArgv, here(file), ...parameters], {
    env: { ...experimental, ...process.env, ...driverEnvironment() },
    stdio: ['ignore', output, output],
    timeout: limit * 1000,
    killSignal: 'SIGKILL',
    encoding: 'utf8',
  });
  if (error || status !== 0) throw new Error(`${file}: ${error?.message ?? `status ${status}`}\n${stderr ?? ''}`);
  return stdout ?? '';
}

const results: Record<string, unknown> = {};

function keep(section: string, result: unknown): void {
  results[section] = result;
  if (options.out === undefined) return;
  mkdirSync(options.out, { recursive: true });
  writeFileSync(join(options.out, 'results.json'), JSON.stringify(results, null, 1));
}

interface Adapter {
  readonly device: string;
  readonly description: string;
  readonly features: readonly string[];
  readonly limits: Readonly<Record<string, number>>;
}

function reportAdapter(limit: number): void {
  const smi = spawnSync('nvidia-smi', ['--query-gpu=name,driver_version,clocks.sm,clocks.max.sm,power.draw', '--format=csv,noheader'], { encoding: 'utf8' });
  if (smi.status === 0) console.log(smi.stdout.trim());
  try {
    const adapter = JSON.parse(program('adapter.ts', [], limit, 'pipe')) as Adapter;
    const known = datasheets.find(([name]) => name.test(`${adapter.device} ${adapter.description} ${smi.stdout ?? ''}`));
    console.log(JSON.stringify(adapter, null, 1).replaceAll(/\n\s+(?=")/g, ' '));
    if (known) console.log(`data sheet: ${known[1]} TFLOP/s in f32`);
    keep('adapter', { ...adapter, smi: smi.stdout, teraflops: known?.[1] });
  } catch (error) {
    // The loader knows why there is no driver.
    console.log(String(error));
    const said = spawnSync(process.execPath, [...process.execArgv, here('adapter.ts')], {
      env: { ...process.env, ...driverEnvironment(), VK_LOADER_DEBUG: 'error,warn,driver' },
      encoding: 'utf8',
      timeout: limit * 1000,
    });
    throw new Error(`no GPU:\n${(said.stderr ?? '').slice(-3000)}`);
  }
}

function reportSmoke(limit: number): void {
  const smoke = JSON.parse(program('smoke.ts', [String(limit / 2)], limit, 'pipe')) as Smoke;
  console.log(`${smoke.passed.length} ops as on the CPU, ${smoke.failed.length} not, ${smoke.left.length} left out for want of time`);
  for (const { name, why } of smoke.failed) console.log(`  ${name}: ${why}`);
  keep('smoke', smoke);
}

const named = options.contestants.split(',');
const chosen = contestants.filter(({ name, device }) => device === 'gpu' && named.includes(name));

/** On a GPU that a CPU imitates, compiling and calling both take long. */
const settings = {
  rounds: Number(options.rounds),
  sampleMilliseconds: 100,
  limitSeconds: options.small ? 60 : 10,
  compileSeconds: options.small ? 240 : 20,
  budgetSeconds: 4,
};

async function reportSuite(suite: Section, limit: number, crew: Crew): Promise<void> {
  const end = seconds() + limit;
  const rows: Row[] = [];
  const left: string[] = [];
  for (const entry of gpuCases(options.small).filter((candidate) => candidate.suite === suite)) {
    if (seconds() > end) {
      left.push(entry.name);
      continue;
    }
    const row = rowOf(await measure(entry, chosen, settings, crew), chosen);
    rows.push(row);
    console.log(`  ${entry.name} (${seconds().toFixed(0)} s): ${row.entries.map((each) => `${each.name} ${cell(each, row)}`).join('; ')}`);
    keep(suite, rows);
  }
  console.log(tableOf(rows, chosen));
  if (left.length > 0) console.log(`  left out for want of time: ${left.join('; ')}`);
}

async function reportCounts(limit: number): Promise<void> {
  const end = seconds() + limit;
  const counted: CountedCase[] = [];
  for (const entry of countedCases) {
    if (seconds() > end) break;
    counted.push(await count(entry, chosen, { dispatch: !options.small, limitSeconds: options.small ? 240 : 20 }));
    console.log(`${entry.name}\n${countTable(counted.at(-1)!)}`);
    keep('count', counted);
  }
  const left = countedCases.slice(counted.length).map(({ name }) => name);
  if (left.length > 0) console.log(`  left out for want of time: ${left.join('; ')}`);
}

async function main(): Promise<void> {
  const only = options.only?.split(',') ?? sections;
  const crew = new Crew({ keep: true });
  const work: Readonly<Record<Section, (limit: number) => unknown>> = {
    adapter: reportAdapter,
    smoke: reportSmoke,
    matmul: (limit) => reportSuite('matmul', limit, crew),
    step: (limit) => reportSuite('step', limit, crew),
    conv: (limit) => reportSuite('conv', limit, crew),
    count: (limit) => {
      // Their memory goes with them.
      crew.dismiss();
      return reportCounts(limit);
    },
  };
  for (const section of sections.filter((name) => only.includes(name))) {
    console.log(`\n== ${section} (${seconds().toFixed(0)} s)`);
    try {
      await work[section](limits[section]);
    } catch (error) {
      console.log(`FAILED: ${error instanceof Error ? error.message : error}`);
      process.exitCode = 1;
    }
  }
  crew.dismiss();
  console.log(`\n${seconds().toFixed(0)} s`);
}

if (options.help) console.log(usage);
else if (tune.length > 0) program('tune.ts', tune, 600, 'inherit');
else await main();
