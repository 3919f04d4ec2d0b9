import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { rolldown } from 'rolldown';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Chromium, findChromium, visit } from './browser/chromium.ts';
import { capability } from './support/capabilities.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const example = (path: string): string => join(root, 'examples', path);

const request = {
  query: [1, 0, 2],
  items: [
    [1, 0, 2],
    [0, 1, 0],
    [2, 1, 1],
  ],
  k: 2,
};
const [, second] = [1, 4 / Math.sqrt(30)];

/** How each platform calls its handler. */
const handlers = {
  'cloudflare-worker/worker.mjs': 'module.default.fetch(post).then((answer) => answer.json())',
  'next-edge-route/app/search/route.js': 'module.POST(post).then((answer) => answer.json())',
  'vercel-function/api/search.mjs': 'module.POST(post).then((answer) => answer.json())',
  'deno/main.mjs': 'module.default.fetch(post).then((answer) => answer.json())',
  'aws-lambda/handler.mjs': 'module.handler({ body }).then((answer) => JSON.parse(answer.body))',
};

/** What an example answers, in a Node of its own and from the built package. */
async function answerOf(path: keyof typeof handlers): Promise<unknown> {
  const script = `const body = ${JSON.stringify(JSON.stringify(request))};
    const post = new Request('http://localhost/', { method: 'POST', body });
    const module = await import(${JSON.stringify(pathToFileURL(example(path)).href)});
    console.log(JSON.stringify(await ${handlers[path]}));`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script]);
  return JSON.parse(stdout);
}

describe('the examples', () => {
  it.each(Object.keys(handlers) as (keyof typeof handlers)[])('%s finds the nearest', async (path) => {
    expect(await answerOf(path)).toEqual([
      { item: 0, score: expect.closeTo(1, 6) },
      { item: 2, score: expect.closeTo(second!, 6) },
    ]);
  });
});

const chromium = findChromium();
const available = capability('chromium', 'program' in chromium, 'missing' in chromium ? chromium.missing : '');

describe.runIf(available)('the examples in headless Chromium', () => {
  // Where the pages of a test come from is the repository.
  const folder = '.cache/examples';
  const bundled = join(root, folder);

  const bundle = async (path: string, output: string, codeSplitting: boolean): Promise<void> => {
    const made = await rolldown({ input: example(path), platform: 'browser', external: /^node:/ });
    await made.write({ dir: bundled, entryFileNames: output, format: 'es', codeSplitting });
  };
  beforeAll(async () => {
    mkdirSync(bundled, { recursive: true });
    cpSync(example('page/index.html'), join(bundled, 'index.html'));
    await bundle('page/main.mjs', 'main.js', true);
    await bundle('service-worker/worker.mjs', 'service-worker.js', false);
  });
  afterAll(() => rmSync(bundled, { recursive: true, force: true }));

  const ask = (task: string, argument: unknown) => visit(chromium as Chromium, { site: 'plain', task, argument });

  it('the page finds the nearest', async () => {
    expect(await ask('page', `/plain/${folder}/index.html`)).toMatch(/^\[\{"item":0,"score":0?\.?\d+.*"item":2/);
  });

  it('the service worker answers', async () => {
    expect(await ask('serviceWorker', { address: `/plain/${folder}/service-worker.js`, request })).toEqual([5, 0, 4]);
  });
});
