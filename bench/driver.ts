import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { unpacked } from '../test/support/unpack.ts';

/** What a GPU of Linux is reached by: NVIDIA's, and that of the others. */
const deviceFiles = ['/dev/nvidia0', '/dev/dri/renderD128'];

/** Whether this machine has a GPU, or says by which driver it is to be reached. */
export const hasGpu: boolean = ['VK_ICD_FILENAMES', 'VK_DRIVER_FILES'].some((name) => process.env[name]) || deviceFiles.some(existsSync);

/** The folder of SwiftShader and of a Vulkan loader. @throws where the package is missing that they come from. */
export function swiftShader(): string {
  const files = ['libvk_swiftshader.so', 'libvulkan.so.1', 'vk_swiftshader_icd.json'];
  try {
    return unpacked('swiftshader', [{ file: 'swiftshader.tar.br', files }]);
  } catch (cause) {
    throw new Error("no GPU's driver here: VK_DRIVER_FILES names none, and @sparticuz/chromium, which has SwiftShader, is not installed", { cause });
  }
}

/**
 * What a process needs in its environment, from its start, for Dawn to find a driver: nothing where there is a GPU, else SwiftShader, a CPU's
 * imitation of one, from the npm package @sparticuz/chromium. @throws where that is missing.
 */
export function driverEnvironment(): Readonly<Record<string, string>> {
  if (hasGpu) return {};
  const folder = swiftShader();
  return {
    VK_ICD_FILENAMES: join(folder, 'vk_swiftshader_icd.json'),
    LD_LIBRARY_PATH: [folder, process.env['LD_LIBRARY_PATH']].filter(Boolean).join(':'),
  };
}
