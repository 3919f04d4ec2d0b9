#!/usr/bin/env node
/**
 * `npm run lab`, `lab:build`, `lab:test`, `lab:pictures`, `lab:bench`: builds the package, installs what the lab needs if that changed, and does it.
 * What follows the task's name is handed on.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const lab = join(root, 'lab');
const vite = join(lab, 'node_modules/vite/bin/vite.js');
const tasks = {
  serve: [vite],
  build: [vite, 'build'],
  preview: [vite, 'preview'],
  test: [join(root, 'node_modules/vitest/vitest.mjs'), 'run', '--config', 'vitest.config.ts'],
  pictures: ['scripts/pictures.mjs'],
  bench: ['scripts/bench.mjs'],
};

function run(program, parameters, cwd) {
  const { status, error } = spawnSync(program, parameters, { cwd, stdio: 'inherit' });
  if (error) throw error;
  if (status !== 0) process.exit(status ?? 1);
}

/** Whether the packages that are installed are those of the lock file; npm keeps a list of the former that leaves out the project itself. */
function installed() {
  const list = join(lab, 'node_modules/.package-lock.json');
  if (!existsSync(list)) return false;
  const versions = (file) =>
    Object.entries(JSON.parse(readFileSync(file, 'utf8')).packages)
      .filter(([name, { optional }]) => name !== '' && !optional)
      .map(([name, { version }]) => `${name}@${version}`);
  const present = new Set(versions(list));
  return versions(join(lab, 'package-lock.json')).every((each) => present.has(each));
}

const [task, ...parameters] = process.argv.slice(2);
if (!(task in tasks)) {
  console.error(`lab: ${task} is none of ${Object.keys(tasks).join(', ')}`);
  process.exit(2);
}
run(process.execPath, [join(root, 'scripts/build.mjs')], root);
if (!installed()) run('npm', ['ci'], lab);
run(process.execPath, [...tasks[task], ...parameters], lab);
