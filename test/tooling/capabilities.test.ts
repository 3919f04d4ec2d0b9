import { readdirSync } from 'node:fs';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { capability, skippedFolderVariable } from '../support/capabilities.ts';

describe('capability', () => {
  afterEach(() => vi.unstubAllEnvs());

  it('says yes to what is there, and records nothing', () => {
    expect(capability('present', true, 'never said')).toBe(true);
    expect(readdirSync(String(process.env[skippedFolderVariable]))).not.toContain('present');
  });

  it('says what is missing where no run collects it', () => {
    vi.stubEnv(skippedFolderVariable, undefined);
    vi.stubEnv('CI', 'false');
    const log = vi.spyOn(console, 'log').mockImplementation(() => {});
    expect(capability('webgpu', false, 'no adapter')).toBe(false);
    expect(log.mock.calls).toEqual([['skipped: webgpu: no adapter']]);
  });

  it('is an error in CI, for what CI installs', () => {
    vi.stubEnv('CI', 'true');
    expect(() => capability('webgpu', false, 'no adapter')).toThrow('CI must have webgpu, and does not: no adapter');
  });
});
