#!/usr/bin/env node
/**
 * `npm run where`: packs the package, installs it into fresh folders, and tries it there: see places.mjs. Prints a table; `--write` puts it into
 * docs/where.md. `--quick` tries the places that take seconds; `--only TEXT` those whose names hold it; `--keep` leaves the folders. What cannot be
 * installed is skipped and counted; with `--strict` it fails.
 */
import { execFile, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { places } from './places.mjs';

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean' },
    only: { type: 'string' },
    keep: { type: 'boolean' },
    write: { type: 'boolean' },
    strict: { type: 'boolean' },
  },
});

/** Milliseconds that an installation or a trial may take. */
const PATIENCE = 300_000;

const here = dirname(fileURLToPath(import.meta.url));
const root = dirname(here);
const work = mkdtempSync(join(tmpdir(), 'tensegrity-where-'));

function must(program, parameters, cwd) {
  const { status, stdout, stderr, error } = spawnSync(program, parameters, { cwd, encoding: 'utf8', timeout: PATIENCE });
  if (status !== 0) throw new Error(`${program} ${parameters.join(' ')}: ${stderr || stdout || error}`);
  return stdout;
}

/** Runs a trial's command where the place's own programs come first, and the system's Node after them. */
function attempt(command, cwd, extra) {
  const environment = {
    ...process.env,
    ...extra,
    PATH: [join(cwd, 'node_modules/.bin'), process.env.PATH].join(delimiter),
    CI: 'true',
    NO_COLOR: '1',
  };
  for (const name of Object.keys(environment)) if (/^(npm_|NODE_OPTIONS$)/.test(name)) delete environment[name];
  return new Promise((resolve) => {
    execFile('sh', ['-c', command], { cwd, env: environment, timeout: PATIENCE, maxBuffer: 1 << 26 }, (error, stdout, stderr) =>
      resolve({ failed: error !== null, output: `${stdout}${stderr}` }),
    );
  });
}

function lay(folder, files) {
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    const before = name === 'package.json' ? JSON.parse(readFileSync(join(folder, name), 'utf8')) : {};
    if (content.program) cpSync(join(here, 'programs', content.program), join(folder, name));
    else if (content.example) cpSync(join(root, 'examples', content.example), join(folder, name));
    else writeFileSync(join(folder, name), typeof content === 'string' ? content : JSON.stringify({ ...before, ...content }, null, 2));
  }
}

must(process.execPath, [join(root, 'scripts/build.mjs')], root);
must('npm', ['pack', '--ignore-scripts', '--pack-destination', work], root);
const tarball = join(
  work,
  readdirSync(work).find((name) => name.endsWith('.tgz')),
);

/** What Node makes of the program, from this build: what every platform is to make. */
const reference = join(work, 'reference');
mkdirSync(reference);
writeFileSync(join(reference, 'package.json'), JSON.stringify({ private: true, type: 'module' }));
must('npm', ['install', '--no-audit', '--no-fund', '--ignore-scripts', '--offline', tarball], reference);
for (const name of ['compute.mjs', 'main.mjs']) cpSync(join(here, 'programs', name), join(reference, name));
const { bits } = JSON.parse(must(process.execPath, ['main.mjs'], reference));

/** Why a trial is not what it should be; null where it is. */
function faultOf({ bits: wanted, says, never }, { failed, output }) {
  if (failed) return output.trim().split('\n').slice(-12).join('\n') || 'it failed without a word';
  if (wanted && !output.includes(bits)) return `other bits than Node's, or none: ${output.slice(-600)}`;
  if (says && !says.test(output)) return `it said: ${output.slice(-600)}`;
  const said = never?.exec(output);
  return said ? `it said: ${output.slice(Math.max(0, said.index - 100), said.index + 300)}` : null;
}

/** What a trial needs of a browser's environment: `$CHROMIUM`, and where its libraries are; or why there is none. */
let browser;
async function browserEnvironment() {
  // Types are stripped from Node 22.18 on; only trials of browsers ask for it.
  browser ??= await import('../test/browser/chromium.ts').then(
    ({ findChromium }) => findChromium(),
    (error) => ({ missing: error.message }),
  );
  const { program, environment, missing } = browser;
  return missing === undefined ? { extra: { ...environment, CHROMIUM: program } } : { missing };
}

const chosen = places.filter(({ name, quick }) => (!options.quick || quick) && (!options.only || name.includes(options.only)));
const rows = [];
/** Once a place could not be installed, the others are not waited for. */
let unreachable = null;
for (const place of chosen) {
  const folder = join(work, place.name.replaceAll(/\W+/g, '-'));
  mkdirSync(folder);
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'trial', version: '1.0.0', private: true }));
  let missing = options.strict ? null : unreachable;
  try {
    if (missing === null)
      must(
        'npm',
        ['install', '--no-audit', '--no-fund', '--fetch-retries=1', '--dangerously-allow-all-scripts', tarball, ...place.packages],
        folder,
      );
  } catch (error) {
    missing = error.message;
    unreachable = missing;
  }
  const { dependencies } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  for (const trial of place.trials) {
    for (const name of trial.programs) cpSync(join(here, 'programs', name), join(folder, name));
    lay(folder, trial.files ?? {});
    const start = performance.now();
    const { extra, missing: without = missing } = trial.browser ? await browserEnvironment() : {};
    // What cannot be installed cannot be tried: without a network, say.
    const skipped = without !== null && !options.strict;
    const fault = skipped ? null : (without ?? faultOf(trial, await attempt(trial.run, folder, extra)));
    const seconds = (performance.now() - start) / 1000;
    const versions = Object.entries(dependencies ?? {}).filter(([name]) => name !== 'tensegrity');
    rows.push({
      place: place.name,
      trial: trial.name,
      versions: Object.fromEntries(versions),
      passed: fault === null && !skipped,
      skipped,
      seconds,
    });
    console.log(`${skipped ? 'skipped' : fault === null ? 'passed' : 'FAILED'}  ${place.name}: ${trial.name} (${seconds.toFixed(1)} s)`);
    if (fault !== null) console.log(fault.replaceAll(/^/gm, '        '));
  }
}

const versionsOf = ({ versions }) =>
  Object.entries(versions)
    .map(([name, range]) => `${name} ${range.replace(/^[\^~]/, '')}`)
    .join(', ');
const lines = rows
  .filter(({ skipped }) => !skipped)
  .map((row) => `| ${row.place} | ${row.trial} | ${versionsOf(row)} | ${row.passed ? 'works' : '**fails**'} |`);
console.log(`\n${lines.join('\n')}`);
if (options.write) {
  const page = join(root, 'docs/where.md');
  const [before, table, after] = readFileSync(page, 'utf8').split(/<!-- (?:begin|end) of the table -->/);
  // What was not tried now stays as it was.
  const placeOf = (line) => line.split(' | ')[0].slice(2);
  const tried = new Set(rows.filter(({ skipped }) => !skipped).map(({ place }) => place));
  const kept = table.split('\n').filter((line) => places.some(({ name }) => name === placeOf(line)) && !tried.has(placeOf(line)));
  const rank = (line) => places.findIndex(({ name }) => name === placeOf(line));
  const all = [...kept, ...lines].sort((a, b) => rank(a) - rank(b));
  const head = '| where | how | with | |\n|---|---|---|---|';
  writeFileSync(page, `${before}<!-- begin of the table -->\n${head}\n${all.join('\n')}\n<!-- end of the table -->${after}`);
}
const skipped = rows.filter((row) => row.skipped).length;
const failed = rows.filter((row) => !row.passed && !row.skipped).length;
if (options.keep) console.log(work);
else rmSync(work, { recursive: true, force: true });
console.log(`where: ${rows.length - failed - skipped} passed, ${failed} failed, ${skipped} skipped`);
process.exit(failed === 0 ? 0 : 1);
