/** TensorFlow.js on its WASM backend, or on WebGPU: eager as its users have it; images in its own layout, NHWC. */
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { setWasmPaths } from '@tensorflow/tfjs-backend-wasm';
import { magnitude, values, weightScale } from '../values.ts';
import { type ChainName, isResidual, type NetworkName, networks, outputSize, product, stages } from '../work.ts';
import { CannotError, type Contestant, type Runner, serve } from './serve.ts';

const backend = process.argv[2] === 'webgpu' ? 'webgpu' : 'wasm';
const gpu = backend === 'webgpu' ? await import('../webgpu.ts') : null;

/** It collects kernels in a pass, and does not submit the last of them before something is read. */
interface Collecting {
  ensureCommandEncoderReady(): void;
  endComputePassEncoder(): void;
  submitQueue(): void;
}

function settle(): Promise<void> {
  // Its own type does not say so.
  const collecting = tf.backend() as unknown as Collecting;
  collecting.ensureCommandEncoderReady();
  collecting.endComputePassEncoder();
  collecting.submitQueue();
  return gpu!.workDone();
}
const settling: Pick<Runner, 'settle'> = gpu ? { settle } : {};
const dataOf = (x: tf.Tensor): Promise<tf.DataTypeMap['float32']> => x.data<'float32'>();

type Shape4 = [number, number, number, number];

/** From PyTorch's order of axes, in which every contestant draws its values, to this one's. */
const permuted = (x: tf.Tensor, axes: readonly number[]): tf.Tensor => tf.tidy(() => tf.keep(tf.transpose(x, [...axes])));
const imagesOf = (shape: readonly number[], seed: number, scale = 1): tf.Tensor4D =>
  permuted(tf.tensor(values(product(shape), seed, scale), [...shape]), [0, 2, 3, 1]) as tf.Tensor4D;
const kernelsOf = (shape: readonly number[], seed: number, scale = 1): tf.Tensor4D =>
  permuted(tf.tensor(values(product(shape), seed, scale), [...shape]), [2, 3, 1, 0]) as tf.Tensor4D;
const held = (shape: readonly number[], seed: number, scale = 1): tf.Tensor => tf.tensor(values(product(shape), seed, scale), [...shape]);

function runnerOf(compute: () => readonly tf.Tensor[]): Runner {
  return {
    first: async () => {
      const results = tf.tidy(() => [...compute()]);
      const check = magnitude(...(await Promise.all(results.map(dataOf))));
      tf.dispose(results);
      return check;
    },
    run: () => tf.dispose(tf.tidy(() => [...compute()])),
    ...settling,
  };
}

const beta1 = 0.9;
const beta2 = 0.999;

function normalized(x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor): tf.Tensor {
  // Channels come last, so that all other axes are folded and the scale broadcasts as it is.
  const axes = x.shape.slice(0, -1).map((_, axis) => axis);
  const centred = tf.sub(x, tf.mean(x, axes, true));
  const variance = tf.mean(tf.square(centred), axes, true);
  return tf.add(tf.mul(tf.mul(centred, tf.rsqrt(tf.add(variance, 1e-5))), gamma), beta);
}

const batchNormRelu = (x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor): tf.Tensor => tf.relu(normalized(x, gamma, beta));
const activations = (shape: readonly number[], seed: number): tf.Tensor => (shape.length === 4 ? imagesOf(shape, seed) : held(shape, seed));

function updaterOf(update: () => void, variables: readonly tf.Variable[]): Runner {
  return {
    first: async () => {
      tf.tidy(update);
      return magnitude(...(await Promise.all(variables.map(dataOf))));
    },
    run: () => tf.tidy(update),
    ...settling,
  };
}

const chains: Readonly<Record<ChainName, (shape: readonly number[]) => Runner>> = {
  sgdMomentum: (shape) => {
    const [w, m] = [tf.variable(held(shape, 1)), tf.variable(held(shape, 2))];
    const g = held(shape, 3);
    const update = (): void => {
      m.assign(tf.add(tf.mul(m, 0.9), g));
      w.assign(tf.sub(w, tf.mul(m, 0.01)));
    };
    return updaterOf(update, [w, m]);
  },
  adamW: (shape) => {
    const [w, m, v] = [tf.variable(held(shape, 1)), tf.variable(held(shape, 2)), tf.variable(tf.abs(held(shape, 3)))];
    const g = held(shape, 4);
    const update = (): void => {
      m.assign(tf.add(tf.mul(m, beta1), tf.mul(g, 1 - beta1)));
      v.assign(tf.add(tf.mul(v, beta2), tf.mul(tf.square(g), 1 - beta2)));
      const root = tf.add(tf.mul(tf.sqrt(v), 1 / Math.sqrt(1 - beta2)), 1e-8);
      w.assign(tf.sub(tf.mul(w, 1 - 0.001 * 0.01), tf.mul(tf.div(m, root), 0.001 / (1 - beta1))));
    };
    return updaterOf(update, [w, m, v]);
  },
  batchNormRelu: (shape) => {
    const [x, gamma, beta] = [activations(shape, 1), held([shape[1]!], 2), held([shape[1]!], 3)];
    return runnerOf(() => [batchNormRelu(x, gamma, beta)]);
  },
  batchNormReluGradient: (shape) => {
    const [x, gamma, beta, g] = [activations(shape, 1), held([shape[1]!], 2), held([shape[1]!], 3), activations(shape, 4)];
    return runnerOf(() => {
      const { value, grads } = tf.valueAndGrads((...args: tf.Tensor[]) => {
        const [image, scale, shift] = args as [tf.Tensor, tf.Tensor, tf.Tensor];
        return batchNormRelu(image, scale, shift) as tf.Scalar;
      })([x, gamma, beta], g as tf.Scalar);
      return [value, ...grads];
    });
  },
  softmax: (shape) => {
    const x = held(shape, 1, 8);
    return runnerOf(() => [tf.softmax(x)]);
  },
};

type Network = (x: tf.Tensor) => tf.Tensor;

function vicregStep(network: NetworkName): Runner {
  const { batch, image, convolutions, widths } = networks[network];
  const variables: tf.Variable[] = [];
  const trained = (initial: tf.Tensor): tf.Variable => {
    const variable = tf.variable(initial);
    variables.push(variable);
    return variable;
  };
  const scaleAndShift = (channels: number): [tf.Variable, tf.Variable] => [trained(tf.ones([channels])), trained(tf.zeros([channels]))];
  // Seeds count parameters, as in PyTorch's order.
  const seed = (): number => variables.length + 1;
  const convolved = ({ inputs, outputs, kernel, stride, padding }: (typeof convolutions)[number]): Network => {
    const weight = trained(
      kernelsOf([outputs, inputs, kernel, kernel], seed(), weightScale(inputs * kernel ** 2)),
    ) as tf.Variable<tf.Rank.R4>;
    const [gamma, beta] = scaleAndShift(outputs);
    return (x) => normalized(tf.conv2d(x as tf.Tensor4D, weight, stride, padding), gamma, beta);
  };
  const basicBlock = (inputs: number, outputs: number, stride: number): Network => {
    const first = convolved({ inputs, outputs, size: 0, kernel: 3, stride, padding: 1 });
    const second = convolved({ inputs: outputs, outputs, size: 0, kernel: 3, stride: 1, padding: 1 });
    const shortcut = inputs === outputs ? (x: tf.Tensor) => x : convolved({ inputs, outputs, size: 0, kernel: 1, stride, padding: 0 });
    return (x) => tf.relu(tf.add(second(tf.relu(first(x))), shortcut(x)));
  };
  const rectified = (layer: Network): Network => (x) => tf.relu(layer(x));
  const blocks = isResidual(network)
    ? [
        rectified(convolved(convolutions[0]!)),
        ...stages.flatMap(({ inputs, outputs, stride }) => [basicBlock(inputs, outputs, stride), basicBlock(outputs, outputs, 1)]),
      ]
    : convolutions.map((layer) => rectified(convolved(layer)));
  const linear = (row: readonly number[]): Network[] =>
    row.slice(1).map((width, i) => {
      const inputs = row[i]!;
      const weight = trained(permuted(held([width, inputs], seed(), weightScale(inputs)), [1, 0]));
      if (i === row.length - 2) return (x) => tf.matMul(x, weight);
      const [gamma, beta] = scaleAndShift(width);
      return (x) => tf.relu(normalized(tf.matMul(x, weight), gamma, beta));
    });
  const layers = [...blocks, ...(convolutions.length > 0 ? [(x: tf.Tensor) => tf.mean(x, [1, 2])] : []), ...widths.flatMap(linear)];
  const forward: Network = (x) => layers.reduce((h, apply) => apply(h), convolutions.length > 0 ? x : tf.reshape(x, [batch, -1]));

  const d = widths.at(-1)!.at(-1)!;
  const offDiagonal = tf.sub(1, tf.eye(d));
  const half = (z: tf.Tensor): tf.Tensor => {
    const centred = tf.sub(z, tf.mean(z, 0));
    const deviation = tf.sqrt(tf.add(tf.div(tf.sum(tf.square(centred), 0), batch - 1), 1e-4));
    const hinge = tf.div(tf.mean(tf.relu(tf.sub(1, deviation))), 2);
    const covariance = tf.mul(tf.div(tf.matMul(centred, centred, true), batch - 1), offDiagonal);
    return tf.add(tf.mul(hinge, 25), tf.div(tf.sum(tf.square(covariance)), d));
  };
  const vicreg = (a: tf.Tensor, b: tf.Tensor): tf.Scalar =>
    tf.add(tf.add(tf.mul(tf.mean(tf.squaredDifference(a, b)), 25), half(a)), half(b)) as tf.Scalar;

  const shape = [batch, image[0], image[1], image[1]];
  const [x, y] = [imagesOf(shape, 1001), imagesOf(shape, 1002)];
  const optimizer = tf.train.momentum(0.01, 0.9);
  const run = async (): Promise<number> => {
    const loss = optimizer.minimize(() => vicreg(forward(x), forward(y)), true, variables)!;
    const value = (await dataOf(loss))[0]!;
    loss.dispose();
    return value;
  };
  return { first: run, run };
}

const contestant: Contestant = {
  matmul: ({ m, k, n, transposeA, transposeB, finish }) => {
    const a = held(transposeA ? [k, m] : [m, k], 1);
    const b = held(transposeB ? [n, k] : [k, n], 2);
    const bias = held([n], 3);
    const product = (): tf.Tensor => tf.matMul(a, b, transposeA, transposeB);
    return runnerOf(() => [finish ? tf.relu(tf.add(product(), bias)) : product()]);
  },
  convolution: (work) => {
    const { direction, batch, inputs, outputs, size, kernel, stride, padding, finish } = work;
    const x = imagesOf([batch, inputs, size, size], 1);
    const w = kernelsOf([outputs, inputs, kernel, kernel], 2);
    const g = imagesOf([batch, outputs, outputSize(work), outputSize(work)], 3);
    const [scale, shift] = [held([outputs], 4), held([outputs], 5)];
    const forward = (): tf.Tensor => tf.conv2d(x, w, stride, padding);
    const directions = {
      forward: () => (finish ? tf.relu(tf.add(tf.mul(forward(), scale), shift)) : forward()),
      input: () => tf.conv2dTranspose(g, w, x.shape as Shape4, stride, padding),
      // As tf.grad calls it, without the forward pass.
      weight: () =>
        tf.engine().runKernel(
          'Conv2DBackpropFilter',
          { x, dy: g },
          {
            strides: [stride, stride],
            pad: padding,
            dataFormat: 'NHWC',
            filterShape: w.shape,
          },
        ) as tf.Tensor,
    };
    return runnerOf(() => [directions[direction]()]);
  },
  step: ({ network }) => {
    if (isResidual(network) && !gpu) throw new CannotError('no Conv2DBackpropFilter kernel');
    return vicregStep(network);
  },
  chain: ({ chain, shape }) => chains[chain](shape),
  whitening: 'no Cholesky decomposition',
  replay: ({ kernels }) => {
    const [x, w] = [held([8, 8], 1), held([8, 8], 2, 0.5)];
    return runnerOf(() => [Array.from({ length: kernels }).reduce((y: tf.Tensor) => tf.matMul(y, w), x)]);
  },
};

await serve(async () => {
  if (gpu) await import('@tensorflow/tfjs-backend-webgpu');
  else setWasmPaths(`${dirname(createRequire(import.meta.url).resolve('@tensorflow/tfjs-backend-wasm'))}/`);
  if (!(await tf.setBackend(backend))) throw new CannotError(`it has no ${backend} here`);
  await tf.ready();
  return contestant;
});
