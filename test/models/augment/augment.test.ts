import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Tensor, tensor, uniform } from '../../../engine/index.ts';
import { type Augmentation, type AugmentationName, augmentation, augmentations, leftOut } from '../../../models/augment/augment.ts';
import {
  adjustBrightness,
  adjustContrast,
  adjustHue,
  adjustSaturation,
  luminance,
  solarise,
  toGrey,
} from '../../../models/augment/color.ts';
import { gaussianBlur } from '../../../models/augment/geometry.ts';
import { uniformAt } from '../../recordings/recordings.ts';
import { property } from '../../support/property.ts';
import { expectError, seeds } from '../support.ts';

const batches = fc.record({
  seed: seeds,
  n: fc.integer({ min: 1, max: 4 }),
  channels: fc.constantFrom(1, 3),
  rows: fc.integer({ min: 1, max: 9 }),
  columns: fc.integer({ min: 1, max: 9 }),
});
interface Batch {
  readonly seed: number;
  readonly n: number;
  readonly channels: number;
  readonly rows: number;
  readonly columns: number;
}
const presets = fc.constantFrom(...(Object.keys(augmentations) as AugmentationName[]));

/** Images of 2, 4 and more channels too. */
const others = batches.chain((batch) => fc.constantFrom(1, 2, 3, 4, 5, 13).map((channels) => ({ ...batch, channels })));

/** Images in [0, 1), the same for the same seed. */
function imagesOf({ seed, n, channels, rows, columns }: Batch): Tensor {
  return uniform([n, channels, rows, columns], { key: seed });
}

/** One parameter for every image. */
function each(n: number, value: number): Tensor {
  return tensor(new Float32Array(n).fill(value), { shape: [n, 1, 1, 1] });
}

async function largestDifference(a: Tensor, b: Tensor): Promise<number> {
  expect(a.shape).toEqual(b.shape);
  const [left, right] = [Float32Array.from(await a.data()), await b.data()];
  return left.reduce((worst, value, i) => Math.max(worst, Number.isFinite(value) ? Math.abs(value - right[i]!) : Infinity), 0);
}

interface MeasuredWindow {
  /** Negative where the view is flipped. */
  readonly width: number;
  readonly height: number;
  readonly x: number;
  readonly y: number;
}

/** The windows of n views, as parts of the image. Of images whose channels are ramps over x and over y, a view's slopes are its window's width and height, and its values say where it lies. */
async function windowsOf(config: Augmentation, n: number): Promise<MeasuredWindow[]> {
  const size = 32;
  const ramps = new Float32Array(n * 2 * size * size);
  for (let at = 0; at < ramps.length; at++) {
    const [column, row, channel] = [at % size, Math.floor(at / size) % size, Math.floor(at / size ** 2) % 2];
    ramps[at] = ((channel === 0 ? column : row) + 0.5) / size;
  }
  const view = await augmentation(config)(tensor(ramps, { shape: [n, 2, size, size] }), 3).data();
  const at = (i: number, channel: number, row: number, column: number): number => view[((2 * i + channel) * size + row) * size + column]!;
  const middle = size / 2;
  return Array.from({ length: n }, (_, i) => ({
    width: size * (at(i, 0, middle, middle) - at(i, 0, middle, middle - 1)),
    height: size * (at(i, 1, middle, middle) - at(i, 1, middle - 1, middle)),
    x: (at(i, 0, middle, middle) + at(i, 0, middle, middle - 1)) / 2,
    y: (at(i, 1, middle, middle) + at(i, 1, middle - 1, middle)) / 2,
  }));
}

/** Kolmogorov and Smirnov's distance of two samples. */
function distance(a: readonly number[], b: readonly number[]): number {
  const below = (values: readonly number[], limit: number): number => values.filter((value) => value <= limit).length / values.length;
  return Math.max(...a.map((limit) => Math.abs(below(a, limit) - below(b, limit))));
}

describe('an augmentation', () => {
  it('gives a view of the size that is asked for: of a whole image, the image at another resolution', async () => {
    const images = imagesOf({ seed: 3, n: 2, channels: 3, rows: 8, columns: 8 });
    const half = await augmentation({ size: [4, 4] })(images, 1);
    expect(half.shape).toEqual([2, 3, 4, 4]);
    // Halved bilinearly, with pixels as areas: each is the mean of four.
    const means = images.reshape([2, 3, 4, 2, 4, 2]).mean([3, 5]);
    expect(await largestDifference(half, means)).toBeLessThan(1e-6);
    const crops = augmentation({ crop: { scale: [0.05, 0.3] }, flip: 0.5, size: [3, 5], blur: { sigma: [0.1, 2], p: 1 } });
    expect(crops(images, 1).shape).toEqual([2, 3, 3, 5]);
    expectError(() => augmentation({ size: [0, 4] }), 'argument', /size must be \[height, width\], whole numbers ≥ 1/);
    expectError(() => augmentation({ size: 4 as unknown as [number, number] }), 'argument', /size must be/);
  });

  it('keeps the shape and stays within [0, 1], for every preset and for both views', () =>
    property([others, presets], async (batch, name) => {
      for (const config of augmentations[name]) {
        const view = augmentation(config)(imagesOf(batch), batch.seed + 1);
        expect(view.shape).toEqual([batch.n, batch.channels, batch.rows, batch.columns]);
        for (const value of await view.data()) expect(value >= 0 && value <= 1).toBe(true);
      }
    }));

  it('is a function of its key: the same bits again, other views for another key', () =>
    property([batches, presets], async (batch, name) => {
      const augment = augmentation(augmentations[name][0]);
      const images = imagesOf({ ...batch, rows: 8, columns: 8 });
      const [first, again, other] = await Promise.all([5, 5, 6].map((key) => augment(images, key).data()));
      expect(again).toEqual(first);
      expect(other).not.toEqual(first);
    }));

  it('treats each image alone: changing one leaves the views of the others', () =>
    property([others, presets, fc.nat()], async (batch, name, chosen) => {
      const augment = augmentation(augmentations[name][1]);
      const images = await imagesOf({ ...batch, n: 3 }).data();
      const size = images.length / 3;
      const changed = images.slice();
      changed.fill(0.5, (chosen % 3) * size, ((chosen % 3) + 1) * size);
      const shape = [3, batch.channels, batch.rows, batch.columns];
      const [before, after] = await Promise.all([images, changed].map((data) => augment(tensor(data, { shape }), batch.seed).data()));
      for (const i of [0, 1, 2].filter((image) => image !== chosen % 3)) {
        expect(after!.subarray(i * size, (i + 1) * size)).toEqual(before!.subarray(i * size, (i + 1) * size));
      }
    }));

  it('draws other parameters for each image', async () => {
    const image = uniform([1, 1, 8, 8], { key: 1 });
    const data = await augmentation(augmentations.reference[0])(image.expand([16, 1, 8, 8]), 2).data();
    const views = new Set(Array.from({ length: 16 }, (_, i) => data.subarray(i * 64, (i + 1) * 64).join()));
    expect(views.size).toBe(16);
  });

  it('that asks for nothing, or for nothing that shows, gives the images back', () =>
    property([batches], async (batch) => {
      const images = imagesOf(batch);
      const neutral = [
        {},
        { crop: { scale: [1, 1], ratio: [1, 1] } },
        { jitter: { brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.1, p: 0 } },
        { flip: 0, grey: 0, blur: { sigma: [1, 2], p: 0 }, solarise: { p: 0 } },
      ] as const;
      for (const config of neutral) expect(await largestDifference(augmentation(config)(images, batch.seed), images)).toBeLessThan(2e-6);
    }));

  it('of images that are neither grey nor of three colours changes brightness and contrast, leaves colour out, and says so', () =>
    property([others.filter(({ channels }) => ![1, 3].includes(channels)), seeds], async (batch, key) => {
      const images = imagesOf(batch);
      const colourful = { jitter: { brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.1, p: 1 }, grey: 1 };
      const plain = { jitter: { brightness: 0.4, contrast: 0.4, p: 1 } };
      expect(leftOut(colourful, batch.channels)).toEqual(['saturation', 'hue', 'grey']);
      expect(leftOut(plain, batch.channels)).toEqual([]);
      for (const channels of [1, 3]) expect(leftOut(colourful, channels)).toEqual([]);
      const [view, expected] = [colourful, plain].map((config) => augmentation(config)(images, key));
      expect(await view!.data()).toEqual(await expected!.data());
      // All channels count alike: exchanged before or after, they give the same.
      const reversed = augmentation(plain)(images.flip(1), key).flip(1);
      expect(await largestDifference(reversed, view!)).toBeLessThan(1e-6);
      const contrast = adjustContrast(images, each(batch.n, 0));
      expect(await largestDifference(contrast, images.mean([1, 2, 3], true).expand(images.shape))).toBeLessThan(1e-6);
    }));

  it('with a flip of probability 1 mirrors, and twice gives the images back', () =>
    property([batches], async (batch) => {
      const images = imagesOf(batch);
      const mirror = augmentation({ flip: 1 });
      const mirrored = mirror(images, 1);
      expect(await largestDifference(mirrored, images.flip(3))).toBeLessThan(2e-6);
      expect(await largestDifference(mirror(mirrored, 2), images)).toBeLessThan(4e-6);
    }));

  it('crops windows of the area and the shape that were asked for, inside the image, and flips half of them', async () => {
    const [n, scale] = [512, [0.3, 1] as const];
    const windows = await windowsOf({ crop: { scale }, flip: 0.5 }, n);
    for (const { width, height, x, y } of windows) {
      const [w, h] = [Math.abs(width), height];
      expect(h).toBeGreaterThan(0);
      expect(w * h).toBeGreaterThan(scale[0] * 0.85);
      expect(w * h).toBeLessThan(1.001);
      expect(w / h).toBeGreaterThan(0.749);
      expect(w / h).toBeLessThan(1.335);
      expect(Math.abs(x - 0.5)).toBeLessThan((1 - w) / 2 + 1e-3);
      expect(Math.abs(y - 0.5)).toBeLessThan((1 - h) / 2 + 1e-3);
    }
    const mean = (value: (window: (typeof windows)[number]) => number): number =>
      windows.reduce((sum, window) => sum + value(window), 0) / n;
    expect(Math.abs(mean(({ width }) => (width < 0 ? 1 : 0)) - 0.5)).toBeLessThan(0.1);
    expect(Math.abs(mean(({ x }) => x) - 0.5)).toBeLessThan(0.03);
    // E[area] = .65, less what cutting at the image's edge takes.
    expect(mean(({ width, height }) => Math.abs(width) * height)).toBeGreaterThan(0.58);
    expect(mean(({ width, height }) => Math.abs(width) * height)).toBeLessThan(0.68);
  });

  it('of the reference draws windows as the recipe of PyTorch does (recipe_torch.py)', async () => {
    const [{ crop, flip }] = augmentations.reference as readonly [Required<Augmentation>, Augmentation];
    const windows = await windowsOf({ crop, flip }, 1000);
    // The recipe, line by line.
    const recipe = Array.from({ length: 4000 }, (_, i) => {
      const [area, aspect, centreX, centreY] = [0, 1, 2, 3].map((stream) => uniformAt(20 + stream, i)) as [number, number, number, number];
      const surface = 0.3 + 0.7 * area;
      const ratio = Math.exp(Math.log(3 / 4) + aspect * (Math.log(4 / 3) - Math.log(3 / 4)));
      const [width, height] = [Math.min(1, Math.sqrt(surface * ratio)), Math.min(1, Math.sqrt(surface / ratio))];
      // From [−1, 1] to [0, 1] of the image.
      const x = 0.5 + ((centreX * 2 - 1) * (1 - width)) / 2;
      const y = 0.5 + ((centreY * 2 - 1) * (1 - height)) / 2;
      return { width, height, x, y };
    });
    const measures: readonly ((window: MeasuredWindow) => number)[] = [
      ({ width, height }) => Math.abs(width) * height,
      ({ width, height }) => Math.abs(width) / height,
      ({ x }) => x,
      ({ y }) => y,
      ({ width, x }) => Math.abs(x - 0.5) / (1.001 - Math.abs(width)),
    ];
    // At this size, samples of one distribution differ by more than .06 once in two hundred draws; the draws are fixed.
    for (const measure of measures) expect(distance(windows.map(measure), recipe.map(measure))).toBeLessThan(0.06);
  });

  it('of the reference changes brightness and contrast as the recipe does, both or neither', async () => {
    const n = 2000;
    const [{ jitter }] = augmentations.reference as readonly [Required<Augmentation>, Augmentation];
    // Two levels that nothing cuts: a view's mean tells its brightness, and its deviation over its mean its contrast.
    const levels = [0.3, 0.5] as const;
    const view = await augmentation({ jitter })(
      tensor(
        Float32Array.from({ length: 2 * n }, (_, i) => levels[i % 2]!),
        { shape: [n, 1, 1, 2] },
      ),
      4,
    ).data();
    const factors = Array.from({ length: n }, (_, i) => {
      const [low, high] = [view[2 * i]!, view[2 * i + 1]!];
      return { brightness: (low + high) / 0.8, contrast: (high - low) / (low + high) / 0.25 };
    });
    const changed = factors.filter(({ brightness, contrast }) => Math.abs(brightness - 1) > 1e-5 && Math.abs(contrast - 1) > 1e-5);
    const same = factors.filter(({ brightness, contrast }) => Math.abs(brightness - 1) < 1e-5 && Math.abs(contrast - 1) < 1e-5);
    expect(changed.length + same.length).toBeGreaterThan(n - 5);
    expect(Math.abs(changed.length / n - 0.8)).toBeLessThan(0.03);
    const even = Array.from({ length: 4000 }, (_, i) => 0.6 + (0.8 * i) / 4000);
    expect(
      distance(
        changed.map(({ brightness }) => brightness),
        even,
      ),
    ).toBeLessThan(0.05);
    expect(
      distance(
        changed.map(({ contrast }) => contrast),
        even,
      ),
    ).toBeLessThan(0.05);
    const covariance = changed.reduce((sum, { brightness, contrast }) => sum + (brightness - 1) * (contrast - 1), 0) / changed.length;
    expect(Math.abs(covariance) / (0.64 / 12)).toBeLessThan(0.1);
  });

  it('does what it does as often as it is told', async () => {
    const n = 1024;
    const images = tensor(
      Float32Array.from({ length: 3 * n }, (_, i) => [0.9, 0.2, 0.4][i % 3]!),
      { shape: [n, 3, 1, 1] },
    );
    for (const [config, p] of [
      [{ grey: 0.2 }, 0.2],
      [{ solarise: { p: 0.3 } }, 0.3],
      [{ jitter: { brightness: 0.4, p: 0.8 } }, 0.8],
    ] as const) {
      const [view, before] = [await augmentation(config)(images, 9).data(), await images.data()];
      const changed = Array.from({ length: n }, (_, i) => [0, 1, 2].some((channel) => view[3 * i + channel] !== before[3 * i + channel]));
      expect(Math.abs(changed.filter(Boolean).length / n - p)).toBeLessThan(0.06);
    }
  });

  it('refuses ranges and probabilities that make no sense, and images that it cannot take', () => {
    expectError(() => augmentation({ flip: 1.5 }), 'argument', /flip must be from 0 to 1, got 1.5/);
    expectError(() => augmentation({ crop: { scale: [0, 1] } }), 'argument', /crop scale .* got \[0, 1\]/);
    expectError(() => augmentation({ crop: { scale: [0.5, 2] } }), 'argument', /crop scale .* ≤ 1/);
    expectError(() => augmentation({ blur: { sigma: [2, 1], p: 1 } }), 'argument', /blur sigma/);
    expectError(() => augmentation({ jitter: { hue: 0.6, p: 1 } }), 'argument', /hue must be from 0 to 0.5, got 0.6/);
    expectError(() => augmentation({ flip: NaN }), 'argument', /flip/);
    expectError(() => augmentation({})(uniform([4, 4], { key: 0 }), 1), 'shape', /\[N, C, H, W\]/);
    expectError(() => adjustHue(uniform([1, 2, 4, 4], { key: 0 }), each(1, 0)), 'shape', /1 channel or of 3, red, green and blue/);
  });
});

describe('colours', () => {
  it('stay as they are with neutral parameters, and within [0, 1] with any', () =>
    property([batches, fc.float({ min: 0, max: 3, noNaN: true })], async (batch, factor) => {
      const images = imagesOf(batch);
      const turns = [adjustBrightness, adjustContrast, adjustSaturation, adjustHue];
      for (const [i, adjust] of turns.entries()) {
        expect(await largestDifference(adjust(images, each(batch.n, i === 3 ? 0 : 1)), images)).toBeLessThan(1e-5);
        for (const value of await adjust(images, each(batch.n, factor)).data()) expect(value >= 0 && value <= 1).toBe(true);
      }
    }));

  it('that turn all round come back, and a third of a turn makes green of red', async () => {
    await property([batches], async (batch) => {
      const images = imagesOf(batch);
      const third = each(batch.n, 1 / 3);
      const round = adjustHue(adjustHue(adjustHue(images, third), third), third);
      expect(await largestDifference(round, images)).toBeLessThan(2e-5);
      // Channels change places: R → G → B → R.
      if (batch.channels === 3) {
        const channels = [2, 0, 1].map((channel) => images.narrow(1, channel, 1));
        const turned = adjustHue(images, third);
        for (const [i, channel] of channels.entries()) expect(await largestDifference(turned.narrow(1, i, 1), channel)).toBeLessThan(1e-5);
      }
    });
  });

  it('made grey have equal channels of the same brightness; nothing is left of them without saturation', () =>
    property([batches], async (batch) => {
      const images = imagesOf({ ...batch, channels: 3 });
      const grey = toGrey(images, each(batch.n, 1).cast('u8'));
      const without = adjustSaturation(images, each(batch.n, 0));
      for (const view of [grey, without]) {
        for (const channel of [0, 1, 2]) {
          expect(await largestDifference(view.narrow(1, channel, 1), luminance(images))).toBeLessThan(1e-6);
        }
      }
      expect(await largestDifference(luminance(grey), luminance(images))).toBeLessThan(1e-6);
    }));

  it('without contrast are the mean brightness, and doubled twice as far from it where nothing is cut', async () => {
    const image = tensor([0.4, 0.5, 0.6, 0.5], { shape: [1, 1, 2, 2] });
    expect(await adjustContrast(image, each(1, 0)).data()).toEqual(Float32Array.of(0.5, 0.5, 0.5, 0.5));
    expect(await largestDifference(adjustContrast(image, each(1, 2)), tensor([0.3, 0.5, 0.7, 0.5], { shape: [1, 1, 2, 2] }))).toBeLessThan(
      1e-6,
    );
  });

  it('solarised are negated from the threshold on, where chosen', async () => {
    const images = tensor([0.2, 0.5, 0.9, 0.2, 0.5, 0.9], { shape: [2, 1, 1, 3] });
    const chosen = tensor(Uint8Array.of(1, 0), { shape: [2, 1, 1, 1] });
    expect(await largestDifference(solarise(images, chosen), tensor([0.2, 0.5, 0.1, 0.2, 0.5, 0.9], { shape: [2, 1, 1, 3] }))).toBeLessThan(
      1e-6,
    );
  });
});

describe('Gaussian blur', () => {
  const sigmas = fc.float({ min: Math.fround(0.1), max: 3, noNaN: true });

  it('leaves constants, and keeps the range of the values', () =>
    property([batches, sigmas, fc.float({ min: 0, max: 1, noNaN: true })], async (batch, sigma, value) => {
      const deviations = tensor(new Float32Array(batch.n).fill(sigma));
      const images = imagesOf(batch);
      const constant = images.mul(0).add(value);
      expect(await largestDifference(gaussianBlur(constant, deviations), constant)).toBeLessThan(1e-6);
      const [before, after] = [await images.data(), await gaussianBlur(images, deviations).data()];
      const [low, high] = [Math.min(...before), Math.max(...before)];
      for (const pixel of after) expect(pixel >= low - 1e-6 && pixel <= high + 1e-6).toBe(true);
    }));

  it('of deviation 0 changes no bit, whatever the other images have', () =>
    property([batches, sigmas], async (batch, sigma) => {
      const images = imagesOf({ ...batch, n: 2 });
      const blurred = await gaussianBlur(images, tensor([0, sigma])).data();
      const before = await images.data();
      expect(blurred.subarray(0, before.length / 2)).toEqual(before.subarray(0, before.length / 2));
    }));

  it('spreads a point as the normal density', async () => {
    const point = new Float32Array(21 * 21);
    point[10 * 21 + 10] = 1;
    const blurred = await gaussianBlur(tensor(point, { shape: [1, 1, 21, 21] }), tensor([1.5])).data();
    const weight = (distance: number): number => Math.exp((-distance * distance) / 4.5);
    const total = Array.from({ length: 21 }, (_, i) => weight(i - 10)).reduce((sum, value) => sum + value);
    for (const [row, column] of [
      [10, 10],
      [10, 12],
      [8, 11],
      [13, 13],
    ] as const) {
      expect(blurred[row * 21 + column]).toBeCloseTo((weight(row - 10) * weight(column - 10)) / total ** 2, 6);
    }
  });
});

describe('the strength of an augmentation', () => {
  it('is all of it at 1, and at 0 leaves images as they are, as a number and as a tensor', () =>
    property([batches, presets, fc.boolean()], async (batch, name, asTensor) => {
      const [images, strength] = [imagesOf(batch), (value: number) => (asTensor ? tensor(value) : value)];
      for (const config of augmentations[name]) {
        const view = augmentation(config);
        expect(await largestDifference(view(images, batch.seed, strength(1)), view(images, batch.seed))).toBeLessThan(1e-4);
        expect(await largestDifference(view(images, batch.seed, strength(0)), images)).toBeLessThan(1e-4);
      }
    }));

  it('is that of a configuration whose extents are that part of it', () =>
    property([batches, fc.double({ min: 0, max: 1, noNaN: true })], async (batch, strength) => {
      const images = imagesOf(batch);
      const whole = augmentation({ crop: { scale: [0.2, 0.8], ratio: [1, 1] }, flip: 0.5, jitter: { brightness: 0.6, p: 0.7 }, grey: 0.3 });
      const part = augmentation({
        crop: { scale: [1 - 0.8 * strength, 1 - 0.2 * strength], ratio: [1, 1] },
        flip: 0.5 * strength,
        jitter: { brightness: 0.6 * strength, p: 0.7 },
        grey: 0.3 * strength,
      });
      expect(await largestDifference(whole(images, batch.seed, strength), part(images, batch.seed))).toBeLessThan(1e-5);
    }));

  it('is a number from 0 to 1', () => {
    expectError(() => augmentation({ flip: 0.5 })(tensor(new Float32Array(4), { shape: [1, 1, 2, 2] }), 1, 1.5), 'argument', /strength/);
  });
});
