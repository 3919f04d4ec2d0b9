import { compile, type DType, grad, type Tensor, tensor } from '../../../engine/index.ts';
import { Adam, Expander, Sequential, SmallConvNet, vicreg, warmupCosine } from '../../../models/index.ts';
import { readRecording, textures } from '../../recordings/recordings.ts';
import { converted } from '../recorded.ts';

interface TrajectoryCase {
  readonly name: 'scaled' | 'recipe';
  readonly attributes: {
    readonly lr: number;
    readonly betas: readonly [number, number];
    readonly epsilon: number;
    readonly weightDecay: number;
  };
  readonly state: readonly string[];
  readonly zeroGradient: readonly string[];
  readonly f64: string;
  readonly learningRate: string;
}

export const recording = readRecording<TrajectoryCase>('trajectory');
export const STEPS = 20;
export const PARTS = ['loss', 'invariance', 'variance', 'covariance'];

interface Training {
  /** The first `steps` of PyTorch's training: after each, how far the loss and its parts are from PyTorch's, relative to them. */
  follow(recorded: TrajectoryCase, steps: number): AsyncGenerator<{ readonly rateError: number; readonly errors: readonly number[] }>;
  dispose(): void;
}

/** One step, compiled for the backend in use, that every case trains by: they differ in their rates alone. */
export async function training(dtype: DType): Promise<Training> {
  const [{ attributes, state }] = recording.cases as [TrajectoryCase];
  const { betas, epsilon, weightDecay, lr: learningRate } = attributes;
  const [encoder, expander] = [new SmallConvNet({ key: 0, dtype }), new Expander(128, [256, 256, 256], { key: 0, dtype })];
  const network = new Sequential([encoder, expander]);
  const parameters = network.parameters();
  const optimizer = new Adam(parameters, { betas, epsilon, weightDecay, learningRate });
  const untouched = await optimizer.stateDict();
  const step = compile((a: Tensor, b: Tensor, rate: Tensor) => {
    const [za, zb] = [a, b].map((x) => network.forward(x, { train: true }));
    const { loss, invariance, variance, covariance } = vicreg(za!, zb!);
    optimizer.step(grad(loss, parameters), rate);
    return [loss, invariance, variance, covariance];
  });
  const initial = (prefix: string) =>
    new Map(
      state
        .filter((entry) => entry.startsWith(prefix))
        .map((entry) => [entry.slice(prefix.length), converted(recording.tensor(entry), dtype)]),
    );
  return {
    async *follow({ attributes: { lr: base }, f64, learningRate }, steps) {
      encoder.loadStateDict(initial('encoder.'));
      expander.loadStateDict(initial('expander.'));
      optimizer.loadStateDict(untouched);
      const [curve, rates] = [recording.tensor(f64).data, recording.tensor(learningRate).data];
      for (let t = 0; t < steps; t++) {
        const rate = warmupCosine(t, { base, steps: STEPS, warmup: 2 });
        const views = [0, 1].map((view) => tensor(converted({ dtype: 'f64', shape: [32, 1, 14, 14], data: textures(t, view) }, dtype)));
        const parts = await step(views[0]!, views[1]!, tensor(rate, { dtype }));
        const values = await Promise.all(parts.map((part) => part.item()));
        for (const part of parts) part.dispose();
        yield {
          rateError: Math.abs(rate / rates[t]! - 1),
          errors: values.map((value, k) => Math.abs(value / curve[4 * t + k]! - 1)),
        };
      }
    },
    dispose() {
      step.dispose();
      optimizer.dispose();
      network.dispose();
    },
  };
}
