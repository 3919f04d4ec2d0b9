#!/usr/bin/env node
/**
 * Prints the circles of imports by the kind of import that they run over: values (what is there when a module runs), values and dynamic
 * imports, and all of them with types. Fails where a value import runs in a circle, or where a backend is in one with the engine's core,
 * whatever kind of import is counted.
 */
import { globSync, readFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const slashed = (path) => path.split(sep).join('/');
const files = globSync('{engine,models,audit,export,cli}/**/*.ts', { cwd: root }).map(slashed).sort();

const statement = /^\s*(import|export)\s+(type\s+)?([^;'"]*?)\s*from\s*(['"])(\.{1,2}\/[^'"]+)\4/gm;
const bare = /^\s*import\s+(['"])(\.{1,2}\/[^'"]+)\1/gm;
const dynamic = /\bimport\(\s*(['"])(\.{1,2}\/[^'"]+)\1\s*\)/g;

/** Whether a clause such as `{ type A, b }` or `* as x` names anything that is there when the program runs. */
function hasValue(clause) {
  const braces = clause.match(/\{([^}]*)\}/);
  if (!braces) return true;
  if (clause.replace(braces[0], '').replaceAll(',', '').trim() !== '') return true;
  return braces[1].split(',').some((name) => name.trim() !== '' && !name.trim().startsWith('type '));
}

/** The edges out of a file, each with its kind. */
function edgesOf(file) {
  const text = readFileSync(join(root, file), 'utf8').replaceAll(/\/\*[\s\S]*?\*\//g, '');
  const to = (path) => slashed(relative(root, join(root, dirname(file), path)));
  return [
    ...[...text.matchAll(statement)].map(([, , type, clause, , path]) => ({
      to: to(path),
      kind: type || !hasValue(clause) ? 'type' : 'value',
    })),
    ...[...text.matchAll(bare)].map(([, , path]) => ({ to: to(path), kind: 'value' })),
    ...[...text.matchAll(dynamic)].map(([match, , path]) => ({ to: to(path), kind: isTypeQuery(text, match) ? 'type' : 'dynamic' })),
  ];
}

/** `typeof import('…')` is a type. */
function isTypeQuery(text, match) {
  const at = text.indexOf(match);
  return /typeof\s*$/.test(text.slice(Math.max(0, at - 10), at));
}

/** Strongly connected components of more than one file. (R. Tarjan, 1972) */
function circles(edges) {
  const index = new Map();
  const low = new Map();
  const stack = [];
  const found = [];
  const visit = (node) => {
    index.set(node, index.size);
    low.set(node, index.get(node));
    stack.push(node);
    for (const next of edges.get(node) ?? []) {
      if (!index.has(next)) {
        visit(next);
        low.set(node, Math.min(low.get(node), low.get(next)));
      } else if (stack.includes(next)) low.set(node, Math.min(low.get(node), index.get(next)));
    }
    if (low.get(node) !== index.get(node)) return;
    const component = stack.splice(stack.indexOf(node));
    if (component.length > 1) found.push(component.sort());
  };
  for (const file of files) if (!index.has(file)) visit(file);
  return found;
}

const all = new Map(files.map((file) => [file, edgesOf(file)]));
const kinds = { values: ['value'], 'values and dynamic imports': ['value', 'dynamic'], 'all, with types': ['value', 'dynamic', 'type'] };
const isBackend = (file) => /^engine\/backends\/(cpu|wasm|webgpu)\//.test(file);
const isCore = (file) => file.startsWith('engine/') && !isBackend(file);

let faults = 0;
for (const [name, counted] of Object.entries(kinds)) {
  const edges = new Map([...all].map(([file, list]) => [file, list.filter(({ kind }) => counted.includes(kind)).map(({ to }) => to)]));
  const found = circles(edges);
  const mixed = found.filter((component) => component.some(isBackend) && component.some(isCore));
  console.log(
    `${name}: ${found.length} circles of ${found.reduce((sum, { length }) => sum + length, 0)} files; with a backend and the core: ${mixed.length}`,
  );
  for (const component of found) console.log(`  ${component.length}: ${component.join(' ')}`);
  if (name === 'values') faults += found.length;
  faults += mixed.length;
}
process.exit(faults === 0 ? 0 : 1);
