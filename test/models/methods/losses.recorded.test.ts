import {
  barlowTwins,
  crossCorrelation,
  type VICRegOptions,
  vicreg,
  type WhiteningName,
  type WhiteningOptions,
  type WMSEDistance,
  whitenings,
  wmse,
} from '../../../models/index.ts';
import { replayFamily } from '../recorded.ts';

replayFamily('losses', {
  vicreg: ([za, zb], attributes) => {
    const { loss, invariance, variance, covariance } = vicreg(za!, zb!, attributes as VICRegOptions);
    return { outputs: [loss, invariance, variance, covariance] };
  },
  barlowTwins: ([za, zb], attributes) => {
    const { lambda, scale, epsilon } = attributes as { lambda: number; scale: number; epsilon: number };
    const { loss, onDiagonal, offDiagonal } = barlowTwins(za!, zb!, { offDiagonal: lambda, scale, epsilon });
    return { outputs: [loss, onDiagonal, offDiagonal, crossCorrelation(za!, zb!, { epsilon })] };
  },
  whiten: ([x], { method, ...options }) => ({ outputs: [whitenings[method as WhiteningName](x!, options as WhiteningOptions)] }),
  wmse: ([za, zb, permutations], attributes) => {
    const { whitening, epsilon, subBatch, iterations, loss } = attributes as {
      whitening: WhiteningName;
      epsilon: number;
      subBatch: number;
      iterations: number;
      loss: WMSEDistance;
    };
    return {
      outputs: [
        wmse(za!, zb!, {
          whitening,
          epsilon,
          subBatch,
          iterations,
          distance: loss === 'mse' ? 'mse' : 'normalized',
          permutations: permutations!,
        }).loss,
      ],
    };
  },
});
