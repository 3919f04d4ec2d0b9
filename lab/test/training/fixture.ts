/** What the tests that visit the test page begin with. */
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, vi } from 'vitest';
import { initialSetting } from '../../training/protocol.ts';
import { type Host, launch, type Site, serve } from '../site.ts';
import { builtPage, Visit } from './visit.ts';

/** Small steps, where it is not the numbers that count. */
export const small = { ...initialSetting, batchSize: 16 };

/** Sets a test file up, and gives what has a test of it look at a page of a host. */
export function visits(): (host: Host, look: (visit: Visit) => Promise<void>) => Promise<void> {
  // Until a test is done, however busy the machine is: none says how long anything may take.
  vi.setConfig({ testTimeout: 300_000 });
  let site: Site;
  let browser: Browser;
  beforeAll(async () => {
    [site, browser] = await Promise.all([builtPage().then(serve), launch('webgpu')]);
  }, 120_000);
  afterAll(async () => {
    await browser?.close();
    site?.close();
  });
  return async (host, look) => {
    const visit = await Visit.to(browser, site, host);
    try {
      await look(visit);
    } finally {
      await visit.close();
    }
  };
}
