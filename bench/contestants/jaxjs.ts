/** jax-js on its WASM backend, or on WebGPU: each computation jitted. Its operations consume their operands; `.ref` keeps one for another use. */
import { blockUntilReady, defaultDevice, init, jit, lax, nn, numpy as np, tree, valueAndGrad, vjp } from '@jax-js/jax';
import { magnitude, values, weightScale } from '../values.ts';
import { type ChainName, isResidual, type Network, type NetworkName, networks, outputSize, product, stages } from '../work.ts';
import { CannotError, type Contestant, type Runner, serve } from './serve.ts';

type Tensor = np.Array;

const backend = process.argv[2] === 'webgpu' ? 'webgpu' : 'wasm';
const gpu = backend === 'webgpu' ? await import('../webgpu.ts') : null;

const held = (shape: readonly number[], seed: number, scale = 1): Tensor =>
  np.array(values(product(shape), seed, scale), { shape: [...shape] });
const dataOf = async (x: Tensor): Promise<ArrayLike<number>> => (await x.data()) as Float32Array;

/** Calls on the GPU that have been started and not waited for. */
const started: Promise<unknown>[] = [];

/** Waits for results, or on the GPU sees to it that they are computed and waited for in `settle`. */
function ready(results: readonly Tensor[], after: () => void = () => {}): Promise<void> | undefined {
  const done = blockUntilReady([...results]).then(after);
  if (!gpu) return done;
  started.push(done);
  return undefined;
}

const settling: Pick<Runner, 'settle'> = gpu ? { settle: () => Promise.all(started.splice(0)).then(gpu.workDone) } : {};

/** Times calls with results that are given back. */
function runnerOf(compute: (...args: Tensor[]) => Tensor[], args: readonly Tensor[]): Runner {
  return eagerRunnerOf(jit(compute), args);
}

function eagerRunnerOf(step: (...args: Tensor[]) => Tensor[], args: readonly Tensor[]): Runner {
  const call = (): Tensor[] => step(...args.map((x) => x.ref)) as Tensor[];
  return {
    first: async () => magnitude(...(await Promise.all(call().map(dataOf)))),
    run: () => {
      const results = call();
      return ready(results, () => results.forEach((result) => result.dispose()));
    },
    ...settling,
  };
}

/** Times calls that give the next state, from which the next call starts; `rest` stays. */
function updaterOf(update: (...args: Tensor[]) => Tensor[], state: Tensor[], rest: readonly Tensor[]): Runner {
  const step = jit(update);
  let current = state;
  const run = (): Promise<void> | undefined => {
    current = step(...current, ...rest.map((x) => x.ref)) as Tensor[];
    return ready(current);
  };
  return {
    first: async () => {
      await run();
      return magnitude(...(await Promise.all(current.map((x) => dataOf(x.ref)))));
    },
    run,
    ...settling,
  };
}

const beta1 = 0.9;
const beta2 = 0.999;

function batchNorm(x: Tensor, gamma: Tensor, beta: Tensor): Tensor {
  const axes = x.shape.flatMap((_, axis) => (axis === 1 ? [] : [axis]));
  const channels = x.shape.map((_, axis) => (axis === 1 ? -1 : 1));
  const mean = np.mean(x.ref, axes, { keepdims: true });
  const centred = x.sub(mean);
  const variance = np.mean(centred.ref.mul(centred.ref), axes, { keepdims: true });
  const scaled = centred.mul(np.reciprocal(np.sqrt(variance.add(1e-5)))).mul(gamma.reshape(channels));
  return scaled.add(beta.reshape(channels));
}

const batchNormRelu = (x: Tensor, gamma: Tensor, beta: Tensor): Tensor => nn.relu(batchNorm(x, gamma, beta));

/** Output and gradients. */
function withGradients(f: (...args: Tensor[]) => Tensor, args: Tensor[], cotangent: Tensor): Tensor[] {
  const [value, pullback] = vjp(f, args);
  const gradients = pullback(cotangent) as unknown as Tensor[];
  return [value, ...gradients];
}

const chains: Readonly<Record<ChainName, (shape: readonly number[]) => Runner>> = {
  sgdMomentum: (shape) =>
    updaterOf(
      (...args) => {
        const [w, m, g] = args as [Tensor, Tensor, Tensor];
        const next = m.mul(0.9).add(g);
        return [w.sub(next.ref.mul(0.01)), next];
      },
      [held(shape, 1), held(shape, 2)],
      [held(shape, 3)],
    ),
  adamW: (shape) =>
    updaterOf(
      (...args) => {
        const [w, m, v, g] = args as [Tensor, Tensor, Tensor, Tensor];
        const first = m.mul(beta1).add(g.ref.mul(1 - beta1));
        const second = v.mul(beta2).add(np.square(g).mul(1 - beta2));
        const root = np
          .sqrt(second.ref)
          .mul(1 / Math.sqrt(1 - beta2))
          .add(1e-8);
        return [w.mul(1 - 0.001 * 0.01).sub(first.ref.div(root).mul(0.001 / (1 - beta1))), first, second];
      },
      [held(shape, 1), held(shape, 2), np.abs(held(shape, 3))],
      [held(shape, 4)],
    ),
  batchNormRelu: (shape) =>
    runnerOf(
      (...args) => [batchNormRelu(...(args as [Tensor, Tensor, Tensor]))],
      [held(shape, 1), held([shape[1]!], 2), held([shape[1]!], 3)],
    ),
  batchNormReluGradient: (shape) =>
    runnerOf(
      (...args) => {
        const [x, gamma, beta, g] = args as [Tensor, Tensor, Tensor, Tensor];
        return withGradients((...inner) => batchNormRelu(...(inner as [Tensor, Tensor, Tensor])), [x, gamma, beta], g);
      },
      [held(shape, 1), held([shape[1]!], 2), held([shape[1]!], 3), held(shape, 4)],
    ),
  softmax: (shape) => runnerOf((...args) => [nn.softmax(args[0]!, 1)], [held(shape, 1, 8)]),
};

type Layer = (parameters: readonly Tensor[], x: Tensor) => Tensor;

function vicregStep(network: NetworkName): Runner {
  const { batch, image, convolutions, widths } = networks[network];
  const initial: Tensor[] = [];
  const added = (x: Tensor): number => initial.push(x) - 1;
  const normalized = (channels: number): [number, number] => [added(np.ones([channels])), added(np.zeros([channels]))];
  const convolved = ({ inputs, outputs, kernel, stride, padding }: Network['convolutions'][number]): Layer => {
    const weight = added(held([outputs, inputs, kernel, kernel], initial.length + 1, weightScale(inputs * kernel ** 2)));
    const [gamma, beta] = normalized(outputs);
    const pads: [number, number][] = [
      [padding, padding],
      [padding, padding],
    ];
    return (p, x) => batchNorm(lax.conv(x, p[weight]!.ref, [stride, stride], pads), p[gamma]!.ref, p[beta]!.ref);
  };
  const basicBlock = (inputs: number, outputs: number, stride: number): Layer => {
    const first = convolved({ inputs, outputs, size: 0, kernel: 3, stride, padding: 1 });
    const second = convolved({ inputs: outputs, outputs, size: 0, kernel: 3, stride: 1, padding: 1 });
    const shortcut = inputs === outputs ? null : convolved({ inputs, outputs, size: 0, kernel: 1, stride, padding: 0 });
    return (p, x) => {
      const inner = second(p, nn.relu(first(p, x.ref)));
      return nn.relu(inner.add(shortcut ? shortcut(p, x) : x));
    };
  };
  const rectified = (layer: Layer): Layer => (p, x) => nn.relu(layer(p, x));
  const blocks = isResidual(network)
    ? [
        rectified(convolved(convolutions[0]!)),
        ...stages.flatMap(({ inputs, outputs, stride }) => [basicBlock(inputs, outputs, stride), basicBlock(outputs, outputs, 1)]),
      ]
    : convolutions.map((layer) => rectified(convolved(layer)));
  const linear = (row: readonly number[]): Layer[] =>
    row.slice(1).map((width, i) => {
      const inputs = row[i]!;
      const weight = added(np.transpose(held([width, inputs], initial.length + 1, weightScale(inputs))));
      if (i === row.length - 2) return (p, x) => np.matmul(x, p[weight]!.ref);
      const [gamma, beta] = normalized(width);
      return (p, x) => batchNormRelu(np.matmul(x, p[weight]!.ref), p[gamma]!.ref, p[beta]!.ref);
    });
  const pool: Layer = (_, x) => np.mean(x, [2, 3]);
  const layers = [...blocks, ...(convolutions.length > 0 ? [pool] : []), ...widths.flatMap(linear)];
  const forward: Layer = (p, x) => layers.reduce((h, layer) => layer(p, h), convolutions.length > 0 ? x : x.reshape([batch, -1]));

  const d = widths.at(-1)!.at(-1)!;
  const half = (z: Tensor): Tensor => {
    const centred = z.ref.sub(np.mean(z, 0));
    const variance = np.sum(centred.ref.mul(centred.ref), 0).div(batch - 1);
    const hinge = np.mean(nn.relu(np.array(1).sub(np.sqrt(variance.add(1e-4))))).div(2);
    const covariance = np.matmul(centred.ref.transpose(), centred).div(batch - 1);
    const off = covariance.mul(np.array(1).sub(np.eye(d)));
    return hinge.mul(25).add(np.sum(off.ref.mul(off)).div(d));
  };
  const lossOf = (p: Tensor[], x: Tensor, y: Tensor): Tensor => {
    const a = forward(p, x);
    const b = forward(p, y);
    tree.dispose(p);
    const difference = a.ref.sub(b.ref);
    return np.mean(difference.ref.mul(difference)).mul(25).add(half(a)).add(half(b));
  };
  const count = initial.length;
  const step = jit((...args: Tensor[]): Tensor[] => {
    const [x, y] = [args[2 * count]!, args[2 * count + 1]!];
    const parameters = args.slice(0, count);
    const momenta = args.slice(count, 2 * count);
    const [loss, gradients] = valueAndGrad(lossOf)(tree.ref(parameters), x, y) as unknown as [Tensor, Tensor[]];
    const next = momenta.map((m, i) => m.mul(0.9).add(gradients[i]!));
    return [loss, ...parameters.map((p, i) => p.sub(next[i]!.ref.mul(0.01))), ...next];
  });
  const shape = [batch, image[0], image[1], image[1]];
  const [x, y] = [held(shape, 1001), held(shape, 1002)];
  let state = [...initial, ...initial.map((p) => np.zeros(p.shape))];
  const run = async (): Promise<number> => {
    const [loss, ...next] = step(...state, x.ref, y.ref) as [Tensor, ...Tensor[]];
    state = next;
    // On the GPU the loss alone is waited for, as by the others.
    if (!gpu) await blockUntilReady(state);
    return (await dataOf(loss))[0]!;
  };
  return { first: run, run };
}

const contestant: Contestant = {
  matmul: ({ m, k, n, transposeA, transposeB, finish }) =>
    runnerOf(
      (...args) => {
        const [a, b, bias] = args as [Tensor, Tensor, Tensor?];
        const y = np.matmul(transposeA ? np.transpose(a) : a, transposeB ? np.transpose(b) : b);
        return [bias ? nn.relu(y.add(bias)) : y];
      },
      [held(transposeA ? [k, m] : [m, k], 1), held(transposeB ? [n, k] : [k, n], 2), ...(finish ? [held([n], 3)] : [])],
    ),
  convolution: (work) => {
    const { direction, batch, inputs, outputs, size, kernel, stride, padding, finish } = work;
    const shapes = {
      x: [batch, inputs, size, size],
      w: [outputs, inputs, kernel, kernel],
      y: [batch, outputs, outputSize(work), outputSize(work)],
    };
    const pads: [number, number][] = [
      [padding, padding],
      [padding, padding],
    ];
    const forward = (x: Tensor, w: Tensor): Tensor => lax.conv(x, w, [stride, stride], pads);
    const gradient = (f: (x: Tensor) => Tensor, at: Tensor, cotangent: Tensor): Tensor[] => {
      const [value, result] = withGradients((...inner) => f(inner[0]!), [at], cotangent);
      value!.dispose();
      return [result!];
    };
    const channels = [held([outputs, 1, 1], 4), held([outputs, 1, 1], 5)];
    const x = held(shapes.x, 1);
    const w = held(shapes.w, 2);
    const g = held(shapes.y, 3);
    const directions = {
      forward: () =>
        finish
          ? runnerOf((...args) => [nn.relu(forward(args[0]!, args[1]!).mul(args[2]!).add(args[3]!))], [x, w, ...channels])
          : runnerOf((...args) => [forward(args[0]!, args[1]!)], [x, w]),
      input: () => runnerOf((...args) => gradient((image) => forward(image, args[0]!), np.zeros(shapes.x), args[1]!), [w, g]),
      weight: () => runnerOf((...args) => gradient((weight) => forward(args[0]!, weight), np.zeros(shapes.w), args[1]!), [x, g]),
    };
    return directions[direction]();
  },
  step: ({ network }) => {
    if (isResidual(network) && !gpu) throw new CannotError('a step of the conv net is beyond the limit already');
    return vicregStep(network);
  },
  chain: ({ chain, shape }) => chains[chain](shape),
  whitening: ({ groups, samples, dimensions }) => {
    const shape = [groups, samples, dimensions];
    const whiten = (x: Tensor): Tensor => {
      const centred = x.ref.sub(np.mean(x, 1, { keepdims: true }));
      const transposed = np.matrixTranspose(centred.ref);
      const sigma = np.matmul(transposed.ref, centred).div(samples - 1);
      return np.matrixTranspose(lax.linalg.triangularSolve(lax.linalg.cholesky(sigma), transposed, { leftSide: true, lower: true }));
    };
    // Its triangular solve cannot be jitted.
    return eagerRunnerOf(
      (...args) => withGradients((...inner) => whiten(inner[0]!), [args[0]!], args[1]!),
      [held(shape, 1), held(shape, 2)],
    );
  },
  replay: ({ kernels }) =>
    runnerOf(
      (...args) => {
        const [x, w] = args as [Tensor, Tensor];
        const y = Array.from({ length: kernels }).reduce((product: Tensor) => np.matmul(product, w.ref), x);
        w.dispose();
        return [y];
      },
      [held([8, 8], 1), held([8, 8], 2, 0.5)],
    ),
};

await serve(async () => {
  await init(backend);
  defaultDevice(backend);
  return contestant;
});
