/** `npm run bench -- cold`: fresh processes in turns, from import to the first result of the small encoder for one image. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { median } from '../statistics.ts';

const repository = fileURLToPath(new URL('../..', import.meta.url));
const peers = join(repository, 'bench');
const program = fileURLToPath(new URL('./program.mjs', import.meta.url));
const workerd = fileURLToPath(new URL('./workerd.mjs', import.meta.url));

interface Measured {
  readonly milliseconds: number;
  readonly cpu: number;
}

interface Start {
  readonly name: string;
  readonly kind: string;
  readonly folder: string;
}

export interface ColdOptions {
  readonly rounds: number;
  readonly json: boolean;
  /** Another checkout, built, to take turns with this one: what was before. */
  readonly against?: string | undefined;
}

async function savedPlan(folder: string): Promise<string> {
  // Only here: without peers and a build, nothing else of bench/ should fail.
  const { compile, useBackend, zeros } = await import('../../dist/engine/index.js');
  const { SmallConvNet } = await import('../../dist/models/index.js');
  await useBackend('wasm', { threads: 1 });
  const encoder = new SmallConvNet({ key: 1 });
  const path = join(folder, 'small.plan');
  writeFileSync(path, await compile((x) => encoder.forward(x)).save([[zeros([1, 1, 28, 28])]]));
  return path;
}

/** What a program prints as JSON, or why it does not. */
function numbersOf<Numbers>(node: string, ...words: readonly string[]): Numbers | string {
  const { status, stdout, stderr } = spawnSync(node, words, { encoding: 'utf8', timeout: 60_000 });
  if (status === 0) return JSON.parse(stdout.trim().split('\n').at(-1)!) as Numbers;
  return stderr.split('\n').find((line) => /error/i.test(line)) ?? 'it ended without a word';
}

/** This Node, and the system's where it is another. */
function nodes(): [string, string][] {
  const found = [process.execPath, '/usr/bin/node'].flatMap((path): [string, string][] => {
    const { status, stdout } = spawnSync(path, ['--version'], { encoding: 'utf8' });
    return status === 0 ? [[stdout.trim(), path]] : [];
  });
  return [...new Map(found)];
}

interface Requests {
  readonly started: number;
  readonly first: number;
  readonly second: number;
}

/** CPU of the first request of a worker with the plan, beside one that does nothing. Only Linux counts it. */
function inWorkerd(plan: string, rounds: number, json: boolean): object[] {
  const workers = [['a worker that does nothing', '-'], ['a saved plan', repository]] as const;
  const results = workers.map(() => [] as Requests[]);
  for (let round = 0; round < rounds; round++) {
    for (const [k, [, folder]] of workers.entries()) {
      const result = numbersOf<Requests>(process.execPath, workerd, folder, plan);
      if (typeof result === 'string') {
        if (!json) console.log(`\nworkerd: not measured (${result.trim()})`);
        return [];
      }
      results[k]!.push(result);
    }
  }
  if (!json) console.log(`\nworkerd, in ms of CPU of all threads; medians of ${rounds} turns`);
  return workers.map(([name], k) => {
    const of = (field: keyof Requests): number => median(results[k]!.map((each) => each[field]));
    const row = { name: `workerd, ${name}`, started: of('started'), first: of('first'), second: of('second') };
    if (!json)
      console.log(`  ${name.padEnd(38)}${row.started.toFixed(1).padStart(7)} until it listens${row.first.toFixed(1).padStart(7)} first request${row.second.toFixed(1).padStart(7)} second`);
    return row;
  });
}

export async function cold({ rounds, json, against }: ColdOptions): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'tensegrity-cold-'));
  const plan = await savedPlan(folder);
  const ours = (label: string, place: string, kinds: readonly string[]): Start[] =>
    kinds.map((kind) => ({ name: `${{ plan: 'a saved plan', compiled: 'compiled', threads: 'compiled, backend by default' }[kind]}${label}`, kind, folder: place }));
  const starts: Start[] = [
    { name: 'nothing', kind: 'nothing', folder: repository },
    ...ours('', repository, ['plan', 'compiled', 'threads']),
    ...(against === undefined ? [] : ours(', before', against, existsSync(join(against, 'dist/engine/plan')) ? ['plan', 'compiled', 'threads'] : ['compiled', 'threads'])),
    { name: 'onnxruntime-web, wasm', kind: 'onnx', folder: peers },
    { name: 'jax-js, wasm', kind: 'jaxjs', folder: peers },
    { name: 'TensorFlow.js, wasm', kind: 'tfjs', folder: peers },
  ];
  const rows: object[] = [];
  for (const [version, node] of nodes()) {
    const results = starts.map(() => [] as Measured[]);
    const faults = new Map<string, string>();
    for (let round = 0; round < rounds; round++) {
      for (const [k, each] of starts.entries()) {
        if (faults.has(each.name)) continue;
        const result = numbersOf<Measured>(node, program, each.kind, each.folder, plan);
        if (typeof result === 'string') faults.set(each.name, result);
        else results[k]!.push(result);
      }
    }
    if (!json) console.log(`\ncold start, Node ${version}: from import to the first result of the small encoder, one image; medians of ${rounds} turns`);
    for (const [k, { name }] of starts.entries()) {
      const fault = faults.get(name);
      const of = (field: keyof Measured): number => median(results[k]!.map((each) => each[field]));
      rows.push(fault === undefined ? { node: version, name, milliseconds: of('milliseconds'), cpu: of('cpu') } : { node: version, name, cannot: fault });
      if (json) continue;
      if (fault === undefined) console.log(`  ${name.padEnd(38)}${of('milliseconds').toFixed(0).padStart(6)} ms ${of('cpu').toFixed(0).padStart(6)} ms of CPU, Node's own among them`);
      else console.log(`  ${name.padEnd(38)} cannot: ${fault.trim()}`);
    }
  }
  rows.push(...inWorkerd(plan, rounds, json));
  rmSync(folder, { recursive: true });
  const machine = { processor: cpus()[0]?.model ?? 'unknown', cores: cpus().length, load: loadavg()[0]! };
  if (json) console.log(JSON.stringify({ machine, rounds, rows }, null, 2));
  else if (machine.load > 0.5) console.log(`\nThe machine is busy (load ${machine.load.toFixed(1)}): ratios hold better than times.`);
}
