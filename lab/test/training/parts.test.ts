/** What the lab's training is made of, without a browser. */
import { createHash } from 'node:crypto';
import { useBackend } from 'tensegrity';
import { Trainer, trainingConfig } from 'tensegrity/models';
import { beforeAll, describe, expect, it } from 'vitest';
import { embeddedFile } from '../../embedded.ts';
import { kernelTimes } from '../../training/kernelTimes.ts';
import { nearestTo, turnedTowards } from '../../training/pictures.ts';
import { planTree } from '../../training/planTree.ts';
import { initialLevers, initialSetting, type LeverRange, levers, methodNames, type Setting } from '../../training/protocol.ts';
import { configOf, conflictIn, leverFault, planKey, settingFault, withLevers, withSetting } from '../../training/settings.ts';
import { sha256 } from '../../training/sha256.ts';
import { Share } from '../../training/share.ts';
import { transferred } from '../../training/transferred.ts';

/** The same numbers for the same seed, from −1 to 1. */
function numbers(seed: number, count: number): Float32Array<ArrayBuffer> {
  let state = seed;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}

describe('sha256', () => {
  it('is that of Node, of any number of bytes in any parts', () => {
    for (let length = 0; length < 200; length++) {
      const bytes = Uint8Array.from(numbers(length + 1, length), (value) => 128 + 127 * value);
      const expected = createHash('sha256').update(bytes).digest('hex');
      expect(sha256([bytes])).toBe(expected);
      const [a, b] = [Math.floor(length / 3), Math.floor(length / 2)];
      expect(sha256([bytes.subarray(0, a), bytes.subarray(a, b), bytes.subarray(b, b), bytes.subarray(b)])).toBe(expected);
    }
    const large = new Uint8Array(3_000_001).fill(7);
    expect(sha256([large])).toBe(createHash('sha256').update(large).digest('hex'));
  });
});

describe('settings', () => {
  const all = methodNames.flatMap((method): Setting[] =>
    [true, false].map((on) => ({ ...initialSetting, method, stopGradient: on, whitening: on, branches: on ? 'shared' : 'separate' })),
  );

  it('are configurations that train, and plans are told apart by what counts', () => {
    for (const setting of all) expect(configOf(setting, { labelled: true })).toMatchObject({ method: setting.method, probe: 'on' });
    // Barlow Twins and SimCLR have no switch; the others two plans each.
    expect(new Set(all.map(planKey)).size).toBe(10);
    expect(conflictIn({ ...initialSetting, method: 'w-mse', batchSize: 31 })).toMatch(/whitens 16 dimensions.*takes 32/);
    expect(all.map(conflictIn)).toEqual(all.map(() => null));
  });

  it('and levers are within their range, or refused by name', () => {
    for (const [name, range] of Object.entries<LeverRange>(levers)) {
      expect([range.least, range.initial, range.most].map((value) => leverFault(name, value))).toEqual([null, null, null]);
      for (const wrong of [range.most * 1.01, -1, Number.NaN, '1', null]) expect(leverFault(name, wrong)).toMatch(name);
    }
    expect(leverFault('offDiagonal', 0)).toBeNull();
    expect(leverFault('toString', 1)).toMatch(/no lever/);
    expect(settingFault('method', 'dino')).toMatch(/one of vicreg/);
    expect(withLevers({ variance: 3 })).toEqual({ value: { ...initialLevers, variance: 3 } });
    expect(withSetting([])).toEqual({ value: initialSetting });
    expect(withSetting(null)).toEqual({ fault: 'it is no record' });
    expect(withSetting({ seed: -1 })).toMatchObject({ fault: expect.stringMatching(/seed/) });
  });
});

describe('pictures', () => {
  it('are turned back to where they were, however they were turned and mirrored', () => {
    const points = numbers(3, 150);
    for (let i = 0; i < points.length; i += 3) points[i + 2]! *= 0.2;
    for (let turn = 0; turn < 12; turn++) {
      const [sine, cosine] = [Math.sin(turn), Math.cos(turn)];
      const moved = points.slice();
      for (let i = 0; i < points.length; i += 3) {
        moved[i] = cosine * points[i]! - sine * points[i + 1]!;
        moved[i + 1] = sine * points[i]! + cosine * points[i + 1]!;
        moved[i + 2] = (turn % 2 === 0 ? 1 : -1) * points[i + 2]!;
      }
      turnedTowards(moved, points).forEach((value, i) => expect(value).toBeCloseTo(points[i]!, 5));
    }
    // Of a single point there is no direction: it stays.
    expect([...turnedTowards(new Float32Array(6), points.slice(0, 6))]).toEqual([0, 0, 0, 0, 0, 0]);
  });

  it('know the nearest rows by their directions', () => {
    const data = Float32Array.of(1, 0, 0, 2, 3, 0.1, -1, 0);
    const nearest = nearestTo({ dtype: 'f32', shape: [4, 2], data }, 0, 3);
    expect(nearest.map(({ image }) => image)).toEqual([2, 1, 3]);
    expect(nearest[2]!.similarity).toBeCloseTo(-1, 6);
  });
});

describe('messages', () => {
  it('give the memory of all their arrays away, once each', () => {
    const shared = new Float32Array(4);
    const message = { a: shared, b: [{ c: shared.subarray(1) }, { c: new Uint8Array(2) }], d: [1, 2], e: null, f: 'text' };
    expect(transferred(message)).toEqual([shared.buffer, message.b[1]!.c.buffer]);
    expect(transferred({ a: new Uint8Array(new SharedArrayBuffer(2)) })).toEqual([]);
  });

  it('come for a share of the time', async () => {
    const share = new Share(0.5, 0);
    const slow = async (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 20));
    expect(await share.when(slow)).toBe(true);
    expect(await share.when(slow)).toBe(false);
    share.hurry();
    expect(await share.when(slow)).toBe(true);
  });
});

describe('a plan', () => {
  beforeAll(async () => {
    await useBackend('wasm', { threads: 1 });
  });

  it('is a tree of all its kernels, each once, with a time', async () => {
    const images = { dtype: 'u8', shape: [16, 1, 8, 8], data: Uint8Array.from(numbers(1, 1024), (value) => 128 + 120 * value) } as const;
    const dataset = { name: 'noise', train: { images }, classes: [], mean: [0.5], deviation: [0.3] };
    const trainer = new Trainer(trainingConfig({ batchSize: 8, widths: [8, 4] }), dataset, { steered: true });
    const plan = await trainer.prepare();
    const times = await kernelTimes(await useBackend('wasm', { threads: 1 }), plan);
    const listing = await trainer.explain();
    const tree = planTree(plan, listing, times);
    expect(tree.kernels).toBe(plan.kernels.length);
    const kernels = tree.phases.flatMap(({ groups }) => groups.flatMap((group) => group.kernels));
    expect(kernels.map(({ index }) => index).sort((a, b) => a - b)).toEqual(plan.kernels.map((_, i) => i));
    expect(kernels.every(({ milliseconds, title, writes }) => milliseconds! >= 0 && title !== '' && writes.length > 0)).toBe(true);
    const [views, forward, backward, update] = tree.phases.map(({ groups }) => groups.map(({ name }) => name));
    expect(views!.length).toBeGreaterThan(0);
    for (const layer of ['encoder.0', 'encoder.2', 'head.0', 'head.3']) expect(forward).toContain(layer);
    expect(backward).toContain('encoder.1');
    expect(update).toContain('encoder.0.0');
    expect(
      tree.phases[3]!.groups.every(({ kernels: own }) => own.every(({ writes }) => writes.some((name) => /optimizer/.test(name)))),
    ).toBe(true);
    // Without times there are none, rather than zeros.
    expect(planTree(plan, listing).milliseconds).toBeNull();
    trainer.dispose();
  });
});

it('the embedded images are some of the repository’s, the same each time', () => {
  const [first, again] = [embeddedFile(), embeddedFile()];
  expect(Buffer.compare(first, again)).toBe(0);
  expect(first.length).toBeLessThan(2.2e6);
});
