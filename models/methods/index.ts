import { shown } from '../../engine/arguments.ts';
import { TensegrityError } from '../../engine/errors.ts';
import type { Key, Tensor } from '../../engine/index.ts';
import type { InitializeOptions } from '../nn/initialize.ts';
import type { Module } from '../nn/module.ts';
import { Expander, MLP } from '../nn/networks.ts';
import { barlowTwins } from './barlowTwins.ts';
import { choice, type MethodOption, number, type OptionValues, resolveOptions } from './options.ts';
import { vicreg, vicregDialects } from './vicreg.ts';
import { whiteningNames, wmse, wmseDistances } from './wmse.ts';

/** A loss of two views' embeddings [n, d]: `loss` and its named parts, each a scalar. `key` feeds the methods that draw at random. */
export type MethodLoss = (za: Tensor, zb: Tensor, key?: Key) => { readonly loss: Tensor } & Readonly<Record<string, Tensor>>;

/** Words for a person who trains with a method. */
export interface Advice {
  /** Which deviation tells a collapse: that of rows of length 1, where the loss does not depend on the embedding's scale. */
  readonly watched: 'deviation' | 'normalizedDeviation';
  /** What helps an embedding that has collapsed. */
  readonly collapsed: string;
  /** And one whose dimensions repeat each other; null where the loss does not see that. */
  readonly redundant: string | null;
  /** With at least this epsilon, a dimension that is constant or follows from others does no harm. */
  readonly epsilon: number;
}

/** A self-supervised method, as the trainer and the command use it. */
export interface Method {
  readonly title: string;
  /** The paper and the code that it follows. */
  readonly source: string;
  /** Names of the loss's parts, in the order in which they are shown. */
  readonly parts: readonly string[];
  /** Its options, each with its range and the official default. */
  readonly options: Readonly<Record<string, MethodOption>>;
  /** Options that training at small scale sets otherwise. */
  readonly training: Readonly<Record<string, number | string>>;
  /** Widths of the head after the encoder's, at small scale. */
  readonly widths: readonly number[];
  /** What is watched of its embedding, and what helps when that is ill. */
  readonly advice: Advice;
  /** The network between the encoder's features and the loss. */
  readonly head: (inputs: number, widths: readonly number[], options: InitializeOptions) => Module;
  /** The loss with options checked. @throws TensegrityError `argument` naming the option and what would be right. */
  readonly configure: (options?: Readonly<Record<string, unknown>>) => MethodLoss;
}

/** A row of {@link methods}: the loss takes exactly the options of its table. */
function method<Table extends Readonly<Record<string, MethodOption>>>({
  loss,
  ...row
}: Omit<Method, 'configure' | 'options'> & {
  readonly options: Table;
  readonly loss: (za: Tensor, zb: Tensor, options: OptionValues<Table>, key?: Key) => ReturnType<MethodLoss>;
}): Method {
  return {
    ...row,
    configure: (given = {}) => {
      const options = resolveOptions(row.options, given, row.title);
      return (za, zb, key) => loss(za, zb, options, key);
    },
  };
}

/** The methods by the name that the command and run folders use. A new method is one more row. */
export const methods = {
  vicreg: method({
    title: 'VICReg',
    source: 'A. Bardes, J. Ponce, Y. LeCun, ICLR 2022; facebookresearch/vicreg',
    parts: ['invariance', 'variance', 'covariance'],
    options: {
      invariance: number(25, 'weight of the invariance term'),
      variance: number(25, 'weight of the variance term'),
      covariance: number(1, 'weight of the covariance term'),
      gamma: number(1, 'standard deviation that each dimension must reach'),
      epsilon: number(1e-4, 'added to the variance inside the root'),
      dialect: choice(vicregDialects, 'official', 'whose loss of this name'),
    },
    training: {},
    widths: [256, 256, 256],
    advice: {
      watched: 'deviation',
      collapsed: 'raise the weight of the variance term (--variance)',
      redundant: 'raise the weight of the covariance term (--covariance)',
      epsilon: 1e-4,
    },
    head: (inputs, widths, options) => new Expander(inputs, widths, options),
    loss: vicreg,
  }),
  'barlow-twins': method({
    title: 'Barlow Twins',
    source: 'J. Zbontar et al., ICML 2021; facebookresearch/barlowtwins',
    parts: ['onDiagonal', 'offDiagonal'],
    options: {
      offDiagonal: number(0.0051, 'weight of the off-diagonal part'),
      scale: number(1, 'factor of the whole loss'),
      epsilon: number(1e-5, 'added to the variance inside the root'),
    },
    training: {},
    widths: [256, 256, 256],
    advice: {
      watched: 'normalizedDeviation',
      collapsed: 'lower --lr, or lengthen --warmup',
      redundant: 'raise the weight of the off-diagonal part (--off-diagonal)',
      epsilon: 1e-5,
    },
    head: (inputs, widths, options) => new Expander(inputs, widths, { ...options, bias: false }),
    loss: barlowTwins,
  }),
  'w-mse': method({
    title: 'W-MSE',
    source: 'A. Ermolov et al., ICML 2021; htdt/self-supervised',
    parts: [],
    options: {
      subBatch: number(null, 'samples that are whitened together; the whole batch, unless given', { least: 2, whole: true }),
      iterations: number(1, 'how often the batch is divided anew', { least: 1, whole: true }),
      distance: choice(wmseDistances, 'normalized', 'of whitened pairs: 2 − 2·cos, or the mean squared error'),
      epsilon: number(0, 'share of the identity in the covariance', { most: 1 }),
      whitening: choice(whiteningNames, 'cholesky', 'how'),
    },
    training: { subBatch: 128 },
    widths: [1024, 32],
    advice: {
      watched: 'normalizedDeviation',
      collapsed: 'lower --lr, or lengthen --warmup',
      redundant: null,
      epsilon: 1e-4,
    },
    head: (inputs, widths, options) => new MLP([inputs, ...widths], { ...options, normalize: true }),
    loss: (za, zb, options, key = 0) => wmse(za, zb, { ...options, key }),
  }),
} as const satisfies Readonly<Record<string, Method>>;

export type MethodName = keyof typeof methods;

/** The row of that name. @throws TensegrityError `argument` listing those there are. */
export function methodNamed(name: string): Method {
  if (typeof name !== 'string' || !Object.hasOwn(methods, name))
    throw new TensegrityError('argument', `there is no method ${shown(name)}; there are ${Object.keys(methods).join(', ')}`);
  return methods[name as MethodName];
}
