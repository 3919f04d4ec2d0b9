#!/usr/bin/env node
/**
 * Pictures of the lab as it trains: each stop of the tour and the lab, in both languages, light and dark, on a desktop and a phone.
 *
 *   npm run lab:pictures -- [folder] [--only en-light-desktop-5,…] [--steps 30] [--full]
 */
import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { builtLab, launch, serve } from '../test/site.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { only: { type: 'string' }, steps: { type: 'string', default: '30' }, full: { type: 'boolean', default: false } },
});
const folder = resolve(positionals[0] ?? 'pictures');
mkdirSync(folder, { recursive: true });
const sizes = { desktop: { width: 1440, height: 900 }, phone: { width: 390, height: 844 } };
const wanted = values.only?.split(',');
const rooms = [...Array.from({ length: 7 }, (_, i) => [String(i + 1), `#/tour/${i + 1}`]), ['lab', '#/lab']];

const site = await serve(builtLab());
const browser = await launch('webgl');
try {
  for (const language of ['en', 'zh']) {
    for (const colorScheme of ['light', 'dark']) {
      for (const [size, viewport] of Object.entries(sizes)) {
        for (const [name, hash] of rooms) {
          const title = [language, colorScheme, size, name].join('-');
          if (wanted && !wanted.some((each) => title.includes(each))) continue;
          const page = await browser.newPage({
            viewport,
            colorScheme,
            deviceScaleFactor: size === 'phone' ? 2 : 1,
            reducedMotion: 'reduce',
          });
          page.on('console', (message) => message.type() === 'error' && console.error(`${title}: ${message.text()}`));
          page.on('pageerror', (error) => console.error(`${title}: ${error.message}`));
          await page.goto(`${site.isolated}${hash}?lang=${language}`);
          const reached = (least) =>
            Number(/\d+/.exec(document.querySelector('.running')?.textContent.replaceAll(',', '') ?? '')?.[0] ?? 0) >= least;
          await page.waitForFunction(reached, Number(values.steps), { timeout: 600_000 });
          if (name === 'lab' && values.full) {
            await page.locator('.figure-plan .button').click();
            await page.locator('.tree').waitFor();
          }
          await page.waitForTimeout(500);
          await page.screenshot({ path: join(folder, `${title}.png`), fullPage: values.full });
          console.log(title);
          await page.close();
        }
      }
    }
  }
} finally {
  await browser.close();
  site.close();
}
