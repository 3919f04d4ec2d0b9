#!/usr/bin/env node
/** Holds the walls of the house: each folder below imports nothing from the folders named as closed to it, but through the doors that are named. */
import { globSync, readFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const slashed = (path) => path.split(sep).join('/');
const backends = globSync('engine/backends/*/', { cwd: root }).map((folder) => `${slashed(folder)}/`);
const walls = [
  { room: 'engine/', closed: ['models/', 'export/', 'cli/', 'audit/', 'test/'], why: 'the engine knows nothing of models' },
  { room: 'engine/compiler/', closed: backends, why: 'the compiler knows no backend but by the contract' },
  { room: 'engine/ops/', closed: backends, why: 'an op knows no backend' },
  { room: 'models/', closed: ['export/', 'cli/', 'test/'], why: 'models know nothing of who uses them' },
  {
    room: 'models/',
    closed: ['engine/'],
    doors: ['engine/core.ts', 'engine/internal.ts'],
    // Which brings the backends, as the engine's own front door does.
    except: 'models/index.ts',
    why: 'models use the engine without its backends, or by the inner door',
  },
  { room: 'engine/', closed: ['engine/internal.ts'], why: 'the inner door is for those outside' },
  { room: 'audit/', closed: ['engine/backends/', 'cli/', 'test/'], why: 'an audit takes the engine as a user does' },
  { room: 'export/', closed: [...backends, 'cli/', 'test/'], why: 'an export speaks of graphs, whoever runs them' },
];
const specifier = /(?:\bfrom\s*|\bimport\s*\(?\s*)(['"])(\.{1,2}\/[^'"]+)\1/g;

let faults = 0;
for (const file of globSync('{engine,models,export,audit}/**/*.ts', { cwd: root }).map(slashed)) {
  const imports = [...readFileSync(join(root, file), 'utf8').matchAll(specifier)];
  for (const [, , path] of imports) {
    const target = slashed(relative(root, join(root, dirname(file), path)));
    for (const { closed, doors = [], why } of walls.filter(({ room, except }) => file.startsWith(room) && file !== except)) {
      if (doors.includes(target) || !closed.some((folder) => target.startsWith(folder))) continue;
      console.error(`${file} imports ${target}: ${why}`);
      faults += 1;
    }
  }
}
process.exit(faults === 0 ? 0 : 1);
