#!/usr/bin/env node
/** No tracked file names a package registry or a path of the machine it was written on, and no generated file is tracked. */
import { spawnSync } from 'node:child_process';
import { homedir } from 'node:os';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

function git(...parameters) {
  const { status, stdout, stderr, error } = spawnSync('git', parameters, { cwd: root, encoding: 'utf8', maxBuffer: 1 << 26 });
  if (error) throw error;
  if (status !== 0 && stderr !== '') throw new Error(`git ${parameters[0]}: ${stderr}`);
  return stdout.split('\n').filter((line) => line !== '');
}

const registries = [
  ['npmjs', 'org'],
  ['npmjs', 'com'],
  ['yarnpkg', 'com'],
  ['npmmirror', 'com'],
].map((labels) => ['registry', ...labels].join('.'));
const configured = process.env.npm_config_registry;
if (configured !== undefined) registries.push(new URL(configured).host);
const paths = [`${root}/`, `${homedir()}/`, `/${'work'}/main`, `/${'work'}/shared`];
const forbidden = [...new Set([...registries, ...paths, `"${'resolved'}": "http`])];
const mentions = git('grep', '-nIF', ...forbidden.flatMap((text) => ['-e', text]), '--', '.');
const generated = git('ls-files', '-ci', '--exclude-standard');

for (const line of mentions) console.error(`names a registry or a path of this machine: ${line.slice(0, 200)}`);
for (const file of generated) console.error(`generated, and yet tracked: ${file}`);
process.exit(mentions.length + generated.length === 0 ? 0 : 1);
