/** What is trained on images that are decoded meanwhile has the bits of its files, whenever each of them was decoded. */
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { useBackend } from '../../../engine/index.ts';
import { completeDataset, type ImageDataset } from '../../../models/data/images.ts';
import { readyBatches } from '../../../models/data/loader.ts';
import { type DatasetOptions, loadDataset } from '../../../models/data/node.ts';
import { dashboard } from '../../../models/train/dashboard.ts';
import { scoreEncoder, scorePixels, trainingRankMe } from '../../../models/train/evaluate.ts';
import { fineTune } from '../../../models/train/fineTune.ts';
import { initialEncoder, Trainer } from '../../../models/train/trainer.ts';
import { property } from '../../support/property.ts';
import { smallConfig } from './support.ts';

const folder = mkdtempSync(join(tmpdir(), 'tensegrity-background-'));
/** How long each decoding is held back, in turn. */
let delays: readonly number[] = [];
let decoded = 0;

beforeAll(async () => {
  await useBackend('wasm', { threads: 1 });
  const noise = (i: number): Promise<Buffer> =>
    sharp(
      Uint8Array.from({ length: 3 * 64 }, (_, at) => (Math.imul(at + 1, 40503 * (i + 1)) >>> 7) % 256),
      { raw: { width: 8, height: 8, channels: 3 } },
    )
      .png()
      .toBuffer();
  for (let i = 0; i < 30; i++) {
    for (const part of ['own', 'pairs']) {
      const bytes = await noise(part === 'own' ? i : 99 + i);
      // Damaged inside, one after the other.
      if (part === 'own' && (i === 10 || i === 12)) bytes.fill(0xee, bytes.indexOf('IDAT') + 8, bytes.indexOf('IDAT') + 14);
      mkdirSync(join(folder, part, `class${i % 2}`), { recursive: true });
      writeFileSync(join(folder, part, `class${i % 2}`, `${100 + i}.png`), bytes);
    }
  }
  // What sharp gives comes later.
  vi.doMock('sharp', () => ({
    default: (...given: Parameters<typeof sharp>) => {
      const pipeline = sharp(...given);
      const toBuffer = pipeline.toBuffer.bind(pipeline);
      const later = async (options: { resolveWithObject: true }) => {
        const delay = delays[decoded++ % delays.length] ?? 0;
        if (delay > 0) await new Promise((resolve) => setTimeout(resolve, delay));
        return toBuffer(options);
      };
      return Object.assign(pipeline, { toBuffer: later });
    },
  }));
});
afterAll(() => {
  vi.doUnmock('sharp');
  rmSync(folder, { recursive: true, force: true });
});

const load = (given: DatasetOptions = {}): Promise<ImageDataset> =>
  loadDataset(join(folder, 'own'), { size: 8, background: true, sample: 3, testShare: 0.25, ...given });

/** The batches of an epoch, from one on. */
async function epochOf({ train }: ImageDataset, epoch: number, first = 0) {
  const all = [];
  for await (const batch of readyBatches(train, { batchSize: 7 }, epoch, first)) all.push(batch);
  return all;
}

describe('batches of images that are decoded meanwhile', () => {
  it('are the same however many are decoded at a time, and however long each takes, from any batch on', async () => {
    delays = [];
    const once = await load();
    const epochs = [await epochOf(once, 0), await epochOf(once, 1)];
    await property(
      [fc.integer({ min: 1, max: 9 }), fc.array(fc.nat(2), { maxLength: 9 }), fc.nat(1), fc.nat(3)],
      async (concurrency, held, epoch, first) => {
        delays = held;
        const dataset = await load({ concurrency });
        expect(dataset.mean).toEqual(once.mean);
        expect(dataset.contents).toEqual(once.contents);
        expect(await epochOf(dataset, epoch, first)).toEqual(epochs[epoch]!.slice(first));
      },
    );
  });
});

describe('a training on images that are decoded meanwhile', () => {
  const configs = {
    // With pairs.
    vicreg: smallConfig({ batchSize: 9, probe: 'on' }),
    // It looks at all images before an epoch.
    deepcluster: smallConfig({ method: 'deepcluster', batchSize: 8, methodOptions: { prototypes: 6 } }),
  };
  type Name = keyof typeof configs;
  const open = (name: Name, concurrency: number, held: readonly number[]): Promise<ImageDataset> => {
    delays = held;
    return load({ concurrency, ...(name === 'vicreg' && { pairs: join(folder, 'pairs') }) });
  };
  /** Goes on to the end, or until so many steps are done. */
  async function go(trainer: Trainer, until = Infinity) {
    const losses: number[] = [];
    if (trainer.step < until)
      for await (const { step, loss } of trainer.run()) {
        losses.push(loss);
        if (step >= until) break;
      }
    return { losses, state: await trainer.state() };
  }

  it.each([
    ['vicreg', 1],
    ['deepcluster', 3],
  ] as const)(
    'has the same bits with one decoding at a time or many, held back or not, and gone on with after a kill: %s',
    async (name, cut) => {
      const config = configs[name];
      const trainer = new Trainer(config, await open(name, 1, []));
      const whole = await go(trainer);
      const later = new Trainer(config, await open(name, 8, [5, 0, 11, 2]));
      const { losses, state } = await go(later, cut);
      const resumed = new Trainer(config, await open(name, 2, [0, 1, 4]));
      resumed.restore(state);
      for (const rest of [await go(resumed), await go(later)]) {
        expect([...losses, ...rest.losses]).toEqual(whole.losses);
        expect(rest.state).toEqual(whole.state);
      }
      expect(await resumed.embeddings()).toEqual(await trainer.embeddings());
      for (const done of [trainer, later, resumed]) done.dispose();
    },
  );

  it('is scored, looked at and fine-tuned as one on images that were decoded before, without what is damaged', async () => {
    const config = configs.vicreg;
    const encoder = initialEncoder(config, 3);
    const { mean, deviation } = await load();
    const before: ImageDataset = { ...(await load({ background: false, pairs: join(folder, 'pairs') })), mean, deviation };
    const beside = (): Promise<ImageDataset> => open('vicreg', 2, [1, 0]);
    expect(before.train.images.shape[0]! + before.test!.images.shape[0]!).toBe(28);
    expect(await completeDataset(await beside())).toMatchObject(before);
    expect(await scoreEncoder(encoder, await beside())).toEqual(await scoreEncoder(encoder, before));
    expect(await scorePixels(await beside())).toEqual(await scorePixels(before));
    expect(await trainingRankMe(encoder, await beside(), 3)).toBe(await trainingRankMe(encoder, before, 3));
    expect(await dashboard(encoder, await beside(), config)).toEqual(await dashboard(encoder, await beside(), config));
    const tuned = async (dataset: ImageDataset) => fineTune(initialEncoder(config, 3), dataset, { epochs: 2, batchSize: 9 });
    expect(await tuned(await open('vicreg', 1, []))).toEqual(await tuned(await beside()));
  });

  it('ends where it waits for a file that has gone, and goes on with the same bits when it is back', async () => {
    const config = configs.vicreg;
    const whole = await go(new Trainer(config, await open('vicreg', 2, [])));
    const trainer = new Trainer(config, await open('vicreg', 1, [2]));
    const { state } = await go(trainer, 1);
    const away = `${folder}-away`;
    renameSync(join(folder, 'own'), away);
    try {
      await expect(go(trainer)).rejects.toMatchObject({
        code: 'storage',
        message: expect.stringMatching(/cannot read .*\.png: there is no such file/),
      });
    } finally {
      renameSync(away, join(folder, 'own'));
    }
    const resumed = new Trainer(config, await open('vicreg', 2, []));
    resumed.restore(state);
    expect((await go(resumed)).state).toEqual(whole.state);
  });
});
