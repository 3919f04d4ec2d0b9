import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  type DType,
  eye,
  grad,
  ones,
  randn,
  realize,
  stack,
  type Tensor,
  tensor,
  trace,
  useBackend,
  zeros,
} from '../../../engine/index.ts';
import {
  alignment,
  alignmentUniformity,
  codingRate,
  corInfoMax,
  covarianceMatrix,
  empssl,
  frossl,
  frosslDialects,
  functional,
  intl,
  invariance,
  invarianceToMean,
  lejepa,
  logDeterminant,
  mmcr,
  runningMoments,
  sigreg,
  tico,
  ticoCovariance,
  ticoDialects,
  uniformity,
  vibcreg,
  vicreg,
  vicregl,
  visreg,
  zcaWhitening,
} from '../../../models/index.ts';
import { property } from '../../support/property.ts';
import { atEachPrecision, converted } from '../recorded.ts';
import { expectClose, expectError, expectGradient, gaussian, normalMatrix, orthogonal, seeds, sizes, values } from '../support.ts';

/** A loss of two views, and what it does not see. */
interface Row {
  readonly loss: (za: Tensor, zb: Tensor) => Tensor;
  /** Which order the views come in. */
  readonly exchange?: true;
  /** A joint rotation of the dimensions. */
  readonly rotation?: true;
  /** The length of rows, each by itself, the scale of columns, or of all. */
  readonly scale?: 'rows' | 'columns' | 'all';
  /** A constant added to each dimension of a view. */
  readonly shift?: true;
  /** How many samples it takes for a gradient that differences can be held against; 2, unless given. */
  readonly least?: number;
  /** Parts of it are data, which have no gradient. */
  readonly data?: true;
  /** It takes two dimensions. */
  readonly plane?: true;
}

const initial = (z: Tensor): { mean: Tensor; covariance: Tensor } => ({
  mean: zeros([z.shape[1]!], z.dtype),
  covariance: eye(z.shape[1]!, z.dtype),
});
const covarianceOf = (z: Tensor): Tensor => eye(z.shape[1]!, z.dtype).mul(1 / z.shape[1]!);

const losses: Readonly<Record<string, Row>> = {
  lejepa: { loss: (a, b) => lejepa([a, b], { slices: 16 }).loss, exchange: true },
  visreg: { loss: (a, b) => visreg([a, b], { slices: 16 }).loss, exchange: true, data: true },
  vibcreg: { loss: (a, b) => vibcreg(a, b).loss, exchange: true },
  'the covariance of vibcreg': { loss: (a, b) => vibcreg(a, b).covariance, exchange: true, scale: 'columns', shift: true, least: 4 },
  vicregl: { loss: (a, b) => vicregl([a, b]).loss, exchange: true },
  empssl: { loss: (a, b) => empssl([a, b]).loss, exchange: true, rotation: true, scale: 'rows' },
  mmcr: { loss: (a, b) => mmcr([a, b]).loss, exchange: true, rotation: true, scale: 'rows' },
  'mmcr with its local term': { loss: (a, b) => mmcr([a, b], { local: 0.5 }).loss, exchange: true, rotation: true, scale: 'rows' },
  'mmcr with a teacher': { loss: (a, b) => mmcr([a, b], { teacher: [b, a] }).loss, exchange: true, rotation: true, scale: 'rows' },
  alignmentUniformity: { loss: (a, b) => alignmentUniformity(a, b).loss, exchange: true, rotation: true, scale: 'rows' },
  corInfoMax: {
    loss: (a, b) => corInfoMax(a, b, [initial(a), initial(b)]).loss,
    exchange: true,
    rotation: true,
  },
  'intl of samples': { loss: (a, b) => intl([a, b]).loss, exchange: true, least: 4, plane: true },
  'intl of dimensions': {
    loss: (a, b) => intl([a, b], { whitened: 'dimensions' }).loss,
    exchange: true,
    scale: 'all',
    shift: true,
    least: 4,
  },
  ...Object.fromEntries(
    frosslDialects.map((dialect): [string, Row] => [
      `frossl, ${dialect}`,
      {
        loss: (a, b) => frossl([a, b], { dialect }).loss,
        exchange: true,
        scale: 'columns',
        ...(dialect === 'paper' && { shift: true, least: 4 }),
      },
    ]),
  ),
  ...Object.fromEntries(
    ticoDialects.map((dialect): [string, Row] => [
      `tico, ${dialect}`,
      {
        loss: (a, b) => tico(a, b, covarianceOf(a), { dialect }).loss,
        rotation: true,
        scale: 'rows',
        ...(dialect !== 'sayannag' && { data: true }),
      },
    ]),
  ),
};

/** A random order of 0 … n−1. */
function order(seed: number, n: number): Tensor {
  const { data } = gaussian(seed, [n]);
  return tensor(Int32Array.from(Array.from(data.keys()).sort((i, j) => data[i]! - data[j]!)));
}

const rows = fc.constantFrom(...Object.entries(losses));
const shapes = sizes([2, 9], [2, 6]);

describe('each of the losses', () => {
  atEachPrecision(({ dtype }) => {
    const drawn = (seed: number, ...shape: number[]): Tensor => tensor(converted(gaussian(seed, shape), dtype));
    const [tolerance, floor] = dtype === 'f64' ? [1e-7, 1e-2] : [5e-3, 0.1];

    it('does not see what it is said not to see', () =>
      property([rows, shapes, seeds], async ([, { loss, exchange, rotation, scale, shift }], { n, d }, seed) => {
        const [za, zb] = [drawn(seed, n, d), drawn(seed + 1, n, d)];
        const turn = tensor(converted(await orthogonal(seed + 2, d).toHost(), dtype));
        // From .1 to 10.
        const factor = drawn(seed + 2, scale === 'rows' ? n : 1, scale === 'columns' ? d : 1)
          .tanh()
          .mul(Math.LN10)
          .exp();
        const changed = [
          [za, zb].map((z) => z.take(order(seed + 2, n), 0)),
          ...(exchange ? [[zb, za]] : []),
          ...(rotation ? [[za.matmul(turn), zb.matmul(turn)]] : []),
          ...(scale ? [[za.mul(factor), zb.mul(factor)]] : []),
          ...(shift ? [[za, zb].map((z) => z.add(drawn(seed + 2, 1, d)))] : []),
        ];
        const expected = loss(za, zb);
        await expectClose(stack(changed.map(([a, b]) => loss(a!, b!))), expected.expand([changed.length]), tolerance, floor);
      }));
  });
});

describe('each of the losses', () => {
  beforeAll(async () => {
    await useBackend('cpu');
  });

  it('has the gradient of its value', () =>
    property(
      // Where parts are data to the loss, its gradient is another.
      [rows.filter(([, { data }]) => !data), shapes, seeds],
      async ([, { loss, least = 2 }], { n, d }, seed) => {
        const count = Math.max(n, least);
        const other = normalMatrix(seed + 1, count, d);
        await expectGradient((z) => loss(z, other).add(loss(other, z)), gaussian(seed, [count, d]), 1e-4, 1);
      },
      { numRuns: 100 },
    ));

  it.each(Object.entries(losses))('says what is wrong with its input: %s', (_, { loss }) => {
    const z = normalMatrix(0, 4, 3);
    expectError(() => loss(z, normalMatrix(0, 4, 2)), 'shape', /one shape|need a (mean|covariance)/);
    expectError(() => loss(z, z.reshape([4, 3, 1])), 'shape', /one shape/);
    expectError(() => loss(z.cast('i32'), z.cast('i32')), 'dtype', /takes floats/);
  });
});

describe('of the losses in particular', () => {
  beforeAll(async () => {
    await useBackend('cpu');
  });
  const shapes = [sizes([2, 9], [1, 6]), seeds] as const;
  const pair = (seed: number, n: number, d: number): readonly [Tensor, Tensor] => [normalMatrix(seed, n, d), normalMatrix(seed + 1, n, d)];
  const three = (seed: number, n: number, d: number): readonly Tensor[] => [0, 1, 2].map((v) => normalMatrix(seed + v, n, d));

  it('invarianceToMean of two views is a quarter of the invariance; of equal ones, however many, 0', () =>
    property([...shapes], async ({ n, d }, seed) => {
      const [za, zb] = pair(seed, n, d);
      await expectClose(invarianceToMean([za, zb]), invariance(za, zb).div(4), 1e-12);
      // About the first view alone it is half: one of two views is at the centre.
      await expectClose(invarianceToMean([za, zb], 1), invariance(za, zb).div(2), 1e-12);
      await expectClose(invarianceToMean([za, za, za]), zeros([], 'f64'), 1e-12, 1);
    }));

  it('lejepa weighs SIGReg, the mean over views, against the invariance', () =>
    property([...shapes, fc.double({ min: 0, max: 1, noNaN: true })], async ({ n, d }, seed, lambda) => {
      const views = three(seed, n, d);
      const directions = orthogonal(seed, d);
      const { loss, invariance: agreement, sigreg: normality } = lejepa(views, { sigreg: lambda, directions });
      await expectClose(normality, stack(views.map((z) => sigreg(z, { directions }))).mean(), 1e-12);
      await expectClose(agreement, invarianceToMean(views), 1e-12);
      await expectClose(loss, agreement.mul(1 - lambda).add(normality.mul(lambda)), 1e-12);
    }));

  it('visreg has a shape whose gradient grows as the deviation falls, and scale and offset of 0 for a standard sample', async () => {
    const options = { regularization: 1, scale: 0, offset: 0, slices: 8 };
    const slope = async (scale: number): Promise<number> => {
      const z = normalMatrix(1, 30, 4).mul(scale);
      const [gradient] = grad(visreg([z, z], options).loss, [z]);
      return gradient!.norm().item();
    };
    expect((await slope(0.01)) / (await slope(1))).toBeCloseTo(100, 0);
    const z = normalMatrix(1, 30, 4);
    const standard = z.sub(z.mean(0)).div(z.std(0, { correction: 0 }));
    const { scale, offset } = visreg([standard, standard]);
    await expectClose(stack([scale, offset]), zeros([2], 'f64'), 1e-11, 1);
  });

  it('vibcreg has VICReg’s invariance and twice its variance, and a covariance from 0 to 2(d − 1)/d, where all dimensions are copies', () =>
    property([...shapes], async ({ n, d }, seed) => {
      const [za, zb] = pair(seed, n, d);
      const [mine, theirs] = [vibcreg(za, zb), vicreg(za, zb)];
      await expectClose(mine.invariance, theirs.invariance, 1e-12);
      await expectClose(mine.variance, theirs.variance.mul(2), 1e-12);
      const copies = za.slice(null, [0, 1]).expand([n, d]);
      const [covariance, most] = await values(mine.covariance, vibcreg(copies, copies).covariance);
      expect(most![0]).toBeCloseTo((2 * (d - 1)) / d, 9);
      expect(covariance![0]).toBeLessThanOrEqual(most![0]! + 1e-9);
    }));

  it('vicregl of two views is VICReg in its dialect, and of more the mean over pairs and views', () =>
    property([...shapes], async ({ n, d }, seed) => {
      const [a, b, c] = three(seed, n, d) as [Tensor, Tensor, Tensor];
      await expectClose(vicregl([a, b]).loss, vicreg(a, b, { dialect: 'vicregl' }).loss, 1e-12);
      const [all, ab, ac, bc] = [
        vicregl([a, b, c]),
        ...[[a, b] as const, [a, c] as const, [b, c] as const].map((two) => vicregl([...two])),
      ];
      await expectClose(all!.invariance, ab!.invariance.mul(2).add(ac!.invariance).add(bc!.invariance).div(4), 1e-12);
      await expectClose(all!.covariance, ab!.covariance.add(ac!.covariance).add(bc!.covariance).div(3), 1e-12);
    }));

  it('tico has a contrast from 0 to 1, reached at collapse, and an average of covariances of trace 1', () =>
    property([...shapes], async ({ n, d }, seed) => {
      const [za, zb] = pair(seed, n, d);
      const before = ticoCovariance(zb, zeros([d, d], 'f64'), 0);
      await expectClose(trace(before), ones([], 'f64'), 1e-12);
      await expectClose(ticoCovariance(za, before), before.mul(0.9).add(ticoCovariance(za, before, 0).mul(0.1)), 1e-12);
      const point = za.slice([0, 1]).expand([n, d]);
      const [contrast, most, spread] = await values(
        tico(za, zb, before).contrast,
        tico(point, point, ticoCovariance(point, before, 0)).contrast,
        tico(za, zb, eye(d, 'f64').div(d), { covarianceMomentum: 1 }).contrast,
      );
      expect(contrast![0]).toBeGreaterThanOrEqual(-1e-12);
      expect(contrast![0]).toBeLessThanOrEqual(1 + 1e-12);
      expect(most![0]).toBeCloseTo(1, 12);
      expect(spread![0]).toBeCloseTo(1 / d, 12);
    }));

  it('tico has one value with the batch’s covariance as data or not, and another gradient', async () => {
    const [za, zb] = pair(1, 8, 4);
    const before = eye(4, 'f64').div(4);
    const of = (dialect: (typeof ticoDialects)[number]): { loss: Tensor; gradient: Tensor } => {
      const { loss } = tico(za, zb, before, { dialect, contrast: 8 });
      return { loss, gradient: grad(loss, [za])[0]! };
    };
    await expectClose(of('sayannag').loss, of('paper').loss);
    await expectClose(of('lightly').loss, of('paper').loss.add(1));
    await expectClose(of('lightly').gradient, of('paper').gradient);
    const [paper, sayannag] = await values(of('paper').gradient, of('sayannag').gradient);
    expect(Math.max(...paper!.map((value, i) => Math.abs(value - sayannag![i]!)))).toBeGreaterThan(1e-3);
  });

  it('mmcr has a global part from √n, at collapse, to √(n·min(n, d)), and a local one from √V, where views agree, to V', () =>
    property([...shapes], async ({ n, d }, seed) => {
      const views = three(seed, n, d);
      const point = views[0]!.slice([0, 1]).expand([n, d]);
      const few = Math.min(n, d);
      const spread = eye(few, 'f64').take(tensor(Int32Array.from({ length: n - (n % few) }, (_, i) => i % few)), 0);
      const [mixed, same, one, even] = await values(
        ...[mmcr(views), mmcr([views[0]!, views[0]!, views[0]!]), mmcr([point, point]), mmcr([spread, spread])].map((parts) =>
          stack([parts.global, parts.local]),
        ),
      );
      expect(one![0]).toBeCloseTo(Math.sqrt(n), 8);
      expect(same![1]).toBeCloseTo(Math.sqrt(3), 8);
      expect(even![0]).toBeCloseTo(Math.sqrt((n - (n % few)) * few), 8);
      expect(mixed![1]).toBeGreaterThanOrEqual(Math.sqrt(3) - 1e-9);
      expect(mixed![1]).toBeLessThanOrEqual(3 + 1e-9);
      expect(mixed![0]).toBeLessThanOrEqual(Math.sqrt(n * few) + 1e-9);
    }));

  it('mmcr with a teacher that agrees is without one, and has half a share for it', () =>
    property([...shapes], async ({ n, d }, seed) => {
      const views = three(seed, n, d);
      await expectClose(mmcr(views, { teacher: views }).loss, mmcr(views).loss, 1e-10);
      const [gradient] = grad(mmcr(views, { teacher: views.map((view) => view.stopGradient()) }).loss, [views[0]!]);
      await expectClose(gradient!, grad(mmcr(views).loss, [views[0]!])[0]!.div(2), 1e-8, 1e-3);
    }));

  it('codingRate is that of all dimensions or of all samples, within its bounds for rows of length 1', () =>
    property([...shapes, fc.double({ min: 0.01, max: 2, noNaN: true })], async ({ n, d }, seed, epsilon) => {
      const z = functional.normalize(normalMatrix(seed, n, d));
      const whole = logDeterminant(
        z
          .transpose()
          .matmul(z)
          .mul(d / (n * epsilon))
          .add(eye(d, 'f64')),
      ).div(2);
      await expectClose(codingRate(z, epsilon), whole, 1e-10, 1);
      const [rate, point] = await values(codingRate(z, epsilon), codingRate(z.slice([0, 1]).expand([n, d]), epsilon));
      const few = Math.min(n, d);
      expect(point![0]).toBeCloseTo(0.5 * Math.log1p(d / epsilon), 9);
      expect(rate![0]).toBeGreaterThanOrEqual(point![0]! - 1e-9);
      expect(rate![0]).toBeLessThanOrEqual(0.5 * few * Math.log1p(d / (few * epsilon)) + 1e-9);
    }));

  it('frossl is finite, with its gradient, however small its embeddings are', async () => {
    for (const scale of [1e-100, 1e-150, 1e-160, 1e-200, 1e-310]) {
      const views = [1, 2].map((key) => randn([6, 3], { key, dtype: 'f64' }).mul(scale)) as [Tensor, Tensor];
      const { loss } = frossl(views);
      for (const x of [loss, ...grad(loss, views)]) expect((await x.data()).every(Number.isFinite), `${scale}`).toBe(true);
    }
  });

  it('frossl regularises from −V·ln min(n, d), where eigenvalues are alike, to 0, where there is one', () =>
    property([...shapes, fc.constantFrom(...frosslDialects)], async ({ n, d }, seed, dialect) => {
      const views = three(seed, n, d);
      const point = views[0]!.slice(null, [0, 1]).expand([n, d]);
      const [mixed, most, least] = await values(
        frossl(views, { dialect }).regularization,
        frossl([point, point], { dialect }).regularization,
        frossl([eye(d + 1, 'f64'), eye(d + 1, 'f64')]).regularization,
      );
      expect(mixed![0]).toBeGreaterThanOrEqual(-3 * Math.log(Math.min(n, d)) - 1e-9);
      expect(mixed![0]).toBeLessThanOrEqual(1e-9);
      expect(most![0]).toBeCloseTo(0, 9);
      expect(least![0]).toBeCloseTo(-2 * Math.log(d + 1), 9);
    }));

  it('frossl of solo-learn has an invariance V times smaller', () =>
    property([...shapes], async ({ n, d }, seed) => {
      const views = three(seed, n, d);
      const [official, solo] = [frossl(views), frossl(views, { dialect: 'solo-learn' })];
      await expectClose(official.invariance, solo.invariance.mul(3), 1e-12);
      await expectClose(official.regularization, solo.regularization, 1e-12);
    }));

  it('corInfoMax without memory is the log-determinant of each view’s biased covariance', () =>
    property([sizes([6, 12], [1, 4]), seeds], async ({ n, d }, seed) => {
      const [za, zb] = pair(seed, n, d);
      const moments = [initial(za), initial(zb)] as const;
      const { information } = corInfoMax(za, zb, moments, { momentum: 0, epsilon: 1e-3 });
      const of = (z: Tensor): Tensor =>
        logDeterminant(
          covarianceMatrix(z)
            .mul((n - 1) / n)
            .add(eye(d, 'f64').mul(1e-3)),
        ).div(d);
      await expectClose(information, of(za).add(of(zb)), 1e-9, 1);
      // With nothing but memory it is what was.
      const kept = runningMoments(za, moments[0], 1);
      await expectClose(kept.mean, moments[0].mean);
      await expectClose(kept.covariance, moments[0].covariance);
    }));

  it('intl has a trace of 0, but for the rest of the steps, where the covariance is already round', async () => {
    const turn = orthogonal(1, 6).slice(null, [0, 3]);
    const round = turn.sub(turn.mean(0));
    const z = zcaWhitening(round).mul(7);
    const { distance, trace: left } = intl([z, z], { whitened: 'dimensions', iterations: 12 });
    await expectClose(stack([distance, left]), zeros([2], 'f64'), 1e-6, 1);
  });

  it('alignmentUniformity is of the metrics of those names', () =>
    property([...shapes], async ({ n, d }, seed) => {
      const [za, zb] = pair(seed, n, d);
      const { loss } = alignmentUniformity(za, zb, { alignment: 3, uniformity: 0.5 });
      const expected = alignment(za, zb)
        .mul(3)
        .add(uniformity(za).add(uniformity(zb)).mul(0.25));
      await expectClose(loss, expected, 1e-12, 1);
    }));

  it('lists of views are of at least two, of one shape', () => {
    const z = normalMatrix(1, 6, 3);
    const listed = { lejepa, visreg, vicregl, empssl, mmcr, frossl, intl };
    for (const [name, loss] of Object.entries(listed)) {
      expectError(() => loss([z]), 'argument', new RegExp(`(${name}|invarianceToMean): takes a list of at least 2 views, got 1`));
      expectError(() => loss(z as never), 'argument', /must be an array/);
      expectError(() => loss([z, z, normalMatrix(1, 6, 4)]), 'shape', /one shape/);
    }
    for (const globals of [0, 3, 1.5]) {
      expectError(() => lejepa([z, z], { globals }), 'argument', /globals must be a whole number from 1 to the 2 views/);
      expectError(() => vicregl([z, z], { globals }), 'argument', /globals must be a whole number from 1 to the 2 views/);
    }
    expectError(() => mmcr([z, z], { teacher: [z] }), 'argument', /the teacher must have 2 views, got 1/);
    expectError(() => lejepa([z, z], { sigreg: 1.5 }), 'argument', /sigreg must be from 0 to 1/);
    expectError(() => visreg([z, z], { regularization: -1 }), 'argument', /regularization must be from 0 to 1/);
    expectError(() => codingRate(z, 0), 'argument', /epsilon must be above 0/);
    expectError(() => frossl([z, z], { dialect: 'lightly' as 'paper' }), 'argument', /official, paper, solo-learn/);
    expectError(() => tico(z, z, covarianceOf(z), { dialect: 'official' as 'paper' }), 'argument', /paper, lightly, sayannag/);
    expectError(() => tico(z, z, eye(3)), 'shape', /need a covariance f64 \[3, 3\], got f32 \[3, 3\]/);
    expectError(() => ticoCovariance(z, covarianceOf(z), 2), 'argument', /momentum must be from 0 to 1/);
    expectError(() => runningMoments(z, initial(normalMatrix(1, 6, 4))), 'shape', /need a mean \[3\] and a covariance \[3, 3\]/);
    expectError(() => corInfoMax(z, z, [initial(z)] as never), 'argument', /moments of two views, got 1/);
    expectError(() => intl([z, z], { whitened: 'rows' as 'samples' }), 'argument', /samples, dimensions/);
  });
});

atEachPrecision(({ dtype }) => {
  const of = (data: readonly (readonly number[])[]): Tensor =>
    tensor(
      data.map((row) => [...row]),
      { dtype: dtype as DType },
    );
  const normal = (seed: number, n: number, d: number): Tensor => tensor(converted(gaussian(seed, [n, d]), dtype));
  const rows = (count: number, row: readonly number[]): Tensor => of(Array.from({ length: count }, () => row));
  const degenerate: Readonly<Record<string, () => readonly [Tensor, Tensor]>> = {
    'a batch of two': () => [normal(1, 2, 3), normal(2, 2, 3)],
    'more dimensions than samples': () => [normal(1, 3, 8), normal(2, 3, 8)],
    'one dimension': () => [normal(1, 6, 1), normal(2, 6, 1)],
    'views that are the same': () => [normal(1, 6, 3), normal(1, 6, 3)],
    'rows that are all the same': () => [rows(6, [0.5, -1.25, 2]), rows(6, [0.5, -1.25, 2])],
    'rows that are all 0': () => [rows(6, [0, 0, 0]), rows(6, [0, 0, 0])],
    'a row of 0 among others': () => [normal(1, 4, 3).mul(of([[1], [0], [1], [1]])), normal(2, 4, 3)],
    'a dimension that is constant': () => [
      normal(1, 6, 3)
        .mul(of([[1, 0, 1]]))
        .add(of([[0, 0.5, 0]])),
      normal(2, 6, 3),
    ],
    'dimensions that are copies': () => [normal(1, 6, 1).expand([6, 3]), normal(2, 6, 1).expand([6, 3])],
    'rows that are opposite': () => [
      of([
        [1, 2],
        [-1, -2],
        [1, 2],
        [-1, -2],
      ]),
      of([
        [1, 2],
        [-1, -2],
        [1, 2],
        [-1, -2],
      ]),
    ],
  };

  describe.each(Object.entries(losses))('%s', (_, { loss, plane }) => {
    it.each(Object.keys(degenerate))('is finite, and so is its gradient, of %s', async (what) => {
      const views = degenerate[what]!();
      if (plane && views[0].shape[1] === 1) {
        expectError(() => loss(...views), 'shape', /at least 2 dimensions/);
        return;
      }
      const value = loss(...views);
      const gradients = grad(value, views);
      await realize(value, ...gradients);
      expect(Number.isFinite(await value.item())).toBe(true);
      for (const gradient of gradients) expect((await gradient.data()).every(Number.isFinite)).toBe(true);
    });

    it('is no number where an element is none', async () => {
      const spoiled = normal(1, 6, 3).mul(of([[1], [1], [Number.NaN], [1], [1], [1]]));
      expect(await loss(spoiled, normal(2, 6, 3)).item()).toBeNaN();
    });
  });
});
