import { checkpointBytes, checkpointIn, parseSafetensors } from 'tensegrity/models';
import { describe, expect, it } from 'vitest';
import { sha256 } from '../../training/sha256.ts';
import { small, visits } from './fixture.ts';

const visiting = visits();

describe('what a visitor does', () => {
  it('keeps a run, opens it and what is none, restarts, and takes the encoder with him', () =>
    visiting('isolated', async (visit) => {
      await visit.open({ setting: small });
      await visit.reach(4);
      await visit.post({ kind: 'levers', levers: { variance: 3 } }, { kind: 'pause' }, { kind: 'save' });
      const { step } = await visit.until('saved');
      const { config } = checkpointIn(Uint8Array.from(await visit.page.evaluate(() => [...globalThis.lab.bytes])), sha256);
      expect(config).toMatchObject({ lab: 1, setting: small, levers: { variance: 3 }, images: { name: 'embedded' } });
      const load = (change: number | null) =>
        visit.page.evaluate((change) => {
          const bytes = globalThis.lab.bytes.slice();
          if (change !== null) bytes[change]! ^= 1;
          globalThis.lab.post({ kind: 'load', bytes });
        }, change);
      /** The next steps. */
      const ahead = async () => {
        const from = (await visit.steps()).length;
        const known = (await visit.all('status')).length;
        await visit.post({ kind: 'step' }, { kind: 'step' });
        await visit.until('status', (message) => message.step === step + 2, { from: known });
        return (await visit.steps()).slice(from).map(({ step, loss }) => ({ step, loss }));
      };
      const first = await ahead();
      expect(first.map((each) => each.step)).toEqual([step + 1, step + 2]);
      let known = (await visit.all('status')).length;
      await visit.post({ kind: 'levers', levers: { variance: 90 } }, { kind: 'set', setting: { method: 'simclr' } });
      await visit.until('status', ({ phase, setting }) => phase === 'paused' && setting.method === 'simclr', { from: known });
      known = (await visit.all('status')).length;
      await load(null);
      const opened = await visit.until('status', ({ phase, setting }) => phase === 'paused' && setting.method === 'vicreg', {
        from: known,
      });
      expect(opened).toMatchObject({ step, levers: { variance: 3 } });
      expect(await ahead()).toEqual(first);
      await load(5000);
      const damaged = await visit.until('trouble');
      expect(damaged).toMatchObject({ trouble: 'badRun', command: 'load', message: expect.stringMatching(/damaged.*as before/) });
      const other = checkpointBytes({ tensors: new Map(), step: 0, epoch: 0, batch: 0, key: [], metrics: [], config: { lab: 99 } }, sha256);
      await visit.page.evaluate((bytes) => globalThis.lab.post({ kind: 'load', bytes: Uint8Array.from(bytes) }), [...other]);
      const version = await visit.until('trouble', () => true, { from: 1 });
      expect(version).toMatchObject({ trouble: 'badRun', message: expect.stringMatching(/another version.* 99/) });
      await visit.post({ kind: 'encoder' });
      await visit.until('encoder');
      const { tensors, metadata } = parseSafetensors(Uint8Array.from(await visit.page.evaluate(() => [...globalThis.lab.bytes])));
      expect([...tensors.keys()]).toContain('0.0.weight');
      expect(metadata.get('encoder')).toBe('small-conv');
      await visit.post({ kind: 'plan' });
      const { plan } = await visit.until('plan');
      expect(plan.phases.map(({ name }) => name)).toEqual(['views', 'forward', 'backward', 'update']);
      expect(plan.phases.every(({ groups }) => groups.length > 0)).toBe(true);
      expect(plan.milliseconds).toBeGreaterThan(0);
      known = (await visit.all('status')).length;
      const steps = (await visit.steps()).length;
      await visit.post({ kind: 'restart' }, { kind: 'step' });
      await visit.until('status', (message) => message.step === 1, { from: known });
      expect((await visit.steps())[steps]!.step).toBe(1);
      expect(visit.errors).toEqual([]);
    }));

  it('drops images: they are decoded here, a damaged one is named, one of 40 megapixels is taken, and too few leave all as it was', () =>
    visiting('isolated', async (visit) => {
      await visit.open({ setting: small });
      await visit.reach(2);
      const requests: string[] = [];
      visit.page.on('request', (request) => requests.push(`${request.method()} ${request.url()}`));
      await visit.page.evaluate(() => globalThis.lab.post({ kind: 'images', files: [new Blob(['no image'])], names: ['a.png'] }));
      const few = await visit.until('trouble');
      expect(few).toMatchObject({
        trouble: 'badImages',
        command: 'images',
        message: expect.stringMatching(/two images.*a\.png.*as before/),
      });
      await visit.page.evaluate(async () => {
        const draw = async (width: number, height: number, colour: string) => {
          const canvas = new OffscreenCanvas(width, height);
          const context = canvas.getContext('2d')!;
          context.fillStyle = colour;
          context.fillRect(0, 0, width, height);
          context.fillStyle = '#fff';
          context.fillRect(width / 2, 0, width / 2, height);
          return canvas.convertToBlob({ type: 'image/jpeg' });
        };
        const files = [
          await draw(8000, 5000, '#c00'),
          await draw(60, 90, '#0c0'),
          new Blob([new Uint8Array(200)]),
          await draw(5, 5, '#00c'),
        ];
        const names = ['large.jpg', 'b.jpg', 'cut.jpg', 'c.jpg'];
        globalThis.lab.post({ kind: 'images', files, names, labels: ['warm', 'cold', 'cold', 'cold'] });
      });
      const data = await visit.until('data', ({ name }) => name === 'own');
      expect(data).toMatchObject({ count: 3, classes: ['cold', 'warm'], shown: { count: 3, channels: 3, height: 32, width: 32 } });
      // Red on the left, white on the right: planes of 32×32.
      const pixels = Object.values(data.shown.pixels);
      const at = [32 * 16 + 2, 1024 + 32 * 16 + 2, 1024 + 32 * 16 + 29];
      expect(at.map((pixel) => Math.round(pixels[pixel]! / 64))).toEqual([3, 0, 4]);
      expect((await visit.all('trouble')).at(-1)!.message).toMatch(/on 3 images; cut\.jpg: .*each comes 6 times/);
      const known = (await visit.all('steps')).length;
      await visit.until('steps', ({ steps }) => steps.at(-1)!.step >= 3 && steps.at(-1)!.step < 50, { from: known });
      expect((await visit.until('cloud', ({ points }) => points.length === 9)).geometry).toBe('space');
      await visit.post({ kind: 'images', files: [] });
      await visit.until('data', ({ name, count }) => name === 'embedded' && count === 4096, { from: 2 });
      // Nothing was sent anywhere.
      const origin = new URL(visit.page.url()).origin;
      expect(requests.filter((request) => !request.startsWith(`GET ${origin}`) && !/^GET (blob|data):/.test(request))).toEqual([]);
      expect(visit.errors).toEqual([]);
    }));

  it('changes the method: plans are kept, and the encoder; what cannot be is said', () =>
    visiting('isolated', async (visit) => {
      await visit.open({ setting: small, paused: true });
      await visit.until('status', ({ phase }) => phase === 'paused');
      const change = async (setting: Partial<typeof small>) => {
        const from = (await visit.all('status')).length;
        const step = (await visit.all('status')).at(-1)!.step;
        await visit.post({ kind: 'set', setting }, { kind: 'step' });
        return visit.until('status', (message) => message.step === step + 1 && message.phase === 'paused', { from });
      };
      const settings = [{ method: 'barlow-twins' }, { method: 'simsiam' }, { method: 'byol' }, { stopGradient: false }] as const;
      for (const [i, setting] of settings.entries()) expect((await change(setting)).compiled).toBe(i + 2);
      expect((await change({ method: 'simsiam', stopGradient: true })).compiled).toBe(5);
      // W-MSE cannot whiten as few images as there are dimensions.
      await visit.post({ kind: 'set', setting: { method: 'w-mse' } });
      const refused = await visit.until('trouble');
      expect(refused).toMatchObject({ trouble: 'badSetting', command: 'set', message: expect.stringMatching(/16.*as before/) });
      expect((await visit.all('status')).at(-1)!.setting.method).toBe('simsiam');
      expect((await change({ method: 'w-mse', batchSize: 32 })).compiled).toBe(6);
      expect(await visit.until('cloud', ({ geometry }) => geometry === 'sphere')).toMatchObject({ dimensions: 64 });
      expect((await change({ method: 'vicreg', branches: 'separate' })).compiled).toBe(7);
      await visit.post({ kind: 'set', setting: { batchSize: 1 } });
      const wrong = await visit.until('trouble', () => true, { from: 1 });
      expect(wrong).toMatchObject({ trouble: 'badSetting', message: expect.stringMatching(/batchSize must be a whole number from 2/) });
      await visit.post({ kind: 'choose', image: 3 });
      const { before, now } = await visit.until('neighbours');
      expect([before.length, now.length]).toEqual([8, 8]);
      expect(visit.errors).toEqual([]);
    }));
});
