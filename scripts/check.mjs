#!/usr/bin/env node
/**
 * `npm run check`: everything but the tests. Every step runs, whatever failed before it; a failed one prints what it said.
 * `--json <file>` also writes the counts, for `.ci/run`.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const packed = mkdtempSync(join(tmpdir(), 'tensegrity-pack-'));
const tarball = () => join(packed, readdirSync(packed).find((name) => name.endsWith('.tgz')) ?? 'nothing-was-packed.tgz');
const script = (name) => [process.execPath, join('scripts', name)];
const tool = (path, ...parameters) => [process.execPath, join('node_modules', path), ...parameters];
// What the lab imports is installed in its own folder, and only by those who need it.
const labSteps = existsSync(join(root, 'lab/node_modules'))
  ? [
      { name: 'types of the lab', command: () => tool('typescript/bin/tsc', '--project', 'lab') },
      { name: 'unused code of the lab', command: () => tool('knip/bin/knip.js', '--directory', 'lab') },
    ]
  : [];

const steps = [
  { name: 'build', command: () => script('build.mjs') },
  { name: 'types', command: () => tool('typescript/bin/tsc') },
  { name: 'lint and format', command: () => tool('@biomejs/biome/bin/biome', 'check', '--error-on-warnings', '--colors=off') },
  { name: 'boundaries', command: () => script('boundaries.mjs') },
  { name: 'circles', command: () => script('circles.mjs') },
  { name: 'hygiene', command: () => script('hygiene.mjs') },
  { name: 'unused code', command: () => tool('knip/bin/knip.js') },
  ...labSteps,
  { name: 'pack', command: () => ['npm', 'pack', '--ignore-scripts', '--pack-destination', packed] },
  { name: 'package', command: () => tool('publint/src/cli.js', tarball(), '--strict') },
  {
    name: 'package types',
    command: () =>
      tool(
        '@arethetypeswrong/cli/dist/index.js',
        tarball(),
        '--profile',
        'esm-only',
        '--exclude-entrypoints',
        './wasm/simd.wasm',
        './wasm/relaxed.wasm',
        './wasm/worker.js',
      ),
  },
  { name: 'size', command: () => tool('size-limit/bin.js') },
];

let failed = 0;
for (const { name, command } of steps) {
  const [program, ...parameters] = command();
  const start = performance.now();
  const { status, stdout, stderr, error } = spawnSync(program, parameters, { cwd: root, encoding: 'utf8', maxBuffer: 1 << 26 });
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  const passed = status === 0;
  if (!passed) failed += 1;
  console.log(`${passed ? 'passed' : 'FAILED'}  ${name} (${seconds} s)`);
  if (!passed || name === 'size') console.log(`${stdout ?? ''}${stderr ?? ''}${error ?? ''}`);
}
rmSync(packed, { recursive: true, force: true });

const passed = steps.length - failed;
const jsonFlag = process.argv.indexOf('--json');
if (jsonFlag !== -1) writeFileSync(process.argv[jsonFlag + 1], JSON.stringify({ passed, failed }));
console.log(`check: ${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
