import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { capability } from './capabilities.ts';

const oldestMajor = 20;

export interface Runtime {
  readonly program: string;
  readonly version: string;
}

/** Every Node on the PATH. The one that runs this test is the newest: the tools' own, ahead of the system's. */
function runtimes(): Runtime[] {
  const candidates = (process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, 'node'));
  const found = [process.execPath, ...candidates.filter((path) => existsSync(path))].map((program) => ({
    program,
    version: spawnSync(program, ['--version'], { encoding: 'utf8' }).stdout?.trim() ?? '',
  }));
  return found.filter(({ version }, i) => version.startsWith('v') && found.findIndex((other) => other.version === version) === i);
}

/** Those that the library supports. Without the oldest, tests are recorded as skipped. */
export function supportedRuntimes(): readonly Runtime[] {
  const supported = runtimes().filter(({ version }) => Number.parseInt(version.slice(1), 10) >= oldestMajor);
  const hasOldest = supported.some(({ version }) => version.startsWith(`v${oldestMajor}.`));
  capability('node20', hasOldest, `no Node ${oldestMajor} on the PATH, only ${supported.map(({ version }) => version).join(', ')}`);
  return supported;
}
