/** The chains written by hand in AssemblyScript (kernels/chains.ts): not a peer, but what a peer of ours would have to be. */
import { loadKernels } from '../kernels.ts';
import { magnitude, values } from '../values.ts';
import { type ChainName, product } from '../work.ts';
import { type Contestant, type Runner, serve, unable } from './serve.ts';

type Kernel = (...args: readonly number[]) => void;

const { functions, memory, allocate } = await loadKernels<Readonly<Record<ChainName, Kernel>>>('chains');

interface Held {
  readonly pointer: number;
  readonly length: number;
}

function held(shape: readonly number[], seed?: number, scale = 1, map: (value: number) => number = (value) => value): Held {
  const length = product(shape);
  const pointer = allocate(4 * length);
  if (seed !== undefined) new Float32Array(memory.buffer, pointer, length).set(values(length, seed, scale).map(map));
  return { pointer, length };
}

function runnerOf(kernel: Kernel, operands: readonly Held[], sizes: readonly number[], results: readonly Held[]): Runner {
  const args = [...operands.map(({ pointer }) => pointer), ...sizes];
  const run = (): void => kernel(...args);
  return {
    first: () => {
      run();
      return magnitude(...results.map(({ pointer, length }) => new Float32Array(memory.buffer, pointer, length)));
    },
    run,
  };
}

const chains: Readonly<Record<ChainName, (shape: readonly number[]) => Runner>> = {
  sgdMomentum: (shape) => {
    const [w, m, g] = [held(shape, 1), held(shape, 2), held(shape, 3)];
    return runnerOf(functions.sgdMomentum, [w, m, g], [product(shape)], [w, m]);
  },
  adamW: (shape) => {
    const [w, m, v, g] = [held(shape, 1), held(shape, 2), held(shape, 3, 1, Math.abs), held(shape, 4)];
    return runnerOf(functions.adamW, [w, m, v, g], [product(shape)], [w, m, v]);
  },
  batchNormRelu: (shape) => {
    const channels = [shape[1]!];
    const [x, gamma, beta, y, work] = [held(shape, 1), held(channels, 2), held(channels, 3), held(shape), held([4, shape[1]!])];
    return runnerOf(functions.batchNormRelu, [x, gamma, beta, y, work], [shape[0]!, shape[1]!, product(shape.slice(2))], [y]);
  },
  batchNormReluGradient: (shape) => {
    const channels = [shape[1]!];
    const [x, gamma, beta, g] = [held(shape, 1), held(channels, 2), held(channels, 3), held(shape, 4)];
    const results = [held(shape), held(shape), held(channels), held(channels)];
    const operands = [x, gamma, beta, g, ...results, held([4, shape[1]!])];
    return runnerOf(functions.batchNormReluGradient, operands, [shape[0]!, shape[1]!, product(shape.slice(2))], results);
  },
  softmax: (shape) => {
    const [x, y] = [held(shape, 1, 8), held(shape)];
    return runnerOf(functions.softmax, [x, y], shape, [y]);
  },
};

const contestant: Contestant = { ...unable('not written by hand'), chain: ({ chain, shape }) => chains[chain](shape) };
await serve(async () => contestant);
