/**
 * `npm run bench:jax`: images a second of the reference step (VICReg, small-conv, batch 256) on one CPU, ours and as `export --to jax` writes it, in turns; its network
 * alone, ours and PyTorch's; and what eight devices exchange in a step. `TENSEGRITY_JAX` names a Python that has JAX. See README.md.
 */
import { execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { Child } from './child.ts';
import { collectivesOf } from './collectives.ts';
import { contestants } from './contestants.ts';
import { median } from './statistics.ts';
import { networks, type Work } from './work.ts';

const { values: options } = parseArgs({ options: { rounds: { type: 'string', default: '5' }, milliseconds: { type: 'string', default: '1000' } } });
const python = process.env['TENSEGRITY_JAX'];
if (python === undefined) {
  console.error('bench:jax: TENSEGRITY_JAX names no Python that has JAX; make one: python3 -m venv venv && venv/bin/pip install -r export/jax/files/requirements.txt');
  process.exit(2);
}
const pathOf = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const DEVICES = 8;
const LONGEST = 120_000;
const all = availableParallelism();
const work: Work = { kind: 'step', network: 'reference' };
const { batch } = networks.reference;
const place = mkdtempSync(join(tmpdir(), 'tensegrity-bench-jax-'));
const exported = join(place, 'exported');
const ofJax = (what: string): readonly [string, ...string[]] => [python, pathOf('contestants/exported.py'), exported, what];
const environment = { JAX_PLATFORMS: 'cpu', PYTHONDONTWRITEBYTECODE: '1' };

/** A run of the reference recipe, killed in its first steps, as a program for JAX: what is exported is the beginning. */
async function exportRun(): Promise<void> {
  const [main, begun] = [pathOf('../dist/cli/main.js'), join(place, 'begun')];
  const run = spawn(process.execPath, [main, 'train', '--recipe', 'reference', '--epochs', '100', '--no-eval', '--quiet', '--out', begun], { stdio: ['ignore', 'ignore', 'inherit'] });
  const ended = once(run, 'exit');
  while (!existsSync(join(begun, 'config.json')) && run.exitCode === null) await setTimeout(50);
  run.kill('SIGKILL');
  await ended;
  execFileSync(process.execPath, [main, 'export', begun, '--to', 'jax', '--out', exported], { stdio: ['ignore', 'ignore', 'inherit'] });
}

interface Row {
  readonly name: string;
  readonly threads: number;
  readonly child: Child;
  /** Of each turn: milliseconds a step by the clock, and of processors. */
  readonly times: number[];
  readonly processors: number[];
}

function row(name: string, threads: number, command: readonly string[], own: Readonly<Record<string, string>> = {}): Row {
  return { name, threads, child: new Child(command, own), times: [], processors: [] };
}

/** JAX on so many threads: XLA asks these how large its pools are. */
const poolOf = (threads: number): Readonly<Record<string, string>> => ({
  ...environment,
  ...(threads === 1 && { NPROC: '1', PJRT_NPROC: '1', OMP_NUM_THREADS: '1', XLA_FLAGS: '--xla_cpu_multi_thread_eigen=false' }),
});

function rows(threads: number): Row[] {
  const ours = [process.execPath, pathOf('contestants/tensegrity.ts'), 'wasm', JSON.stringify({ threads })];
  const torch = contestants.find(({ name }) => name === 'pytorch')!.command;
  const counts = { OPENBLAS_NUM_THREADS: String(threads), OMP_NUM_THREADS: String(threads) };
  return [
    row('step: ours', threads, [process.execPath, pathOf('contestants/trainer.ts'), String(threads)]),
    row('step: JAX', threads, ofJax('serve'), poolOf(threads)),
    row('network: ours', threads, ours),
    ...('missing' in torch ? [] : [row('network: PyTorch', threads, [...torch.slice(0, -1), String(threads)], counts)]),
  ];
}

/** The text of a step that XLA has compiled for so many devices. */
async function programFor(devices: number): Promise<string> {
  const [program, ...words] = ofJax('program');
  const env = { ...process.env, ...environment, XLA_FLAGS: `--xla_force_host_platform_device_count=${devices}` };
  return (await promisify(execFile)(program, words, { env, maxBuffer: 2 ** 28 })).stdout;
}

const given = [...new Set([1, all])];
const children: Child[] = [];
try {
  console.log(`${all} × ${cpus()[0]?.model ?? 'unknown'}, Node ${process.versions.node}; load ${loadavg()[0]!.toFixed(1)} at the start`);
  await exportRun();
  const taking = given.flatMap(rows);
  children.push(...taking.map(({ child }) => child));
  const losses = new Map<string, number>();
  // All at once, as nothing is timed: a machine that others use gives more to several.
  const [text, ...prepared] = await Promise.all([programFor(DEVICES), ...taking.map(({ child }) => child.ask({ prepare: { work, demand: null } }, LONGEST))]);
  for (const [i, outcome] of prepared.entries()) {
    const { name, threads } = taking[i]!;
    if ('prepared' in outcome) losses.set(`${name}, ${threads}`, outcome.prepared.check);
    else console.log(`${name}, ${threads}: ${JSON.stringify(outcome)}`);
  }
  console.log(`loss of the first step: ${[...losses].map(([name, loss]) => `${name}: ${loss.toPrecision(6)}`).join('; ')}`);
  console.log(`\nOn ${DEVICES} devices, a step, each device:\n\n| | collectives | KiB of results |\n|---|---|---|`);
  for (const [kind, { count, bytes }] of collectivesOf(text)) console.log(`| ${kind} | ${count} | ${(bytes / 1024).toFixed(1)} |`);
  for (let round = 0; round < Number(options.rounds); round++)
    for (const { child, times, processors } of taking) {
      if (!child.alive) continue;
      const before = child.cpuSeconds();
      const outcome = await child.ask({ sample: { milliseconds: Number(options.milliseconds) } }, LONGEST);
      if (!('times' in outcome)) continue;
      times.push(median(outcome.times));
      processors.push(((child.cpuSeconds() - before) * 1000) / outcome.times.length);
    }
  console.log('\n| | threads | images/s | images per second of processors |\n|---|---|---|---|');
  const rate = (milliseconds: readonly number[]): string => ((batch * 1000) / median(milliseconds)).toFixed(0);
  for (const { name, threads, times, processors } of taking) if (times.length > 0) console.log(`| ${name} | ${threads} | ${rate(times)} | ${rate(processors)} |`);
  console.log(`\nload ${loadavg()[0]!.toFixed(1)} at the end`);
} finally {
  for (const child of children) child.stop();
  rmSync(place, { recursive: true, force: true });
}
