import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** What `npm ci` and `.ci/run` bring: absent in CI, it is a fault and no reason to skip. */
const installedByCi: ReadonlySet<string> = new Set(['webgpu', 'workerd', 'chromium', 'relaxed-simd', 'node20']);

/** Set by the global set-up: the folder where test files leave word of what they skipped, each capability once. */
export const skippedFolderVariable = 'TENSEGRITY_SKIPPED';

/**
 * True when `available`. Otherwise records that tests of `name` are skipped, which the end of the run prints as one line,
 * `skipped: <name>: <reason>`; in CI a missing capability that CI installs is an error.
 *
 * @example describe.runIf(capability('webgpu', adapter !== null, 'no adapter'))('webgpu', …)
 */
export function capability(name: string, available: boolean, reason: string): boolean {
  if (available) return true;
  if (process.env['CI'] === 'true' && installedByCi.has(name)) throw new Error(`CI must have ${name}, and does not: ${reason}`);
  const folder = process.env[skippedFolderVariable];
  if (folder === undefined) console.log(`skipped: ${name}: ${reason}`);
  else writeFileSync(join(folder, name.replaceAll(/[^\w.-]/g, '_')), `skipped: ${name}: ${reason}\n`);
  return false;
}
