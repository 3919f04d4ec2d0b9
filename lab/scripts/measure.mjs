#!/usr/bin/env node
/**
 * What a visitor of the built lab waits for: from opening to the first step of training, and the frames that the page draws in a second while it trains.
 * The first visit of a new browser, then another with its cache.
 *
 *   node scripts/measure.mjs [--visits 3] [--seconds 10]
 */
import { parseArgs } from 'node:util';
import { builtLab, launch, serve } from '../test/site.ts';

const { values } = parseArgs({ options: { visits: { type: 'string', default: '3' }, seconds: { type: 'string', default: '10' } } });
const site = await serve(builtLab());
try {
  for (let visit = 1; visit <= Number(values.visits); visit++) {
    const browser = await launch('webgl');
    const page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
    await page.addInitScript(() => {
      globalThis.firstStep = null;
      const look = () => {
        // The page's own clock, from the beginning of its navigation.
        if (/\d/.test(document.querySelector('.running')?.textContent ?? '')) globalThis.firstStep = performance.now();
        else requestAnimationFrame(look);
      };
      requestAnimationFrame(look);
    });
    await page.goto(site.isolated);
    await page.waitForFunction(() => globalThis.firstStep !== null, undefined, { timeout: 120_000 });
    const first = await page.evaluate(() => globalThis.firstStep);
    const drawn = await page.evaluate(
      (seconds) =>
        new Promise((resolve) => {
          const times = [];
          const steps = () => Number(/\d+/.exec(document.querySelector('.running').textContent)[0]);
          const from = steps();
          const frame = (now) => {
            times.push(now);
            if (now - times[0] < 1000 * seconds) requestAnimationFrame(frame);
            else {
              const gaps = times.slice(1).map((time, i) => time - times[i]);
              gaps.sort((a, b) => a - b);
              resolve({
                frames: gaps.length / seconds,
                slowest: gaps.at(-1),
                most: gaps[Math.floor(0.99 * gaps.length)],
                steps: (steps() - from) / seconds,
              });
            }
          };
          requestAnimationFrame(frame);
        }),
      Number(values.seconds),
    );
    const { frames, slowest, most, steps } = drawn;
    console.log(
      `visit ${visit}: first step after ${(first / 1000).toFixed(2)} s; ${frames.toFixed(1)} frames a second (99% within ${most.toFixed(0)} ms, the slowest ${slowest.toFixed(0)} ms), ${steps.toFixed(1)} steps a second`,
    );
    await browser.close();
  }
} finally {
  site.close();
}
