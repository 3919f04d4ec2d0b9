import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { brotliDecompressSync } from 'node:zlib';

/** What an archive of @sparticuz/chromium holds: one program, or a tar of which some files are wanted (all, if none is named). */
export interface Archive {
  readonly file: string;
  readonly program?: string;
  readonly files?: readonly string[];
}

/** The folder in which archives of the npm package @sparticuz/chromium lie unpacked, for every later run too. @throws where the package is missing. */
export function unpacked(name: string, archives: readonly Archive[]): string {
  const require = createRequire(import.meta.url);
  const chromium = dirname(dirname(dirname(require.resolve('@sparticuz/chromium'))));
  const { version }: { version: string } = JSON.parse(readFileSync(join(chromium, 'package.json'), 'utf8'));
  const folder = join(tmpdir(), `tensegrity-${name}-${version}-${process.getuid?.() ?? 'user'}`);
  if (existsSync(folder)) return folder;
  // Unpacked aside and then renamed, so that no run finds half of it.
  const aside = mkdtempSync(`${folder}-`);
  for (const { file, program, files = [] } of archives) {
    const target = join(aside, program ?? 'archive.tar');
    writeFileSync(target, brotliDecompressSync(readFileSync(join(chromium, 'bin', file))));
    if (program) chmodSync(target, 0o755);
    else {
      execFileSync('tar', ['-xf', 'archive.tar', ...files], { cwd: aside });
      rmSync(target);
    }
  }
  try {
    renameSync(aside, folder);
  } catch {
    // Another run was first.
    rmSync(aside, { recursive: true });
  }
  return folder;
}
