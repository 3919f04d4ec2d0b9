import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { supportedRuntimes } from '../support/runtimes.ts';

const here = fileURLToPath(new URL('.', import.meta.url));
const root = fileURLToPath(new URL('../..', import.meta.url));
const supported = supportedRuntimes();

function run(cwd: string, program: string, ...parameters: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync(program, parameters, { cwd, encoding: 'utf8' });
  if (error) throw error;
  if (status !== 0) throw new Error(`${program} ${parameters.join(' ')}: exit ${status}\n${stdout}${stderr}`);
  return stdout;
}

describe('the packed package, installed in an empty folder', () => {
  let folder: string;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'tensegrity-consumer-'));
    run(root, 'npm', 'pack', '--ignore-scripts', '--pack-destination', folder);
    const tarball = readdirSync(folder).find((name) => name.endsWith('.tgz'))!;
    writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'consumer', private: true, type: 'module' }));
    // It has no dependency, so no registry is needed.
    run(folder, 'npm', 'install', '--offline', '--ignore-scripts', '--no-audit', '--no-fund', `./${tarball}`);
    for (const name of ['core.mjs', 'consumer.ts']) copyFileSync(join(here, name), join(folder, name));
  }, 120_000);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('brings nothing else with it', () => {
    const installed = readdirSync(join(folder, 'node_modules')).filter((name) => !name.startsWith('.'));
    expect(installed).toEqual(['tensegrity']);
  });

  it('type-checks in a strict program without the types of Node', () => {
    const options = [
      '--strict',
      '--module',
      'nodenext',
      '--target',
      'es2022',
      '--lib',
      'es2023,dom,esnext.disposable',
      '--types',
      '',
      '--outDir',
      'out',
    ];
    const checks = ['--exactOptionalPropertyTypes', '--noUncheckedIndexedAccess', '--isolatedModules', '--verbatimModuleSyntax'];
    run(folder, process.execPath, join(root, 'node_modules/typescript/bin/tsc'), ...options, ...checks, 'consumer.ts');
    expect(existsSync(join(folder, 'out/consumer.js'))).toBe(true);
  });

  it.each(supported)('runs on Node $version', ({ program, version }) => {
    expect(run(folder, program, 'core.mjs')).toContain(`core passed on Node ${version.slice(1)}`);
    expect(run(folder, program, 'out/consumer.js')).toContain('consumer passed');
  });

  it.each(supported)('has a command that runs on Node $version', ({ program }) => {
    expect(run(folder, program, 'node_modules/tensegrity/dist/cli/main.js', '--help')).toContain('tensegrity');
  });
});
