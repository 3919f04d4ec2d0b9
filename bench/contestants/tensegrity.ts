/** This project, as a user has it: compiled functions on the wasm backend (or the one named), with operands where the backend keeps them. */
import { type BackendOptions, type Compiled, compile, conv2d, grad, memoryBytes, type Slot, slot, type Tensor, useBackend, vjp, zeros } from '../../dist/engine/index.js';
import { BatchNorm2d, Conv2d, choleskyWhitening, Expander, functional, MLP, ResNet, Sequential, SGD, vicreg } from '../../dist/models/index.js';
import { magnitude, values, weightScale } from '../values.ts';
import { type ChainName, type Network, type NetworkName, networks, outputSize, product } from '../work.ts';
import { type Contestant, type Runner, serve } from './serve.ts';

const [backend = 'wasm', options = '{}'] = process.argv.slice(2);
/** A plan on the GPU is started, and not waited for. */
const settling: Pick<Runner, 'settle'> = backend === 'webgpu' ? { settle: (await import('../webgpu.ts')).workDone } : {};

/** A slot stays in the backend's memory, as parameters and activations do. */
function held(shape: readonly number[], seed: number, scale = 1): Slot {
  return slot({ dtype: 'f32', shape, data: values(product(shape), seed, scale) });
}

/** Times calls that give their results' memory back. */
function runnerOf(step: Compiled<readonly [], readonly Tensor[]>): Runner {
  return {
    first: async () => magnitude(...(await Promise.all((await step()).map((result) => result.data())))),
    run: async () => {
      for (const result of await step()) result.dispose();
    },
    ...settling,
  };
}

/** Times calls that update slots, and compares those. */
function updaterOf(update: () => void, slots: readonly Slot[]): Runner {
  const step = compile(() => {
    update();
    return [];
  });
  return {
    first: async () => {
      await step();
      return magnitude(...(await Promise.all(slots.map((entry) => entry.data()))));
    },
    run: step,
    ...settling,
  };
}

/** Times calls whose results stay where a network's next layer reads them, as those of the peers and of hand-written loops do. */
function keeperOf(results: () => readonly Tensor[]): Runner {
  const kept = results().map(({ shape }) => slot({ dtype: 'f32', shape, data: new Float32Array(product(shape)) }));
  return updaterOf(() => results().forEach((result, i) => void kept[i]!.assign(result)), kept);
}

const beta1 = 0.9;
const beta2 = 0.999;
const epsilon = 1e-5;

function batchNormRelu(x: Tensor, gamma: Tensor, beta: Tensor): Tensor {
  const axes = x.shape.flatMap((_, axis) => (axis === 1 ? [] : [axis]));
  const [weight, bias] = [gamma, beta].map((t) => t.reshape([1, -1, ...x.shape.slice(2).map(() => 1)]));
  return functional.batchNorm(x, { axes, weight: weight!, bias: bias!, epsilon }).output.relu();
}

const chains: Readonly<Record<ChainName, (shape: readonly number[]) => Runner>> = {
  sgdMomentum: (shape) => {
    const [w, m, g] = [held(shape, 1), held(shape, 2), held(shape, 3)];
    const update = (): void => {
      const next = m.value.mul(0.9).add(g.value);
      m.assign(next);
      w.assign(w.value.sub(next.mul(0.01)));
    };
    return updaterOf(update, [w, m]);
  },
  adamW: (shape) => {
    const [w, m, v, g] = [
      held(shape, 1),
      held(shape, 2),
      slot({ dtype: 'f32', shape, data: values(product(shape), 3).map(Math.abs) }),
      held(shape, 4),
    ];
    const update = (): void => {
      const first = m.value.mul(beta1).add(g.value.mul(1 - beta1));
      const second = v.value.mul(beta2).add(g.value.square().mul(1 - beta2));
      const root = second
        .sqrt()
        .mul(1 / Math.sqrt(1 - beta2))
        .add(1e-8);
      m.assign(first);
      v.assign(second);
      w.assign(w.value.mul(1 - 0.001 * 0.01).sub(first.div(root).mul(0.001 / (1 - beta1))));
    };
    return updaterOf(update, [w, m, v]);
  },
  batchNormRelu: (shape) => {
    const [x, gamma, beta] = [held(shape, 1), held([shape[1]!], 2), held([shape[1]!], 3)];
    return keeperOf(() => [batchNormRelu(x.value, gamma.value, beta.value)]);
  },
  batchNormReluGradient: (shape) => {
    const [x, gamma, beta, g] = [held(shape, 1), held([shape[1]!], 2), held([shape[1]!], 3), held(shape, 4)];
    return keeperOf(() => {
      const y = batchNormRelu(x.value, gamma.value, beta.value);
      return [y, ...vjp(y, [x, gamma, beta], g.value)];
    });
  },
  softmax: (shape) => {
    const x = held(shape, 1, 8);
    return keeperOf(() => [x.value.softmax(1)]);
  },
};

const key = 1;
const block = (inputs: number, outputs: number, stride: number): Sequential =>
  new Sequential([
    new Conv2d(inputs, outputs, 3, { key, stride, padding: 1, bias: false }),
    new BatchNorm2d(outputs),
    (x: Tensor) => x.relu(),
  ]);
const expander = (widths: readonly number[]): Expander => new Expander(widths[0]!, widths.slice(1), { key, bias: false });

function perceptron({ widths: [encoder, head] }: Network): Sequential {
  const layers = new MLP(encoder!, { key, normalize: true, bias: false, outputBias: false });
  return new Sequential([(x: Tensor) => x.flatten(1), layers, expander(head!)]);
}

function convolutional({ convolutions, widths: [head] }: Network): Sequential {
  const blocks = convolutions.map(({ inputs, outputs, stride }) => block(inputs, outputs, stride));
  return new Sequential([...blocks, (x: Tensor) => x.mean([2, 3]), expander(head!)]);
}

const residual = ({ widths: [head] }: Network): Sequential => new Sequential([new ResNet('resnet18', { key, stem: 'cifar' }), expander(head!)]);

const models: Readonly<Record<NetworkName, (network: Network) => Sequential>> = {
  mlp: perceptron,
  smallMlp: perceptron,
  conv: convolutional,
  smallConv: convolutional,
  resnet18: residual,
  smallResnet18: residual,
  reference: convolutional,
};

function vicregStep(network: NetworkName): Runner {
  const { batch, image } = networks[network];
  const model = models[network](networks[network]);
  model.parameters().forEach((parameter, i) => {
    if (parameter.shape.length > 1) parameter.set(values(parameter.size, i + 1, weightScale(product(parameter.shape.slice(1)))));
  });
  const shape = [batch, image[0], image[1], image[1]];
  const [x, y] = [held(shape, 1001), held(shape, 1002)];
  const parameters = model.parameters();
  const optimizer = new SGD(parameters, { learningRate: 0.01, momentum: 0.9 });
  const step = compile(() => {
    const { loss } = vicreg(model.forward(x.value, { train: true }), model.forward(y.value, { train: true }));
    optimizer.step(grad(loss, parameters));
    return loss;
  });
  const run = async (): Promise<number> => (await step()).item();
  // All that the backend holds: parameters, momenta, images, commands, the arena, packed panels.
  const plan = async (): Promise<string> => (await step.explain([])).split('\n').find((line) => line.startsWith('plan:')) ?? '';
  return { first: run, run, plan, peakBytes: memoryBytes };
}

const contestant: Contestant = {
  matmul: ({ m, k, n, transposeA, transposeB, finish }) => {
    const a = held(transposeA ? [k, m] : [m, k], 1);
    const b = held(transposeB ? [n, k] : [k, n], 2);
    const oriented = (x: Slot, transposed: boolean): Tensor => (transposed ? x.value.transpose() : x.value);
    const bias = held([n], 3);
    const product = (): Tensor => oriented(a, transposeA).matmul(oriented(b, transposeB));
    return keeperOf(() => [finish ? product().add(bias.value).relu() : product()]);
  },
  convolution: (work) => {
    const { direction, batch, inputs, outputs, size, kernel, stride, padding, finish } = work;
    const shapes = {
      x: [batch, inputs, size, size],
      w: [outputs, inputs, kernel, kernel],
      y: [batch, outputs, outputSize(work), outputSize(work)],
    };
    const x = held(shapes.x, 1);
    const w = held(shapes.w, 2);
    const g = held(shapes.y, 3);
    const options = { stride, padding };
    const gradient = (image: Tensor, weight: Tensor, of: Tensor): Tensor[] => vjp(conv2d(image, weight, options), [of], g.value);
    const [scale, shift] = [held([outputs, 1, 1], 4), held([outputs, 1, 1], 5)];
    const forward = (): Tensor => conv2d(x.value, w.value, options);
    const directions = {
      forward: () => [finish ? forward().mul(scale.value).add(shift.value).relu() : forward()],
      input: () => {
        const image = zeros(shapes.x);
        return gradient(image, w.value, image);
      },
      weight: () => {
        const weight = zeros(shapes.w);
        return gradient(x.value, weight, weight);
      },
    };
    return keeperOf(directions[direction]);
  },
  step: ({ network }) => vicregStep(network),
  chain: ({ chain, shape }) => chains[chain](shape),
  whitening: ({ groups, samples, dimensions }) => {
    const shape = [groups, samples, dimensions];
    const [x, g] = [held(shape, 1), held(shape, 2)];
    return keeperOf(() => {
      const y = choleskyWhitening(x.value);
      return [y, ...vjp(y, [x], g.value)];
    });
  },
  replay: ({ kernels }) => {
    const [x, w] = [held([8, 8], 1), held([8, 8], 2, 0.5)];
    const chained = (): Tensor => Array.from({ length: kernels }).reduce((y: Tensor) => y.matmul(w.value), x.value);
    return runnerOf(compile(() => [chained()]));
  },
};

await serve(async () => {
  await useBackend(backend as 'wasm', JSON.parse(options) as BackendOptions['wasm']);
  return contestant;
});
