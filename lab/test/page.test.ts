import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { en } from '../page/texts/en.ts';
import { zh } from '../page/texts/zh.ts';
import { builtLab, launch, type Site, serve } from './site.ts';

const axeFile = createRequire(import.meta.url).resolve('axe-core/axe.min.js');

let site: Site;
let browser: Browser;
/** What pages said that they should not have. */
const complaints: string[] = [];

beforeAll(async () => {
  site = await serve(builtLab());
  browser = await launch('webgl');
});
afterAll(async () => {
  await browser?.close();
  site?.close();
});
afterEach(() => {
  expect(complaints.splice(0)).toEqual([]);
});

async function visit(path = '', options: BrowserContextOptions = {}, address = site.isolated): Promise<Page> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, reducedMotion: 'reduce', ...options });
  const page = await context.newPage();
  page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
  page.on('pageerror', (error) => complaints.push(String(error)));
  await page.goto(address + path);
  return page;
}

/** Waits until some steps are done. */
async function trained(page: Page, steps: number): Promise<void> {
  await page.waitForFunction(
    (least) => Number(/\d+/.exec(document.querySelector('.running')?.textContent ?? '')?.[0] ?? 0) >= least,
    steps,
  );
}

const title = (page: Page) => page.locator('h1').textContent();

describe('the page', () => {
  it('opens at the first stop, and trains', async () => {
    const page = await visit();
    expect(await title(page)).toBe(en.stops[0]!.title);
    await trained(page, 3);
    await page.context().close();
  });

  it('speaks Chinese when asked to, and remembers it', async () => {
    const page = await visit();
    await page.getByRole('radio', { name: '中文' }).check();
    expect(await title(page)).toBe(zh.stops[0]!.title);
    await page.reload();
    expect(await page.locator('html').getAttribute('lang')).toBe('zh-Hans');
    expect(await page.title()).toBe(zh.title);
    await page.context().close();
  });

  it('speaks the language of the browser', async () => {
    const page = await visit('', { locale: 'zh-CN' });
    expect(await title(page)).toBe(zh.stops[0]!.title);
    await page.context().close();
  });

  it('restores what a link has set, and gives such links', async () => {
    const link = '#/lab?lang=en&method=byol&stopGradient=off&seed=7&learningRate=0.01';
    const page = await visit(link);
    expect(await page.getByLabel(en.method, { exact: true }).inputValue()).toBe('byol');
    expect(await page.getByRole('group', { name: en.stopGradient }).getByRole('radio', { name: en.off }).isChecked()).toBe(true);
    expect(await page.getByRole('slider', { name: en.levers.learningRate }).getAttribute('aria-valuetext')).toBe('0.01');
    await page.getByRole('slider', { name: en.levers.strength }).fill('300');
    await page.getByRole('button', { name: en.share }).click();
    await page.waitForURL(/strength=0.3/);
    expect(page.url()).toContain(`${link.slice(0, -4)}0.01`);
    await page.reload();
    expect(await page.getByRole('slider', { name: en.levers.strength }).getAttribute('aria-valuetext')).toBe('0.3');
    await page.context().close();
  });

  it('says which parts of a link mean nothing, and takes the rest', async () => {
    const page = await visit('#/lab?method=gan&variance=-3&covariance=2');
    await page.getByText(en.notices.badLink.title).waitFor();
    await page.getByText(en.details).click();
    expect(await page.locator('.notice [lang=en]').textContent()).toBe('method=gan, variance=-3');
    expect(await page.getByRole('slider', { name: en.levers.covariance }).getAttribute('aria-valuetext')).toBe('2');
    await page.context().close();
  });

  it('is toured by the keyboard alone', async () => {
    const page = await visit();
    const reach = async (name: string): Promise<void> => {
      for (let i = 0; i < 40; i++) {
        await page.keyboard.press('Tab');
        const focused = await page.evaluate(() => document.activeElement?.textContent?.trim() ?? '');
        if (focused === name) return;
      }
      throw new Error(`no Tab reaches ${name}`);
    };
    for (let stop = 1; stop < en.stops.length; stop++) {
      expect(await title(page)).toBe(en.stops[stop - 1]!.title);
      await reach(en.next);
      await page.keyboard.press('Enter');
      await page.waitForFunction((wanted) => document.querySelector('h1')?.textContent === wanted, en.stops[stop]!.title);
      expect(await page.evaluate(() => document.activeElement?.id)).toBe('content');
    }
    await reach(en.toLab);
    await page.keyboard.press('Enter');
    await page.waitForURL(/#\/lab/);
    await page.goBack();
    await page.waitForFunction((wanted) => document.querySelector('h1')?.textContent === wanted, en.stops.at(-1)!.title);
    await page.context().close();
  });

  it('has no fault that axe finds, light or dark, in the tour or the lab', async () => {
    for (const colorScheme of ['light', 'dark'] as const) {
      const page = await visit('', { colorScheme });
      await page.evaluate(readFileSync(axeFile, 'utf8'));
      // Then all that is drawn of a training is there.
      await trained(page, 2);
      const rooms = colorScheme === 'light' ? ['#/tour/1', '#/tour/4', '#/tour/5', '#/tour/7', '#/lab'] : ['#/tour/3', '#/tour/6', '#/lab'];
      for (const hash of rooms) {
        await page.evaluate((to) => {
          location.hash = to;
        }, hash);
        await page.locator('.figure canvas').first().waitFor();
        const violations = await page.evaluate(async () => {
          // It was put there above.
          const { axe } = globalThis as unknown as { axe: { run(): Promise<{ violations: { id: string; nodes: { html: string }[] }[] }> } };
          return (await axe.run()).violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`);
        });
        expect(violations, `${hash}, ${colorScheme}`).toEqual([]);
      }
      await page.context().close();
    }
  });

  it('is never wider than a phone, in either language', async () => {
    for (const language of ['en', 'zh']) {
      const page = await visit(`#/tour/1?lang=${language}`, { viewport: { width: 390, height: 844 } });
      for (const hash of [...en.stops.map((_, i) => `#/tour/${i + 1}`), '#/lab']) {
        await page.evaluate((to) => {
          location.hash = to;
        }, hash);
        await page.locator('h1').waitFor({ state: 'attached' });
        expect(await page.evaluate(() => document.documentElement.scrollWidth), `${hash}, ${language}`).toBe(390);
      }
      await page.context().close();
    }
  });

  it('draws the cloud without WebGL, and says so', async () => {
    const context = await browser.newContext({ reducedMotion: 'reduce' });
    await context.addInitScript(() => {
      const { getContext } = HTMLCanvasElement.prototype;
      HTMLCanvasElement.prototype.getContext = function (this: HTMLCanvasElement, kind: string, ...rest: unknown[]) {
        return kind.startsWith('webgl') ? null : Reflect.apply(getContext, this, [kind, ...rest]);
      } as typeof getContext;
    });
    const page = await context.newPage();
    page.on('pageerror', (error) => complaints.push(String(error)));
    await page.goto(site.isolated);
    await page.getByText(en.noWebGl).waitFor();
    await trained(page, 1);
    await page.waitForFunction(() => {
      const canvas = document.querySelector<HTMLCanvasElement>('.cloud > canvas');
      return canvas
        ?.getContext('2d')
        ?.getImageData(0, 0, canvas.width, canvas.height)
        .data.some((value) => value > 0);
    });
    await context.close();
  });

  it("trains on a visitor's own images, and names what is none", async () => {
    const page = await visit('#/tour/7');
    await trained(page, 1);
    const drawn = await page.evaluate(() =>
      Array.from({ length: 12 }, (_, i) => {
        const canvas = document.createElement('canvas');
        [canvas.width, canvas.height] = [40, 30];
        const context = canvas.getContext('2d')!;
        context.fillStyle = `hsl(${i * 30} 80% 50%)`;
        context.fillRect(i, i, 20, 15);
        return canvas.toDataURL('image/png').split(',')[1]!;
      }),
    );
    const files = drawn.map((data, i) => ({ name: `${i}.png`, mimeType: 'image/png', buffer: Buffer.from(data, 'base64') }));
    const torn = { name: 'torn.png', mimeType: 'image/png', buffer: files[0]!.buffer.subarray(0, 40) };
    await page.locator('input[type=file][accept]').setInputFiles([...files, torn]);
    await page.getByText(en.ownCount(12)).waitFor();
    await page.getByText(en.notices.badImages.title).waitFor();
    expect(await page.locator('.notice [lang=en]').textContent()).toContain('torn.png');
    await trained(page, 1);
    await page.context().close();
  });

  it('saves a run, and opens it again; a file that is torn is refused, and the run goes on', async () => {
    const page = await visit('#/lab');
    await trained(page, 3);
    await page.getByRole('button', { name: en.pause }).click();
    await page.getByRole('slider', { name: en.levers.covariance }).fill('500');
    const download = page.waitForEvent('download');
    await page.getByRole('button', { name: en.save }).click();
    const saved = readFileSync(await (await download).path());
    await page.getByRole('slider', { name: en.levers.covariance }).fill('0');
    const open = (buffer: Buffer) =>
      page
        .getByLabel(en.open, { exact: true })
        .last()
        .setInputFiles({ name: 'run.safetensors', mimeType: 'application/octet-stream', buffer });
    await open(saved.subarray(0, saved.length - 100));
    await page.getByText(en.notices.badRun.title).waitFor();
    expect(await page.getByRole('slider', { name: en.levers.covariance }).getAttribute('aria-valuetext')).toBe('0');
    await open(saved);
    await page.waitForFunction(() => document.querySelector('[aria-valuetext="12.5"]') !== null);
    await page.context().close();
  });

  it('is kept for use offline, and isolated by its service worker where the host does not do that', async () => {
    const page = await visit('', {}, site.plain);
    expect(await page.evaluate(() => crossOriginIsolated)).toBe(false);
    await page.evaluate(() => navigator.serviceWorker.ready.then(() => true));
    await page.waitForFunction(() => navigator.serviceWorker.controller !== null);
    await page.context().setOffline(true);
    await page.reload();
    expect(await page.evaluate(() => crossOriginIsolated)).toBe(true);
    expect(await title(page)).toBe(en.stops[0]!.title);
    await trained(page, 1);
    await page.context().close();
  });

  it('weighs 400 KB at most until it trains, images apart, wherever that is', async () => {
    site.asked.clear();
    const page = await visit('', { serviceWorkers: 'block' });
    await trained(page, 1);
    await page.context().close();
    const folder = fileURLToPath(new URL('../dist', import.meta.url));
    // On a GPU that backend comes, too.
    const gpu = readdirSync(`${folder}/assets`).flatMap((name) => (name.startsWith('webgpu') ? [`assets/${name}`] : []));
    const files = [...site.asked, gpu[0]!].filter((name) => !name.startsWith('images'));
    const sizes = files.map((name) => ({ name, bytes: gzipSync(readFileSync(`${folder}/${name}`)).length }));
    expect(sizes.some(({ name }) => name.includes('worker-'))).toBe(true);
    const total = sizes.reduce((sum, { bytes }) => sum + bytes, 0);
    expect(total, JSON.stringify(sizes)).toBeLessThanOrEqual(400 * 1024);
    console.log(`first load: ${(total / 1024).toFixed(0)} KB by gzip`);
  });
});
