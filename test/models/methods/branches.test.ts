/** What Table 4 of VICReg leaves out and puts in: batch norms of the head, a predictor. */
import { beforeAll, describe, expect, it } from 'vitest';
import { key, type Tensor, useBackend, zeros } from '../../../engine/index.ts';
import { invariance, type Learner, type MethodName, type Module, methodNamed, SmallConvNet } from '../../../models/index.ts';
import { normalMatrix } from '../support.ts';

beforeAll(async () => {
  await useBackend('cpu');
});

const learnerOf = (method: MethodName, options: Readonly<Record<string, string>>): Learner & { readonly predictor?: Module | null } =>
  methodNamed(method).learner({
    options,
    encoder: () => new SmallConvNet({ key: 1 }),
    widths: [12, 8],
    key: (part) => 10 + part,
    batchSize: 6,
    images: 6,
  });
const slotsOf = (learner: Learner): string[] => [...learner.namedSlots()].map(([name]) => name);
const views = (): Tensor[] => [1, 2].map((seed) => normalMatrix(seed, 6, 64).reshape([6, 1, 8, 8]).cast('f32'));

describe.each(['vicreg', 'simsiam'] as const)('%s', (method) => {
  it('has norms in its head unless they are off', () => {
    const norms = (norm: string): string[] =>
      slotsOf(learnerOf(method, { norm, predictor: 'on' })).filter((name) => !name.startsWith('encoder.') && name.includes('running_mean'));
    expect(norms('on').length).toBeGreaterThanOrEqual(2);
    expect(norms('off')).toEqual([]);
  });

  it('has a predictor where it is on, which learns', () => {
    for (const predictor of ['on', 'off']) {
      const learner = learnerOf(method, { predictor });
      const own = learner.predictor?.parameters() ?? [];
      expect(own.length > 0).toBe(predictor === 'on');
      const learned = new Set(learner.learned().flatMap(({ parameters }) => parameters));
      for (const parameter of own) expect(learned.has(parameter)).toBe(true);
    }
  });
});

it('vicreg holds each prediction to the other view’s embedding, and its other terms to the embeddings', async () => {
  const at = { views: views(), indices: zeros([6], 'i32'), at: {}, key: key(1) };
  const [plain, predicting] = ['off', 'on'].map((predictor) => {
    const learner = learnerOf('vicreg', { predictor });
    return { learner, ...learner.step(at) };
  });
  const [za, zb] = predicting!.embeddings as [Tensor, Tensor];
  const predict = (z: Tensor): Tensor => predicting!.learner.predictor!.forward(z, { train: true }) as Tensor;
  const expected = (await invariance(predict(za), zb).item()) / 2 + (await invariance(predict(zb), za).item()) / 2;
  expect(await predicting!.parts['invariance']!.item()).toBeCloseTo(expected, 6);
  // The predictor draws its own weights: head and encoder are those of the run without.
  for (const part of ['variance', 'covariance'])
    expect(await predicting!.parts[part]!.item()).toBeCloseTo(await plain!.parts[part]!.item(), 6);
});
