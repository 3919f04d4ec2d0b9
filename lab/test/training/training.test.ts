import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { launch, type Site, serve, Visit } from './browser.ts';

let site: Site;
let browser: Browser;
beforeAll(async () => {
  [site, browser] = await Promise.all([serve(), launch()]);
}, 120_000);
afterAll(async () => {
  await browser?.close();
  site?.close();
});

describe('a training in the browser', () => {
  it('trains 30 steps on wasm, with a thread for each core where the page is isolated', async () => {
    const visit = await Visit.to(browser, site, 'isolated');
    await visit.open();
    await visit.reach(30, 120);
    const steps = await visit.steps();
    expect(steps.map(({ step }) => step)).toEqual(Array.from({ length: steps.length }, (_, i) => i + 1));
    await visit.close();
  });
});
