import { parseSafetensors } from 'tensegrity/models';
import { describe, expect, it } from 'vitest';
import type { MessageOf } from '../../training/protocol.ts';
import { small, visits } from './fixture.ts';

const visiting = visits();

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

describe('where it trains', () => {
  it('is wasm, with a thread for each core, where the page is isolated; all that is to be seen comes', () =>
    visiting('isolated', async (visit) => {
      await visit.open({ setting: small, place: { backend: 'auto' } });
      await visit.reach(30);
      const steps = await visit.steps();
      expect(steps.map(({ step }) => step)).toEqual(steps.map((_, i) => i + 1));
      expect(mean(steps.slice(20, 30).map(({ loss }) => loss))).toBeLessThan(steps[0]!.loss);
      const { at, compiled } = (await visit.all('status')).at(-1)!;
      const cores = await visit.page.evaluate(() => navigator.hardwareConcurrency);
      expect(at).toEqual({ backend: 'wasm', threads: cores, isolated: true, worker: true, adapter: null });
      expect(compiled).toBe(1);
      const { shown, labels, classes, count } = await visit.until('data');
      expect({ count, classes: classes.length, shown: shown.count, labels: labels.length }).toEqual({
        count: 4096,
        classes: 10,
        shown: 256,
        labels: 256,
      });
      const cloud = await visit.until('cloud', ({ step }) => step > 0);
      expect(cloud).toMatchObject({ geometry: 'space', dimensions: 32 });
      expect(cloud.points.length).toBe(3 * 256);
      expect(cloud.rankMe).toBeGreaterThan(1);
      const picture = await visit.until('batch');
      expect({ deviations: picture.deviations.length, matrix: picture.matrix.length }).toEqual({ deviations: 32, matrix: 32 * 32 });
      // The covariance's diagonal holds the squares of the deviations, and its trace the spectrum's sum.
      const diagonal = Array.from({ length: 32 }, (_, i) => picture.matrix[33 * i]!);
      diagonal.forEach((variance, i) => expect(variance).toBeCloseTo(picture.deviations[i]! ** 2, 4));
      expect(mean([...Object.values(picture.spectrum)])).toBeCloseTo(mean(diagonal), 4);
      const { images, views } = await visit.until('views');
      expect([images.count, ...views.map(({ count }) => count)]).toEqual([8, 8, 8]);
      await visit.until('scores', ({ nearest, probe }) => nearest !== null && nearest > 0.2 && probe !== null);
      await visit.until('memory', ({ engineBytes }) => engineBytes > 1e6);
      expect(await visit.all('trouble')).toEqual([]);
      expect(visit.errors).toEqual([]);
    }));

  it('is one thread of wasm, and says why, where the page is not isolated', () =>
    visiting('plain', async (visit) => {
      await visit.open({ setting: small });
      await visit.reach(30);
      expect((await visit.all('status')).at(-1)!.at).toMatchObject({ backend: 'wasm', threads: 1, isolated: false });
      expect(await visit.all('trouble')).toEqual([
        { kind: 'trouble', trouble: 'oneThread', message: expect.stringMatching(/not cross-origin isolated/), goesOn: true, command: null },
      ]);
    }));

  it('is the page itself, where no worker may start, and says so', () =>
    visiting('workerless', async (visit) => {
      await visit.open({ setting: small });
      await visit.reach(2);
      expect((await visit.all('status')).at(-1)!.at).toMatchObject({ backend: 'wasm', threads: 1, worker: false });
      expect((await visit.all('trouble')).map(({ trouble, goesOn }) => [trouble, goesOn])).toEqual([
        ['noWorker', true],
        ['oneThread', true],
      ]);
    }));

  it('is plain JavaScript, where WebAssembly is forbidden, and says so', () =>
    visiting('wasmless', async (visit) => {
      await visit.open({ setting: { ...small, batchSize: 4 } });
      await visit.reach(2);
      expect((await visit.all('status')).at(-1)!.at).toMatchObject({ backend: 'cpu' });
      expect((await visit.until('data')).shown.count).toBe(16);
      expect(await visit.all('trouble')).toEqual([
        expect.objectContaining({ trouble: 'noWebAssembly', message: expect.stringMatching(/plain JavaScript/) }),
      ]);
    }));

  it('moves from wasm to the GPU and, when that is lost, back, on one curve', () =>
    visiting('isolated', async (visit) => {
      const setting = { ...small, batchSize: 4 };
      await visit.open({ setting }, 'faults');
      await visit.reach(4);
      // Pictures of 256 images take long on an imitation of a GPU.
      await visit.post({ kind: 'visible', visible: false }, { kind: 'move', place: { backend: 'webgpu' } });
      await visit.until('status', ({ at, phase }) => at?.backend === 'webgpu' && phase === 'running');
      const moved = (await visit.steps()).length;
      await visit.reach(moved + 30, 200);
      const onGpu = (await visit.steps()).length;
      await visit.page.evaluate(() => globalThis.lab.post({ kind: 'loseGpu' } as never));
      const { message } = await visit.until('trouble', ({ trouble }) => trouble === 'gpuLost');
      const from = Number(/goes on with WebAssembly, from step (\d+)\./.exec(message)?.[1]);
      expect(from).toBeGreaterThanOrEqual(moved);
      await visit.until('status', ({ at, phase, step }) => at?.backend === 'wasm' && phase === 'running' && step >= from);
      await visit.next('steps', ({ steps }) => steps.at(-1)!.step > from);
      // A run that never moved has the same losses, but for rounding.
      await visiting('isolated', async (straight) => {
        await straight.open({ setting });
        await straight.reach(moved + 3);
        const [steps, expected] = [await visit.steps(), await straight.steps()];
        for (let i = 0; i < moved + 3; i++) expect(steps[i]!.loss, `step ${i + 1}`).toBeCloseTo(expected[i]!.loss, 1);
        expect(steps.slice(onGpu).some(({ step }) => step === from + 1)).toBe(true);
        expect(steps.every(({ loss }) => Number.isFinite(loss))).toBe(true);
      });
    }));
});

describe('levers', () => {
  const state = ({ verdict }: MessageOf<'batch'>) => verdict.state;

  it('variance to 0: all falls onto a point, and it says collapsed; back: it recovers; covariance off: dimensions become copies; nothing compiles', () =>
    visiting('isolated', async (visit) => {
      await visit.open();
      await visit.reach(8);
      const last = async (count: number) => (await visit.steps()).slice(-count);
      const after = async (steps: number) => visit.reach((await visit.steps()).at(-1)!.step + steps);
      await visit.post({ kind: 'levers', levers: { variance: 0 } });
      await after(40);
      expect(mean((await last(3)).map(({ deviation }) => deviation))).toBeLessThan(0.1);
      expect((await visit.next('batch', (message) => state(message) === 'collapsed')).verdict).toMatchObject({
        measured: { name: 'deviation' },
        message: expect.stringMatching(/^the embedding has collapsed: .* raise the weight of the variance term$/),
      });
      await visit.post({ kind: 'levers', levers: { variance: 25 } });
      await after(30);
      expect(mean((await last(3)).map(({ deviation }) => deviation))).toBeGreaterThan(0.25);
      await visit.next('batch', (message) => state(message) !== 'collapsed');
      const before = mean((await last(5)).map(({ correlation }) => correlation));
      await visit.post({ kind: 'levers', levers: { covariance: 0 } });
      await after(30);
      expect(mean((await last(3)).map(({ correlation }) => correlation))).toBeGreaterThan(Math.max(0.6, before + 0.05));
      expect((await visit.all('status')).at(-1)).toMatchObject({ compiled: 1, levers: { variance: 25, covariance: 0 } });
    }));

  it('strength to 0: views are the images; rate to the least: the weights hardly move', () =>
    visiting('isolated', async (visit) => {
      await visit.open({ setting: small, paused: true });
      await visit.until('status', ({ phase }) => phase === 'paused');
      const known = (await visit.all('views')).length;
      await visit.post({ kind: 'levers', levers: { strength: 0, learningRate: 1e-5 } });
      const { images, views } = await visit.until('views', () => true, { from: known });
      const pixels = Object.values(images.pixels);
      for (const view of views)
        Object.values(view.pixels).forEach((value, i) => expect(Math.abs(value - pixels[i]!)).toBeLessThanOrEqual(1));
      await visit.post({ kind: 'step' });
      const { steps } = await visit.until('steps');
      expect(steps[0]!.parts['invariance']).toBeLessThan(1e-6);
      /** How far the first layer's weights move in a step at a rate. */
      const moved = async (learningRate: number) => {
        const weights = async () => {
          const known = (await visit.all('encoder')).length;
          await visit.post({ kind: 'encoder' });
          await visit.until('encoder', () => true, { from: known });
          const bytes = await visit.page.evaluate(() => [...globalThis.lab.bytes]);
          return Array.from(parseSafetensors(Uint8Array.from(bytes)).tensors.get('0.0.weight')!.data);
        };
        const before = await weights();
        await visit.post({ kind: 'levers', levers: { learningRate } }, { kind: 'step' });
        return (await weights()).reduce((most, value, i) => Math.max(most, Math.abs(value - before[i]!)), 0);
      };
      expect(await moved(1e-5)).toBeLessThan(2e-5);
      expect(await moved(1e-2)).toBeGreaterThan(1e-3);
      await visit.post({ kind: 'levers', levers: { variance: 1e9 } });
      expect(await visit.until('trouble')).toMatchObject({
        trouble: 'badSetting',
        message: expect.stringMatching(/variance goes from 0 to 100/),
      });
    }));
});
