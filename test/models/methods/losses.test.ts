import { beforeAll, describe, expect, it } from 'vitest';
import { arange, concat, eye, type Tensor, useBackend, zeros } from '../../../engine/index.ts';
import {
  alignmentUniformity,
  byol,
  corInfoMax,
  deepCluster,
  dino,
  empssl,
  frossl,
  intl,
  lejepa,
  mmcr,
  moco,
  runningMoments,
  simsiam,
  swav,
  tico,
  ticoCovariance,
  vicreg,
  vicregl,
  visreg,
} from '../../../models/index.ts';
import { arrayLoss, namesOf } from '../../../models/methods/arrayLoss.ts';
import { losses, lossNamed } from '../../../models/methods/losses.ts';
import { expectClose, expectError, normalMatrix } from '../support.ts';

beforeAll(async () => {
  await useBackend('cpu');
});

const [a, b, c, d] = [1, 2, 3, 4].map((seed) => normalMatrix(seed, 6, 3)) as [Tensor, Tensor, Tensor, Tensor];

describe('losses of arrays', () => {
  it('are those of the methods', async () => {
    await expectClose(losses['vicreg']!.compute([a, b], { dialect: 'paper' }, {}).loss, vicreg(a, b, { dialect: 'paper' }).loss, 1e-15);
    await expectClose(losses['simsiam']!.compute([a, b, c, d], {}, {}).loss, simsiam([a, b], [c, d]).loss, 1e-15);
    await expectClose(losses['simsiam']!.compute([a, b], {}, {}).loss, simsiam([a, b], [a, b]).loss, 1e-15);
    await expectClose(losses['byol']!.compute([a, b, c, d], {}, {}).loss, byol([a, b], [c, d]).loss, 1e-15);
    const queued = losses['moco']!.compute([a, b], { temperature: 0.5 }, { queue: c });
    await expectClose(queued.loss, moco(a, b, c, { temperature: 0.5 }).loss, 1e-15);
    const centre = d.mean(0);
    const distilled = losses['dino']!.compute([a, b, c, d, a], { teacherTemperature: 0.5 }, { centre });
    await expectClose(distilled.loss, dino([c, d, a], [a, b], centre, { teacherTemperature: 0.5 }).loss, 1e-15);
    const swapped = losses['swav']!.compute([a, b, c], { epsilon: 0.1 }, { prototypes: d, queue1: c, queue2: a });
    await expectClose(swapped.loss, swav([a, b, c], d, { epsilon: 0.1, queues: [c, a] }).loss, 1e-15);
    await expectClose(losses['swav']!.compute([a, b], {}, { prototypes: d }).loss, swav([a, b], d).loss, 1e-15);
    const assignments = arange(a.shape[0]!).remainder(3);
    const clustered = losses['deepcluster']!.compute([a], { temperature: 0.5 }, { prototypes: d, assignments });
    await expectClose(clustered.loss, deepCluster(a, d, assignments, { temperature: 0.5 }).loss, 1e-15);
  });

  it('are those of information maximisation, of any number of views, and of what was before', async () => {
    const of = async (name: string, views: readonly Tensor[], expected: Tensor, options = {}, state = {}, key?: number): Promise<void> =>
      expectClose(losses[name]!.compute(views, options, state, key).loss, expected, 1e-15);
    await of('lejepa', [a, b, c], lejepa([a, b, c], { globals: 2, key: 5 }).loss, { globals: 2 }, {}, 5);
    await of('visreg', [a, b, c], visreg([a, b, c], { shape: 2, slices: 9 }).loss, { shape: 2, sliceCount: 9 });
    await of('vicregl', [a, b, c], vicregl([a, b, c], { globals: 1 }).loss, { globals: 1 });
    await of('mmcr', [a, b, c], mmcr([a, b, c], { local: 0.5 }).loss, { local: 0.5 });
    await of('mmcr', [a, b], mmcr([a, b], { teacher: [c, d] }).loss, {}, { teacher: concat([c, d]) });
    await of('emp-ssl', [a, b, c], empssl([a, b, c], { epsilon: 0.5 }).loss, { epsilon: 0.5 });
    await of('frossl', [a, b, c], frossl([a, b, c], { dialect: 'solo-learn' }).loss, { dialect: 'solo-learn' });
    await of('intl', [a, b, c], intl([a, b, c], { whitened: 'dimensions', trace: 2 }).loss, { whitened: 'dimensions', trace: 2 });
    await of('alignment-uniformity', [a, b], alignmentUniformity(a, b, { t: 3 }).loss, { t: 3 });
    const covariance = ticoCovariance(c, zeros([3, 3], 'f64'), 0);
    await of(
      'tico',
      [a, b],
      tico(a, b, covariance, { dialect: 'sayannag' }).loss,
      { dialect: 'sayannag' },
      { runningCovariance: covariance },
    );
    await of('tico', [a, b], tico(a, b, zeros([3, 3], 'f64')).loss);
    const begun = { mean: zeros([3], 'f64'), covariance: eye(3, 'f64') };
    const later = runningMoments(c, begun);
    await of('corinfomax', [a, b], corInfoMax(a, b, [begun, begun], { invariance: 9 }).loss, { invariance: 9 });
    await of('corinfomax', [a, b], corInfoMax(a, b, [later, begun]).loss, {}, { meanA: later.mean, covarianceA: later.covariance });
  });

  it('say which embeddings they take', () => {
    const names = (name: string, count: number): readonly string[] | null => namesOf(lossNamed(name), count);
    expect(names('vicreg', 2)).toEqual(['za', 'zb']);
    expect([names('vicreg', 1), names('vicreg', 3), names('byol', 3)]).toEqual([null, null, null]);
    expect(names('byol', 4)).toEqual(['p1', 'p2', 'z1', 'z2']);
    expect([3, 4, 6].map((count) => names('dino', count)?.at(-1))).toEqual([undefined, 's2', 's4']);
    const many = arrayLoss({
      ...losses['byol']!,
      options: {},
      embeddings: [{ names: ['z1', 'z2'], more: 'z' }],
      compute: ([z]) => ({ loss: z!.sum() }),
    });
    expect([1, 2, 4].map((count) => namesOf(many, count))).toEqual([null, ['z1', 'z2'], ['z1', 'z2', 'z3', 'z4']]);
  });

  it('have no array of the name of an option, of any loss: both are flags of the command', () => {
    const options = new Set(Object.values(losses).flatMap((row) => Object.keys(row.options)));
    expect(Object.values(losses).flatMap(({ state }) => Object.keys(state).filter((name) => options.has(name)))).toEqual([]);
  });

  it('refuse what they do not take', () => {
    expectError(() => lossNamed('vicregg'), 'argument', /there is no loss 'vicregg'; there are vicreg, /);
    expectError(() => losses['vicreg']!.compute([a, b], { branches: 'separate' }, {}), 'argument', /branches/);
    expectError(() => losses['byol']!.compute([a, b], {}, { queue: a }), 'argument', /queue/);
    expectError(() => losses['simsiam']!.compute([a, b], { stopGradient: 'maybe' }, {}), 'argument', /on, off/);
  });
});
