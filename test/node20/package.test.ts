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

  /** Types are checked in what the package ships too, with no types but those of the libraries named. */
  function compile(file: string, libraries: string): void {
    const options = ['--module', 'nodenext', '--target', 'es2022', '--lib', libraries, '--types', '', '--outDir', 'out'];
    const checks = [
      '--strict',
      '--exactOptionalPropertyTypes',
      '--noUncheckedIndexedAccess',
      '--isolatedModules',
      '--verbatimModuleSyntax',
    ];
    run(folder, process.execPath, join(root, 'node_modules/typescript/bin/tsc'), ...options, ...checks, file);
  }

  it('type-checks in a strict program without the types of Node', () => {
    compile('consumer.ts', 'es2023,dom,esnext.disposable');
    expect(existsSync(join(folder, 'out/consumer.js'))).toBe(true);
  });

  it('type-checks without the types of WebGPU, and with them', () => {
    const program = "import { useBackend } from 'tensegrity';\nimport type { WebGpuOptions } from 'tensegrity/backends/webgpu';\n";
    const options = 'export const options: WebGpuOptions = { f16: true, profile: true };\n';
    writeFileSync(join(folder, 'plain.ts'), `${program}${options}await useBackend('webgpu', options);\n`);
    compile('plain.ts', 'es2023');
    writeFileSync(join(folder, 'page.ts'), `${program}${options}await useBackend('webgpu', { ...options, gpu: navigator.gpu });\n`);
    compile('page.ts', 'es2023,dom,esnext.disposable');
    expect(existsSync(join(folder, 'out/page.js'))).toBe(true);
  });

  it.each(supported)('runs on Node $version', ({ program, version }) => {
    expect(run(folder, program, 'core.mjs')).toContain(`core passed on Node ${version.slice(1)}`);
    expect(run(folder, program, 'out/consumer.js')).toContain('consumer passed');
  });

  it.each(supported)('has a command that runs on Node $version', ({ program }) => {
    expect(run(folder, program, 'node_modules/tensegrity/dist/cli/main.js', '--help')).toContain('tensegrity');
  });
});
