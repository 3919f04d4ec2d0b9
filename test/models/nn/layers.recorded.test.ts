import type { Tensor } from '../../../engine/index.ts';
import { BatchNorm1d, BatchNorm2d, LayerNorm, Linear, type Module } from '../../../models/index.ts';
import { crossEntropy } from '../../../models/nn/functional.ts';
import { type Replay, replayFamily } from '../recorded.ts';

/** What a batch norm of the recordings is made of. */
interface Settings {
  readonly training: boolean;
  readonly momentum: number;
  readonly epsilon: number;
}

function batchNorm(Layer: typeof BatchNorm1d | typeof BatchNorm2d) {
  return ([x, weight, bias, mean, variance]: readonly Tensor[], attributes: Readonly<Record<string, unknown>>): Replay => {
    const { training, ...options } = attributes as unknown as Settings;
    const layer = new Layer(x!.shape[1]!, { ...options, affine: weight !== undefined, dtype: x!.dtype });
    if (!weight) return { outputs: [layer.forward(x!, { train: training })] };
    // Parameters and statistics are what the recording has: assigned, so that they are expressions of its inputs.
    assign(layer, { weight, bias: bias!, running_mean: mean!, running_var: variance! });
    return { outputs: [layer.forward(x!, { train: training }), layer.runningMean.value, layer.runningVar.value] };
  };
}

function assign(module: Module, values: Readonly<Record<string, Tensor>>): void {
  for (const [name, slot] of module.namedSlots()) slot.assign(values[name]!);
}

replayFamily('layers', {
  linear: ([x, weight, bias]) => {
    const layer = new Linear(weight!.shape[1]!, weight!.shape[0]!, { key: 0, bias: bias !== undefined, dtype: x!.dtype });
    assign(layer, { weight: weight!, ...(bias && { bias }) });
    return { outputs: [layer.forward(x!)] };
  },
  batchNorm1d: batchNorm(BatchNorm1d),
  batchNorm2d: batchNorm(BatchNorm2d),
  layerNorm: ([x, weight, bias], { normalizedShape, epsilon }) => {
    const layer = new LayerNorm(normalizedShape as number[], { epsilon: epsilon as number, dtype: x!.dtype });
    assign(layer, { weight: weight!, bias: bias! });
    return { outputs: [layer.forward(x!)] };
  },
  crossEntropy: ([logits, labels], { labelSmoothing }) => ({
    outputs: [crossEntropy(logits!, labels!, { labelSmoothing: labelSmoothing as number })],
  }),
});
