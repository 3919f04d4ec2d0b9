/** Plain JavaScript may call anything with anything: what comes is a typed error, or a result, and never a raw TypeError. */
import { beforeAll, describe, expect, it } from 'vitest';
import * as engine from '../../engine/index.ts';
import { scalars } from '../../engine/scalar.ts';
import { expectTyped } from '../support/misuse.ts';
import { reference } from './support.ts';

const { Tensor, useBackend, zeros } = engine;

const matrix = zeros([4, 3]);
const square = zeros([3, 3]);
const images = zeros([2, 2, 6, 6]);
const index = zeros([4, 3], 'i32');
const host = { dtype: 'f32', shape: [4, 3], data: new Float32Array(12) } as const;

/** Right arguments of each function that is exported. */
const functions: Readonly<Record<string, readonly unknown[]>> = {
  grad: [matrix.sum(), [matrix]],
  vjp: [matrix, [matrix], matrix],
  jvp: [matrix, [matrix], [matrix]],
  hessianVectorProduct: [matrix.square().sum(), [matrix], [matrix]],
  compile: [() => matrix],
  conv2d: [images, zeros([2, 2, 3, 3]), {}],
  arange: [3, 'f32'],
  eye: [3, 'f32'],
  full: [[2], 1, 'f32'],
  linspace: [0, 1, 3, 'f32'],
  ones: [[2], 'f32'],
  zeros: [[2], 'f32'],
  tensor: [[1, 2], {}],
  customGradient: [matrix, [matrix], () => [matrix]],
  stopGradient: [matrix],
  cumsum: [matrix, 0, {}],
  cumprod: [matrix, 0, {}],
  argsort: [matrix, {}],
  sort: [matrix, {}],
  topK: [matrix, 1, 0],
  oneHot: [index, 3],
  scatter: [matrix, index, matrix, 0],
  scatterAdd: [matrix, index, 0, 4],
  take: [matrix, index, 0],
  takeAlongAxis: [matrix, index, 0],
  cholesky: [square],
  eigh: [square],
  lowerTriangle: [square, true],
  trace: [square],
  triangularSolve: [square, square, {}],
  matmul: [matrix, square],
  broadcast: [matrix, matrix],
  concat: [[matrix, matrix], 0],
  diagonal: [square],
  pad: [matrix, [0, 1], [1, 0], 1],
  stack: [[matrix, matrix], 0],
  adaptiveAveragePool2d: [images, 2],
  averagePool2d: [images, 2, {}],
  maxPool2d: [images, 2, {}],
  maxPool2dWithIndices: [images, 2, {}],
  bernoulli: [[2], { key: 1, p: 0.5 }],
  foldIn: [1, 2],
  key: [1],
  permutation: [4, { key: 1 }],
  randint: [[2], { key: 1, high: 3 }],
  randn: [[2], { key: 1 }],
  randomBits: [1, [2]],
  split: [1, 2],
  uniform: [[2], { key: 1 }],
  affineGrid: [zeros([1, 2, 3]), [2, 2], {}],
  gridSample: [images, zeros([2, 2, 2, 2]), {}],
  realize: [matrix],
  slot: [host, 'name'],
};

/** Those that take a backend or a plan, and what is no call for everybody. */
const others = ['useBackend', 'backend', 'memoryBytes', 'printPlan', 'validatePlan'];

/** The methods that are rows of the scalar table with so many operands, of types that any tensor may have. */
const ofTable = (arity: number): string[] =>
  Object.entries(scalars).flatMap(([name, row]) =>
    row.arity === arity && ['same', 'float', 'compare'].includes(row.typing) ? [name] : [],
  );

/** Right arguments of each method of a tensor, here [4, 3]. */
const methods: Readonly<Record<string, readonly unknown[]>> = {
  ...Object.fromEntries(['data', 'item', 'array', 'toHost', ...ofTable(1)].map((name) => [name, []])),
  ...Object.fromEntries(['rsqrt', 'square', 'reciprocal', 'isNaN', 'isFinite', 'logicalNot', 'stopGradient'].map((name) => [name, []])),
  ...Object.fromEntries(
    [...ofTable(2), 'greater', 'greaterEqual', 'logicalAnd', 'logicalOr', 'logicalXor'].map((name) => [name, [matrix]]),
  ),
  ...Object.fromEntries(['sum', 'prod', 'max', 'min', 'mean', 'logsumexp', 'norm'].map((name) => [name, [[0], true]])),
  ...Object.fromEntries(['argmax', 'argmin'].map((name) => [name, [0, true]])),
  ...Object.fromEntries(['variance', 'std'].map((name) => [name, [[0], {}]])),
  ...Object.fromEntries(['softmax', 'logSoftmax', 'unsqueeze', 'flatten'].map((name) => [name, [0]])),
  ...Object.fromEntries(['bitwiseAnd', 'bitwiseOr', 'bitwiseXor', 'bitwiseLeftShift', 'bitwiseRightShift'].map((name) => [name, [index]])),
  bitwiseNot: [],
  cumsum: [0, {}],
  cumprod: [0, {}],
  clamp: [0, 1],
  where: [matrix, 0],
  cast: ['f32'],
  reshape: [[3, 4]],
  permute: [[1, 0]],
  transpose: [0, 1],
  expand: [[2, 4, 3]],
  slice: [0, [0, 1]],
  narrow: [0, 0, 1],
  flip: [0],
  pad: [[0, 1], [1, 0], 1],
  squeeze: [[]],
  matmul: [square],
  conv2d: [zeros([2, 2, 3, 3]), {}],
  take: [index, 0],
  takeAlongAxis: [index, 0],
};

describe('plain JavaScript', () => {
  beforeAll(async () => {
    await useBackend(reference);
  });

  it('is checked of every function', () => {
    const exported = Object.entries(engine).flatMap(([name, value]) => (/^[a-z]/.test(name) && typeof value === 'function' ? [name] : []));
    expect([...Object.keys(functions), ...others].sort()).toEqual(exported.sort());
    const own = Object.getOwnPropertyDescriptors(Tensor.prototype);
    const names = Object.entries(own).flatMap(([name, { value }]) => (typeof value === 'function' && name !== 'constructor' ? [name] : []));
    expect(names.filter((name) => !(name in methods)).sort()).toEqual(['dispose', 'of']);
  });

  it.each(Object.entries(functions))('calls %s', (name, right) => {
    const target = (engine as unknown as Record<string, (...args: readonly unknown[]) => unknown>)[name]!;
    return expectTyped(name, (args) => target(...args), right);
  });

  it.each(Object.entries(methods))('calls the method %s', (name, right) => {
    const target = matrix as unknown as Record<string, (...args: readonly unknown[]) => unknown>;
    const own = name === 'conv2d' ? (images as unknown as typeof target) : target;
    return expectTyped(name, (args) => own[name]!(...args), right);
  });
});
