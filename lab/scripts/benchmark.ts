/**
 * `npm run lab:bench`: steps a second in the page beside Node's, on wasm and on a GPU, in turns; frames a second while it trains; memory over many steps.
 * `--seconds 8 --rounds 3 --steps 2000 --only wasm`, which is a part of the names.
 */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { useBackend } from 'tensegrity';
import { Trainer } from 'tensegrity/models';
import { embeddedFile } from '../embedded.ts';
import { launch, serve } from '../test/site.ts';
import { builtPage, Visit } from '../test/training/visit.ts';
import { embeddedImages } from '../training/images.ts';
import { initialLevers, initialSetting, type Place } from '../training/protocol.ts';
import { configOf, steeringOf } from '../training/settings.ts';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '8' },
    rounds: { type: 'string', default: '3' },
    steps: { type: 'string', default: '2000' },
    only: { type: 'string', default: '' },
  },
});
const seconds = Number(values.seconds);
const median = (some: readonly number[]): number => some.toSorted((a, b) => a - b)[Math.floor(some.length / 2)]!;
const pause = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));

const images = await embeddedImages(`data:application/octet-stream;base64,${Buffer.from(embeddedFile()).toString('base64')}`);
const [site, browser] = await Promise.all([builtPage().then(serve), launch('webgpu')]);

/** Steps a second of the lab's first setting in this process. */
async function inNode(): Promise<number> {
  const backend = await useBackend('wasm');
  const trainer = new Trainer(configOf(initialSetting, { labelled: true }), images.dataset, { steered: true });
  trainer.steer(steeringOf(initialLevers, Object.keys(trainer.steering)));
  let [count, start] = [0, 0];
  for await (const _ of trainer.run()) {
    // The first ones compile.
    if (++count === 3) start = performance.now();
    if (count > 3 && performance.now() - start > 1000 * seconds) break;
  }
  const rate = (count - 3) / ((performance.now() - start) / 1000);
  trainer.dispose();
  backend.dispose();
  return rate;
}

interface Page {
  readonly rate: number;
  readonly frames: number;
  /** The longest time between two frames, in milliseconds. */
  readonly longest: number;
}

/** Steps and frames a second in a page of its own, with its pictures or without. */
async function inPage(place: Place, host: 'isolated' | 'plain', visible: boolean): Promise<Page> {
  const visit = await Visit.to(browser, site, host);
  await visit.open({ place });
  await visit.post({ kind: 'visible', visible });
  await visit.reach(3, 300);
  const before = (await visit.steps()).length;
  const start = performance.now();
  const { frames, longest } = await visit.page.evaluate(
    (length) =>
      new Promise<{ frames: number; longest: number }>((resolve) => {
        const begin = performance.now();
        let [last, frames, longest] = [begin, 0, 0];
        const frame = (): void => {
          const now = performance.now();
          longest = Math.max(longest, now - last);
          last = now;
          frames++;
          if (now - begin < length) requestAnimationFrame(frame);
          else resolve({ frames: (1000 * frames) / (now - begin), longest });
        };
        requestAnimationFrame(frame);
      }),
    1000 * seconds,
  );
  const done = (await visit.steps()).length - before;
  const took = (performance.now() - start) / 1000;
  await visit.close();
  return { rate: done / took, frames, longest };
}

const contestants: Readonly<Record<string, () => Promise<number | Page>>> = {
  'Node, wasm, all cores': inNode,
  'page, wasm, all cores, no pictures': () => inPage({ backend: 'wasm' }, 'isolated', false),
  'page, wasm, all cores': () => inPage({ backend: 'wasm' }, 'isolated', true),
  'page, wasm, not isolated': () => inPage({ backend: 'wasm' }, 'plain', true),
  'page, webgpu (an imitation), no pictures': () => inPage({ backend: 'webgpu' }, 'isolated', false),
};

const results = new Map<string, (number | Page)[]>();
for (let round = 0; round < Number(values.rounds); round++)
  for (const [name, run] of Object.entries(contestants).filter(([name]) => name.includes(values.only)))
    results.set(name, [...(results.get(name) ?? []), await run()]);
for (const [name, all] of results) {
  const rates = all.map((each) => (typeof each === 'number' ? each : each.rate));
  const pages = all.flatMap((each) => (typeof each === 'number' ? [] : [each]));
  const [frames, longest] = [pages.map((each) => each.frames), pages.map((each) => each.longest)];
  const drawn =
    pages.length > 0 ? `, ${median(frames).toFixed(1)} frames a second, at most ${Math.max(...longest).toFixed(0)} ms between two` : '';
  console.log(`${name}: ${median(rates).toFixed(2)} steps a second (${rates.map((rate) => rate.toFixed(2)).join(', ')})${drawn}`);
}

/** MiB that the processes of pages hold, their workers among it: what the operating system counts, on Linux. */
async function resident(): Promise<number> {
  const session = await browser.newBrowserCDPSession();
  const { processInfo } = await session.send('SystemInfo.getProcessInfo');
  await session.detach();
  const pages = processInfo.filter(({ type }) => type === 'renderer').map(({ id }) => readFileSync(`/proc/${id}/status`, 'utf8'));
  return pages.reduce((sum, status) => sum + Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) / 1024, 0);
}

// Memory as it trains, of small steps with all pictures.
const steps = Number(values.steps);
if (steps > 0) {
  const visit = await Visit.to(browser, site, 'isolated');
  await visit.open({ setting: { ...initialSetting, batchSize: 8 } });
  for (let at = 1; at <= 8; at++) {
    await visit.reach(Math.round((steps * at) / 8), 1200);
    await pause(2500);
    const engine = ((await visit.all('memory')).at(-1)?.engineBytes ?? Number.NaN) / 2 ** 20;
    const step = (await visit.steps()).at(-1)!.step;
    console.log(`step ${step}: engine ${engine.toFixed(1)} MiB, the page's process ${(await resident()).toFixed(0)} MiB`);
  }
  await visit.close();
}
await browser.close();
site.close();
