import { join } from 'node:path';
import { unpacked } from './unpack.ts';

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
    const files = ['libvk_swiftshader.so', 'libvulkan.so.1', 'vk_swiftshader_icd.json'];
    return unpacked('swiftshader', [{ file: 'swiftshader.tar.br', files }]);
  } catch {
    return null;
  }
}
