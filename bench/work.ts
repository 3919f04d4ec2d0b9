/** What can be measured, as plain data that a contestant in any language understands. */
export type Direction = 'forward' | 'input' | 'weight';
export type ChainName = 'sgdMomentum' | 'adamW' | 'batchNormRelu' | 'batchNormReluGradient' | 'softmax';
export type NetworkName = 'mlp' | 'conv' | 'resnet18' | 'smallMlp' | 'smallConv' | 'smallResnet18' | 'reference';

/** op(a)·op(b) for [m, k]·[k, n]; a transposed operand is stored transposed. */
export interface MatmulWork {
  readonly kind: 'matmul';
  readonly m: number;
  readonly k: number;
  readonly n: number;
  readonly transposeA: boolean;
  readonly transposeB: boolean;
  /** Whether a bias and ReLU follow, as in a layer. */
  readonly finish?: boolean;
}

/** One direction of a square convolution: `batch` images of `inputs` channels, `size`², to `outputs` channels. */
export interface ConvolutionWork {
  readonly kind: 'convolution';
  readonly direction: Direction;
  readonly batch: number;
  readonly inputs: number;
  readonly outputs: number;
  readonly size: number;
  readonly kernel: number;
  readonly stride: number;
  readonly padding: number;
  /** Whether a scale and shift of channels and ReLU follow a forward pass, as batch norm in inference. */
  readonly finish?: boolean;
}

/** One VICReg training step: two views forward, loss, gradient, SGD with momentum. */
export interface StepWork {
  readonly kind: 'step';
  readonly network: NetworkName;
}

/** Work that memory bounds; the axes of `shape` after the second are space, axis 1 is channels (batch norm) or classes (softmax). */
export interface ChainWork {
  readonly kind: 'chain';
  readonly chain: ChainName;
  readonly shape: readonly number[];
}

/** Cholesky whitening of `groups` of [samples, dimensions], and its gradient. */
export interface WhiteningWork {
  readonly kind: 'whitening';
  readonly groups: number;
  readonly samples: number;
  readonly dimensions: number;
}

/** That many products of 8×8 matrices, each of the one before: what a kernel costs when it has next to nothing to do. */
export interface ReplayWork {
  readonly kind: 'replay';
  readonly kernels: number;
}

export type Work = MatmulWork | ConvolutionWork | StepWork | ChainWork | WhiteningWork | ReplayWork;
export type WorkKind = Work['kind'];
export type WorkOf<Kind extends WorkKind> = Extract<Work, { kind: Kind }>;

/** What the machine has to do at least; null where no limit is known. */
export interface Demand {
  /** A multiply-add counts two; of convolutions as direct convolution. Only of contractions: the rest is bound by memory. */
  readonly flops: number;
  /** Bytes between memory and the processor, each array once per pass that the arithmetic forces. */
  readonly bytes: number;
}

const floatBytes = 4;
export const product = (values: readonly number[]): number => values.reduce((total, value) => total * value, 1);

export function outputSize({ size, kernel, stride, padding }: Pick<ConvolutionWork, 'size' | 'kernel' | 'stride' | 'padding'>): number {
  return Math.floor((size + 2 * padding - kernel) / stride) + 1;
}

/** How often a chain reads or writes an array of its shape. */
const passes: Readonly<Record<ChainName, number>> = {
  // Reads w, m and g; writes w and m.
  sgdMomentum: 5,
  // Reads w, m, v and g; writes w, m and v.
  adamW: 7,
  // Reads x for its mean and variance, x again; writes y.
  batchNormRelu: 3,
  // The same; then reads x and the gradient for two sums, both again, and writes the gradient in x.
  batchNormReluGradient: 8,
  // Reads x; writes y. A row stays in cache.
  softmax: 2,
};

type Layer = Pick<ConvolutionWork, 'inputs' | 'outputs' | 'size' | 'kernel' | 'stride' | 'padding'>;
const layer = (inputs: number, outputs: number, size: number, stride: number, kernel = 3): Layer => ({
  inputs,
  outputs,
  size,
  kernel,
  stride,
  padding: (kernel - 1) / 2,
});

export interface Network {
  readonly batch: number;
  /** Channels and size of the square images. */
  readonly image: readonly [channels: number, size: number];
  readonly convolutions: readonly Layer[];
  /** Widths of the linear layers, the input first. */
  readonly widths: readonly (readonly number[])[];
}

/** The stages of ResNet-18. */
export const stages: readonly { readonly inputs: number; readonly outputs: number; readonly stride: number }[] = [
  { inputs: 64, outputs: 64, stride: 1 },
  { inputs: 64, outputs: 128, stride: 2 },
  { inputs: 128, outputs: 256, stride: 2 },
  { inputs: 256, outputs: 512, stride: 2 },
];

/** ResNet-18 on square images: each stage is two blocks of two convolutions, and a 1×1 where the shape changes. */
function resnetLayers(image: number): Layer[] {
  let size = image;
  const layers = stages.flatMap(({ inputs, outputs, stride }) => {
    const [before, after] = [size, size / stride];
    size = after;
    const rest = Array.from({ length: 3 }, () => layer(outputs, outputs, after, 1));
    return [layer(inputs, outputs, before, stride), ...rest, ...(stride === 1 ? [] : [layer(inputs, outputs, before, stride, 1)])];
  });
  return [layer(3, 64, image, 1), ...layers];
}

export const networks: Readonly<Record<NetworkName, Network>> = {
  mlp: {
    batch: 256,
    image: [1, 28],
    convolutions: [],
    widths: [
      [784, 512, 512, 256],
      [256, 1024, 1024, 1024],
    ],
  },
  conv: {
    batch: 256,
    image: [1, 28],
    convolutions: [layer(1, 32, 28, 1), layer(32, 64, 28, 2), layer(64, 128, 14, 2), layer(128, 256, 7, 2)],
    widths: [[256, 1024, 1024, 1024]],
  },
  resnet18: {
    batch: 128,
    image: [3, 32],
    convolutions: resnetLayers(32),
    widths: [[512, 1024, 1024, 1024]],
  },
  // For a GPU that a CPU imitates.
  smallMlp: {
    batch: 32,
    image: [1, 28],
    convolutions: [],
    widths: [
      [784, 64, 64, 32],
      [32, 64, 64, 64],
    ],
  },
  smallConv: {
    batch: 32,
    image: [1, 28],
    convolutions: [layer(1, 8, 28, 1), layer(8, 16, 28, 2), layer(16, 32, 14, 2), layer(32, 32, 7, 2)],
    widths: [[32, 64, 64, 64]],
  },
  smallResnet18: {
    batch: 4,
    image: [3, 8],
    convolutions: resnetLayers(8),
    widths: [[512, 64, 64, 64]],
  },
  // That of the reference recipe.
  reference: {
    batch: 256,
    image: [1, 28],
    convolutions: [layer(1, 32, 28, 2), layer(32, 64, 14, 2), layer(64, 128, 7, 1)],
    widths: [[128, 256, 256, 256]],
  },
};

/** Whether its convolutions are those of a ResNet, and not one after the other. */
export const isResidual = (network: NetworkName): boolean => network.toLowerCase().endsWith('resnet18');

function convolutionFlops(batch: number, { inputs, outputs, ...window }: Layer): number {
  return 2 * batch * outputs * outputSize(window) ** 2 * inputs * window.kernel ** 2;
}

/** Forward, and twice that again for both gradients; the images need none. The covariance of each view: [d, n]·[n, d], and back. */
function stepFlops(name: NetworkName): number {
  const { batch, convolutions, widths } = networks[name];
  const linear = widths.flatMap((row) => row.slice(1).map((width, i) => 2 * batch * row[i]! * width));
  const layers = [...convolutions.map((convolution) => convolutionFlops(batch, convolution)), ...linear];
  const embedding = widths.at(-1)!.at(-1)!;
  const covariance = 2 * batch * embedding ** 2;
  const total = layers.reduce((sum, flops) => sum + 3 * flops, -layers[0]!) + 2 * covariance;
  return 2 * total;
}

const demands: { readonly [Kind in WorkKind]: (work: WorkOf<Kind>) => Demand | null } = {
  matmul: ({ m, k, n }) => ({ flops: 2 * m * k * n, bytes: floatBytes * (m * k + k * n + m * n) }),
  convolution: (work) => {
    const { batch, inputs, outputs, size, kernel } = work;
    const elements = batch * inputs * size ** 2 + outputs * inputs * kernel ** 2 + batch * outputs * outputSize(work) ** 2;
    return { flops: convolutionFlops(batch, work), bytes: floatBytes * elements };
  },
  step: ({ network }) => ({ flops: stepFlops(network), bytes: 0 }),
  chain: ({ chain, shape }) => ({ flops: 0, bytes: floatBytes * passes[chain] * product(shape) }),
  whitening: () => null,
  replay: () => null,
};

export function demandOf(work: Work): Demand | null {
  // The table's type ties each row to its kind; here both are of the same kind.
  return (demands[work.kind] as (work: Work) => Demand | null)(work);
}
