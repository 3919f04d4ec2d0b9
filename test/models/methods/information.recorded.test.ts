import type { Tensor } from '../../../engine/index.ts';
import {
  alignmentUniformity,
  codingRate,
  corInfoMax,
  empssl,
  frossl,
  IterNorm,
  intl,
  lejepa,
  mmcr,
  publishedWhitenings,
  runningMoments,
  tico,
  ticoCovariance,
  vibcreg,
  vicregl,
  visreg,
  whitenings,
} from '../../../models/index.ts';
import { type Replay, replayFamily } from '../recorded.ts';

/** The kinds of embeddings that are recorded. */
const KINDS = ['ordinary', 'near-collapsed', 'offset', 'n<d', 'duplicate rows'];

/** The loss, then its parts in the order in which they are recorded. */
function parts(result: Readonly<Record<string, Tensor>>, ...names: readonly string[]): Replay {
  return { outputs: ['loss', ...names].map((name) => result[name]!) };
}

replayFamily(
  'information',
  {
    lejepa: (inputs, options) => parts(lejepa(inputs.slice(0, -1), { ...options, directions: inputs.at(-1)! }), 'invariance', 'sigreg'),
    visreg: (inputs, options) =>
      parts(visreg(inputs.slice(0, -1), { ...options, directions: inputs.at(-1)! }), 'invariance', 'scale', 'shape', 'offset'),
    vicregl: (views, options) => parts(vicregl(views, options), 'invariance', 'variance', 'covariance'),
    vibcreg: ([za, zb], options) => parts(vibcreg(za!, zb!, options), 'invariance', 'variance', 'covariance'),
    empssl: (views, options) => parts(empssl(views, options), 'codingRate', 'similarity'),
    codingRate: ([z], { epsilon }) => ({ outputs: [codingRate(z!, epsilon as number)] }),
    mmcr: (inputs, { momentum, ...options }) =>
      parts(momentum ? mmcr(inputs.slice(0, 2), { ...options, teacher: inputs.slice(2) }) : mmcr(inputs, options), 'global', 'local'),
    frossl: (views, options) => parts(frossl(views, options), 'regularization', 'invariance'),
    intl: (views, options) => parts(intl(views, options), 'distance', 'trace'),
    alignmentUniformity: ([za, zb], options) => parts(alignmentUniformity(za!, zb!, options), 'alignment', 'uniformity'),
    tico: ([za, zb, covariance], options) => {
      const { outputs } = parts(tico(za!, zb!, covariance!, options), 'invariance', 'contrast');
      return { outputs: [...outputs, ticoCovariance(za!, covariance!)] };
    },
    corInfoMax: ([za, zb, meanA, covarianceA, meanB, covarianceB], options) => {
      const before = [
        { mean: meanA!, covariance: covarianceA! },
        { mean: meanB!, covariance: covarianceB! },
      ] as const;
      const { outputs } = parts(corInfoMax(za!, zb!, before, options), 'information', 'invariance');
      const after = [za!, zb!].map((z, i) => runningMoments(z, before[i]!, options['momentum'] as number));
      return { outputs: [...outputs, ...after.flatMap(({ mean, covariance }) => [mean, covariance])] };
    },
    iterNorm: ([x, weight, bias], { groups }) => {
      const layer = new IterNorm(x!.shape[1]!, { groups: groups as number, dtype: x!.dtype });
      layer.weight!.assign(weight!);
      layer.bias!.assign(bias!);
      const y = layer.forward(x!, { train: true });
      return { outputs: [y, layer.runningMean.value, layer.runningWm.value] };
    },
    publishedWhitening: ([x], { name }) => {
      const { whitening, options } = publishedWhitenings[name as keyof typeof publishedWhitenings];
      return { outputs: [whitenings[whitening](x!, options)] };
    },
  },
  {
    loosened: {
      // Logarithms and differences of numbers near 1, of which PyTorch's float32 loses as much.
      'tico/lightly near-collapsed': 1e-2,
      'frossl/official near-collapsed': 5e-4,
      'frossl/solo-learn near-collapsed': 5e-4,
      'alignmentUniformity/near-collapsed': 1e-2,
      // Directions of singular values that are hundreds of times smaller than the largest.
      'mmcr/near-collapsed local 0.3': 1e-3,
      // Inverses of covariances that only ε, or what was before, keeps from being singular.
      'publishedWhitening/dbn n<d': 3e-4,
      // Rows less than a hundredth of their length apart, and inverses.
      ...Object.fromEntries(
        [
          ...['paper', 'sayannag'].map((dialect) => `tico/${dialect} near-collapsed`),
          ...['samples', 'dimensions'].map((whitened) => `intl/${whitened} near-collapsed`),
          ...KINDS.map((kind) => `corInfoMax/${kind}`),
          'empssl/near-collapsed',
        ].map((name) => [name, 1e-4]),
      ),
    },
  },
);
