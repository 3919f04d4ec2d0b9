import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { brotliDecompressSync } from 'node:zlib';

/**
 * Lets Dawn find a GPU driver in the test processes, which inherit this environment: SwiftShader, a CPU's imitation of a GPU that comes in
 * the npm package @sparticuz/chromium. A driver named already is left as it is, and so is everything where the package is missing.
 */
export default function setup(): void {
  if (process.env['VK_ICD_FILENAMES']) return;
  const folder = unpackedDriver();
  if (folder === null) return;
  process.env['VK_ICD_FILENAMES'] = join(folder, 'vk_swiftshader_icd.json');
  // The Vulkan loader, for systems without one. It is looked for when a process starts, so it cannot be set later.
  process.env['LD_LIBRARY_PATH'] = [folder, process.env['LD_LIBRARY_PATH']].filter(Boolean).join(':');
}

function unpackedDriver(): string | null {
  try {
    const require = createRequire(import.meta.url);
    const chromium = dirname(dirname(dirname(require.resolve('@sparticuz/chromium'))));
    const { version }: { version: string } = JSON.parse(readFileSync(join(chromium, 'package.json'), 'utf8'));
    const folder = join(tmpdir(), `tensegrity-swiftshader-${version}-${process.getuid?.() ?? 'user'}`);
    if (existsSync(folder)) return folder;
    // Unpacked aside and then renamed, so that no run finds half a driver.
    const aside = mkdtempSync(`${folder}-`);
    writeFileSync(join(aside, 'driver.tar'), brotliDecompressSync(readFileSync(join(chromium, 'bin', 'swiftshader.tar.br'))));
    execFileSync('tar', ['-xf', 'driver.tar', 'libvk_swiftshader.so', 'libvulkan.so.1', 'vk_swiftshader_icd.json'], { cwd: aside });
    rmSync(join(aside, 'driver.tar'));
    try {
      renameSync(aside, folder);
    } catch {
      // Another run was first.
      rmSync(aside, { recursive: true });
    }
    return folder;
  } catch {
    return null;
  }
}
