import { writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { runPage } from '../../../cli/pages/run.ts';
import { type MetricsLine, type RunConfig, RunFolder } from '../../../cli/runFolder.ts';
import { trainingConfig } from '../../../models/index.ts';
import { temporaryFolder } from '../support.ts';
import { expectWhole, textsOf } from './support.ts';

const path = temporaryFolder();

const config: RunConfig = {
  training: trainingConfig(),
  source: { data: 'fashion-mnist-subset' },
  backend: { name: 'wasm', deterministic: false },
};

const line = (step: number, more: Partial<MetricsLine> = {}): MetricsLine => ({
  step,
  epoch: 0,
  learningRate: 1e-3,
  loss: 25 / step + 0.1 * Math.sin(step),
  parts: { invariance: 1 / step, variance: 0.5, covariance: 0.1 * Math.cos(step) },
  deviation: 0.9,
  normalizedDeviation: 0.95,
  correlation: 0.1,
  imagesPerSecond: 900,
  ...more,
});
const lines = (count: number, more: (step: number) => Partial<MetricsLine> = () => ({})): MetricsLine[] =>
  Array.from({ length: count }, (_, i) => line(i + 1, more(i + 1)));
/** As they come from a file, where what is no number is null. */
const read = (all: readonly MetricsLine[]): MetricsLine[] => JSON.parse(JSON.stringify(all)) as MetricsLine[];
const whole = (...given: Parameters<typeof runPage>): string => {
  const text = runPage(...given);
  expectWhole(text);
  return text;
};

describe('the page of a run', () => {
  it('holds for a run of no step, of one, and of a few', () => {
    expect(textsOf(whole(config, [], null), 'h2')).toEqual(['Settings']);
    for (const count of [1, 2, 5]) expect(textsOf(whole(config, lines(count), null), 'h2')).toEqual(['Training', 'Settings']);
  });

  it('holds for 100 000 steps, whose spikes it keeps, in a small page', () => {
    const many = lines(100_000, (step) => ({
      ...(step === 54_321 && { loss: 900 }),
      ...(step % 1000 === 0 && { rankMe: step / 1000 }),
      imagesPerSecond: 800 + 100 * Math.sin(step),
    }));
    const text = whole(config, many, null);
    expect(text.length).toBeLessThan(200_000);
    expect(text).toMatch(/loss from [^;"]* within [^;"]* … 900/);
    expect(text).toContain('100\u202f000 steps of 256 images');
  });

  it('says first that a run diverged, and where', () => {
    const broken = lines(20, (step) =>
      step < 12 ? {} : { loss: step === 12 ? Infinity : NaN, deviation: NaN, parts: { invariance: NaN } },
    );
    for (const some of [broken, read(broken)]) {
      const text = whole(config, some, null);
      expect(textsOf(text, 'p')[1]).toMatch(/^✗ the loss is/);
      expect(text).toContain('× no number: loss at step 12 and 8 more.');
      expect(text).toContain('invariance at step 12');
    }
    whole(config, read(lines(1, () => ({ loss: NaN, deviation: NaN, normalizedDeviation: NaN, correlation: NaN }))), null);
  });

  it('says first that a run collapsed', () => {
    const text = whole(
      config,
      lines(9, () => ({ deviation: 1e-3 })),
      null,
    );
    expect(textsOf(text, 'p')[1]).toMatch(/^✗ the embedding has collapsed: /);
  });

  it('holds for lines and scores of a version before, which lack fields', () => {
    const old = lines(9).map(({ step, epoch, loss }) => ({ step, epoch, loss }) as MetricsLine);
    const titles = textsOf(whole(config, old, { trained: { linear: 0.5, linear2x2: null, nearest: null } as never }), 'figcaption');
    expect(titles).toEqual(['Loss']);
  });

  it('has the lines of a version before, from its file', async () => {
    const old = lines(3).map(({ normalizedDeviation, ...rest }) => rest);
    const folder = new RunFolder(path);
    writeFileSync(folder.file('metrics.jsonl'), old.map((one) => `${JSON.stringify(one)}\n`).join(''));
    const found = await folder.openLog(3);
    await folder.closeLog();
    expect(found).toEqual(old);
    expect(whole(config, found, null)).not.toContain('std_ℓ2');
  });

  it('shows what was only measured now and then', () => {
    const dashboard = { rankMeCentred: 30, lidar: 20, nearest: 0.7, spectrum: [1] } as unknown as NonNullable<MetricsLine['dashboard']>;
    const text = whole(
      config,
      lines(10, (step) => ({ probeAccuracy: step / 20, ...(step % 5 === 0 && { rankMe: step, dashboard }) })),
      null,
    );
    for (const name of ['RankMe, after each epoch', 'RankMe of centred features', 'LiDAR', 'online linear probe', 'k-NN'])
      expect(text).toContain(`${name} <b>`);
  });

  it('holds for names that are markup', () => {
    const data = '/data/"><img src=x onerror=alert(1)>\u202e.npy';
    const text = whole({ ...config, source: { data } }, [line(1, { parts: { '<b>': 1 } })], null, [
      { title: '<script>', text: '</script>', content: '<svg>' },
    ]);
    expect(textsOf(text, 'h1')[0]).toContain('&lt;img src=x onerror=alert(1)&gt;\\u{202e}.npy');
    expect(text).toContain('&lt;b&gt; <b>1</b>');
  });
});
