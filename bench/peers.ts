import { spawnSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const folder = fileURLToPath(new URL('.', import.meta.url));
const modified = (file: string): number => statSync(new URL(file, import.meta.url), { throwIfNoEntry: false })?.mtimeMs ?? 0;

/** Installs the peers from the lock file, where they are not here or the lock file has changed since. @throws where npm cannot. */
export function installPeers(): void {
  if (modified('node_modules/.package-lock.json') >= modified('package-lock.json')) return;
  // What npm says goes to standard error, so that --json alone is on standard output.
  const { status, error } = spawnSync('npm', ['ci', '--no-fund', '--no-audit'], { cwd: folder, stdio: ['ignore', process.stderr, process.stderr] });
  if (error) throw error;
  if (status !== 0) throw new Error(`npm ci ended with status ${status}`);
}
