import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { skippedFolderVariable } from './capabilities.ts';

export default function setup(): () => void {
  // Processes that tests start compile the sources, types and all, once and for each other: a third of a second each.
  process.env['NODE_COMPILE_CACHE'] ??= join(tmpdir(), `tensegrity-compiled-${process.getuid?.() ?? 'user'}`);
  const folder = mkdtempSync(join(tmpdir(), 'tensegrity-skipped-'));
  process.env[skippedFolderVariable] = folder;
  return () => {
    for (const name of readdirSync(folder).sort()) process.stdout.write(readFileSync(join(folder, name), 'utf8'));
    rmSync(folder, { recursive: true, force: true });
  };
}
