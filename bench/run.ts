/**
 * `npm run bench`: this project beside its peers, in one run. See README.md.
 */
import { spawnSync } from 'node:child_process';
import { cpus, loadavg } from 'node:os';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { cold } from './cold/cold.ts';
import { contestants } from './contestants.ts';
import { Crew } from './crew.ts';
import { type CountedCase, count, countTable } from './count.ts';
import { buildKernels } from './kernels.ts';
import { measure, type Options } from './measure.ts';
import { installPeers } from './peers.ts';
import { type Row, rowOf, tableOf } from './report.ts';
import { type Case, cases, countedCases } from './suites.ts';

const usage = `npm run bench -- [options] [filter ...]

Measures every case whose "suite/name" contains one of the filters (all, without one).
Suites: ${[...new Set(cases.map(({ suite }) => suite))].join(', ')}.
And \`cold\`, by itself: what it takes to start, in fresh processes.

  --quick               a few cases of each suite, three rounds, at most 5 s a call
  --count               what each contestant asks of WebGPU in a whole training step, instead of times; filters among
                        ${countedCases.map(({ name }) => name).join(', ')}
  --dispatch            carries out what is counted too, which takes long without a GPU and changes no count
  --json                one JSON text instead of tables
  --list                names the cases and contestants, and measures nothing
  --contestants a,b     who takes part; otherwise ${contestants
    .filter(({ byDefault }) => byDefault)
    .map(({ name }) => name)
    .join(', ')}
  --rounds n            how often each has its turn (9)
  --limit seconds       how long one call may take (60 for a step, 10 for anything else)
  --against FOLDER      with \`cold\`: another checkout, built, that takes turns with this one
  --no-build            measures dist/ as it is
  --help`;

const { values: options, positionals: filters } = parseArgs({
  allowPositionals: true,
  allowNegative: true,
  options: {
    quick: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    count: { type: 'boolean', default: false },
    dispatch: { type: 'boolean', default: false },
    list: { type: 'boolean', default: false },
    contestants: { type: 'string' },
    rounds: { type: 'string' },
    limit: { type: 'string' },
    against: { type: 'string' },
    build: { type: 'boolean', default: true },
    help: { type: 'boolean', default: false },
  },
});

function fail(message: string): never {
  console.error(message);
  process.exit(1);
}

function positive(text: string | undefined, name: string, otherwise: number): number {
  if (text === undefined) return otherwise;
  const value = Number(text);
  return value > 0 ? value : fail(`--${name}: takes a number above 0, got '${text}'`);
}

const repository = fileURLToPath(new URL('..', import.meta.url));

function run(cwd: string, program: string, ...parameters: readonly string[]): void {
  // What they say goes to standard error, so that --json alone is on standard output.
  const { status, error } = spawnSync(program, parameters, { cwd, stdio: ['ignore', process.stderr, process.stderr] });
  if (error) throw error;
  if (status !== 0) process.exit(status ?? 1);
}

const named = options.contestants?.split(',');
for (const name of named ?? []) {
  if (!contestants.some((contestant) => contestant.name === name))
    fail(`--contestants: there is no '${name}'; there are ${contestants.map((contestant) => contestant.name).join(', ')}`);
}
const chosen = contestants.filter(({ name, byDefault }) => named?.includes(name) ?? byDefault);
const matching = (options.count ? countedCases : cases)
  .filter(({ suite, name }) => filters.length === 0 || filters.some((filter) => `${suite}/${name}`.includes(filter)))
  .filter(({ device }) => chosen.some((contestant) => contestant.device === device));
const selected = matching.filter(({ quick }) => options.count || !options.quick || quick);
const settings: Omit<Options, 'limitSeconds'> = {
  rounds: positive(options.rounds, 'rounds', options.quick ? 3 : 9),
  sampleMilliseconds: options.quick ? 50 : 100,
  compileSeconds: 240,
  budgetSeconds: options.quick ? 5 : 20,
};

/** How long one call may take: a convolution is given up sooner than the step that would be made of them. */
function limitOf({ work: { kind } }: Case): number {
  if (options.quick) return 5;
  return kind === 'step' ? 60 : 10;
}
const limitSeconds = (entry: Case): number => positive(options.limit, 'limit', limitOf(entry));

if (options.help) {
  console.log(usage);
} else if (filters.includes('cold')) {
  installPeers();
  if (options.build) run(repository, process.execPath, 'scripts/build.mjs');
  await cold({ rounds: positive(options.rounds, 'rounds', options.quick ? 3 : 9), json: options.json, against: options.against && resolve(options.against) });
} else if (options.list) {
  for (const { suite, name, quick } of selected) console.log(`${suite}/${name}${quick ? '' : '  (not with --quick)'}`);
  console.log(`contestants: ${contestants.map(({ name, byDefault }) => `${name}${byDefault ? '' : ' (when named)'}`).join(', ')}`);
} else {
  if (selected.length === 0) fail(`no case matches ${filters.join(', ')}; see --list`);
  if (chosen.some(({ role, device }) => role === 'peer' || device === 'gpu')) installPeers();
  if (options.build) run(repository, process.execPath, 'scripts/build.mjs');
  await (options.count ? reportCounts() : buildKernels().then(report));
}

async function reportCounts(): Promise<void> {
  const counted: CountedCase[] = [];
  for (const entry of selected) {
    counted.push(await count(entry, chosen, { dispatch: options.dispatch, limitSeconds: positive(options.limit, 'limit', 300) }));
    if (!options.json) console.log(`\n${entry.name}\n${countTable(counted.at(-1)!)}`);
  }
  if (options.json) console.log(JSON.stringify(counted, null, 2));
}

async function report(): Promise<void> {
  const machine = { processor: cpus()[0]?.model ?? 'unknown', cores: cpus().length, node: process.versions.node, load: loadavg()[0]! };
  if (!options.json) {
    console.log(
      `${machine.processor}, ${machine.cores} cores, Node ${machine.node}, load ${machine.load.toFixed(2)}; medians of ${settings.rounds} rounds`,
    );
    if (machine.load > 0.5) console.log('The machine is busy: ratios hold better than times, and neither is to be quoted.');
  }
  const rows: Row[] = [];
  const crew = new Crew({ keep: false });
  for (const suite of new Set(selected.map((entry) => entry.suite))) {
    const ofSuite = selected.filter((entry) => entry.suite === suite);
    for (const [i, entry] of ofSuite.entries()) {
      if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${suite} ${i + 1}/${ofSuite.length}: ${entry.name}`);
      rows.push(rowOf(await measure(entry, chosen, { ...settings, limitSeconds: limitSeconds(entry) }, crew), chosen));
    }
    if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
    if (!options.json)
      console.log(
        `\n${suite}\n${tableOf(
          rows.filter((row) => row.case.suite === suite),
          chosen,
        )}`,
      );
  }
  if (options.json) console.log(JSON.stringify({ machine, settings, rows }, null, 2));
  // A peer may be unable; this project may not.
  const ours = chosen.filter(({ role }) => role === 'ours' || role === 'threaded').map(({ name }) => name);
  const fault = rows.some(({ entries }) => entries.some((entry) => ours.includes(entry.name) && 'cannot' in entry));
  if (fault || rows.some(({ differing }) => differing.some((name) => name === 'hand'))) process.exitCode = 1;
}
