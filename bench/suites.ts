import type { ChainName, ConvolutionWork, Direction, Work } from './work.ts';

export type Device = 'cpu' | 'gpu';

export interface Case {
  readonly suite: string;
  readonly device: Device;
  readonly name: string;
  readonly work: Work;
  /** Whether `--quick` measures it. */
  readonly quick: boolean;
}

const rows = (suite: string, cases: readonly (readonly [name: string, work: Work, quick?: 'quick'])[], device: Device = 'cpu'): Case[] =>
  cases.map(([name, work, quick]) => ({ suite, device, name, work, quick: quick === 'quick' }));

const matmul = (m: number, k: number, n: number, transposeA = false, transposeB = false): Work => ({
  kind: 'matmul',
  m,
  k,
  n,
  transposeA,
  transposeB,
});

const linear = (m: number, k: number, n: number): Work => ({ kind: 'matmul', m, k, n, transposeA: false, transposeB: false, finish: true });

const chain = (name: ChainName, ...shape: readonly number[]): Work => ({ kind: 'chain', chain: name, shape });

interface Layer {
  readonly of: string;
  readonly layer: Omit<ConvolutionWork, 'kind' | 'direction'>;
  readonly quick?: boolean;
}

const layer = (
  of: string,
  batch: number,
  inputs: number,
  outputs: number,
  size: number,
  stride: number,
  kernel = 3,
  quick = false,
): Layer => ({
  of,
  layer: { batch, inputs, outputs, size, kernel, stride, padding: (kernel - 1) / 2 },
  quick,
});

const inference = ({ layer: given }: Layer): Work => ({ kind: 'convolution', direction: 'forward', finish: true, ...given });

const layers: readonly Layer[] = [
  layer('small net', 256, 1, 32, 28, 2),
  layer('small net', 256, 32, 64, 14, 2, 3, true),
  layer('small net', 256, 64, 128, 7, 1),
  layer('conv step', 256, 1, 32, 28, 1),
  layer('conv step', 256, 32, 64, 28, 2),
  layer('conv step', 256, 64, 128, 14, 2),
  layer('conv step', 256, 128, 256, 7, 2),
  layer('resnet18', 128, 3, 64, 32, 1),
  layer('resnet18', 128, 64, 64, 32, 1),
  layer('resnet18', 128, 64, 128, 32, 2),
  layer('resnet18', 128, 64, 128, 32, 2, 1),
  layer('resnet18', 128, 128, 128, 16, 1),
  layer('resnet18', 128, 128, 256, 16, 2),
  layer('resnet18', 128, 128, 256, 16, 2, 1),
  layer('resnet18', 128, 256, 256, 8, 1),
  layer('resnet18', 128, 256, 512, 8, 2),
  layer('resnet18', 128, 256, 512, 8, 2, 1),
  layer('resnet18', 128, 512, 512, 4, 1),
];

/** Images have no gradient, so a first layer goes two ways. */
const directionsOf = ({ layer: { inputs } }: Layer): readonly Direction[] =>
  inputs < 16 ? ['forward', 'weight'] : ['forward', 'input', 'weight'];

const convolutions = (suite: string, device: Device, of: readonly Layer[]): Case[] =>
  of.flatMap((entry) =>
    directionsOf(entry).map((direction): Case => {
      const { batch, inputs, outputs, size, kernel, stride } = entry.layer;
      const name = `${entry.of} ${batch}×${inputs}→${outputs} ${kernel}×${kernel}/${stride} @${size} ${direction}`;
      return { suite, device, name, work: { kind: 'convolution', direction, ...entry.layer }, quick: entry.quick === true };
    }),
  );

/** Everything that is measured. A filter of the command line is part of `suite/name`. */
export const cases: readonly Case[] = [
  ...rows('matmul', [
    ['256³', matmul(256, 256, 256)],
    ['512³', matmul(512, 512, 512), 'quick'],
    ['1024³', matmul(1024, 1024, 1024)],
    ['256³ aᵀb', matmul(256, 256, 256, true, false)],
    ['512³ aᵀb', matmul(512, 512, 512, true, false), 'quick'],
    ['1024³ aᵀb', matmul(1024, 1024, 1024, true, false)],
    ['256³ abᵀ', matmul(256, 256, 256, false, true)],
    ['512³ abᵀ', matmul(512, 512, 512, false, true), 'quick'],
    ['1024³ abᵀ', matmul(1024, 1024, 1024, false, true)],
    ['256³ aᵀbᵀ', matmul(256, 256, 256, true, true)],
    ['512³ aᵀbᵀ', matmul(512, 512, 512, true, true)],
    ['1024³ aᵀbᵀ', matmul(1024, 1024, 1024, true, true)],
    ['64³', matmul(64, 64, 64), 'quick'],
    ['1×1024×1024', matmul(1, 1024, 1024), 'quick'],
    ['10000×128×10', matmul(10_000, 128, 10), 'quick'],
  ]),
  ...rows('step', [
    ['VICReg MLP', { kind: 'step', network: 'mlp' }, 'quick'],
    ['VICReg conv', { kind: 'step', network: 'conv' }],
    ['VICReg ResNet-18', { kind: 'step', network: 'resnet18' }],
  ]),
  ...rows('chain', [
    ['SGD-momentum 64K', chain('sgdMomentum', 65_536), 'quick'],
    ['SGD-momentum 8M', chain('sgdMomentum', 8_388_608), 'quick'],
    ['AdamW 64K', chain('adamW', 65_536)],
    ['AdamW 8M', chain('adamW', 8_388_608), 'quick'],
    ['BN+ReLU 256×1024', chain('batchNormRelu', 256, 1024), 'quick'],
    ['BN+ReLU 256×32×28×28', chain('batchNormRelu', 256, 32, 28, 28), 'quick'],
    ['BN+ReLU and gradient 256×1024', chain('batchNormReluGradient', 256, 1024)],
    ['BN+ReLU and gradient 256×32×28×28', chain('batchNormReluGradient', 256, 32, 28, 28), 'quick'],
    ['softmax 256×256', chain('softmax', 256, 256)],
    ['softmax 8192×1024', chain('softmax', 8192, 1024), 'quick'],
  ]),
  ...convolutions('conv', 'cpu', layers),
  ...rows('epilogue', [
    ['1024×256×1024 + bias, ReLU', linear(1024, 256, 1024), 'quick'],
    ['4096×64×4096 + bias, ReLU', linear(4096, 64, 4096)],
    ['128×3→64 3×3/1 @64 · scale + shift, ReLU', inference(layer('', 128, 3, 64, 64, 1)), 'quick'],
    ['64×64→64 3×3/1 @32 · scale + shift, ReLU', inference(layer('', 64, 64, 64, 32, 1))],
    ['32×64→256 1×1/1 @28 · scale + shift, ReLU', inference(layer('', 32, 64, 256, 28, 1, 1))],
  ]),
  ...rows('whitening', [['4×(128×64), with gradient', { kind: 'whitening', groups: 4, samples: 128, dimensions: 64 }, 'quick']]),
  ...rows('replay', [['100 tiny kernels', { kind: 'replay', kernels: 100 }, 'quick']]),
  ...rows(
    'webgpu',
    [
      ['VICReg MLP, batch 32', { kind: 'step', network: 'smallMlp' }, 'quick'],
      ['VICReg conv, batch 32', { kind: 'step', network: 'smallConv' }],
      ['matmul 128³', matmul(128, 128, 128), 'quick'],
      ['matmul 256³', matmul(256, 256, 256)],
      ['matmul 384×256×128', matmul(384, 256, 128)],
    ],
    'gpu',
  ),
];

/** What `--count` counts: whole steps, of the size that they have on the CPU. */
export const countedCases: readonly Case[] = rows(
  'count',
  [
    ['VICReg MLP', { kind: 'step', network: 'mlp' }],
    ['VICReg conv', { kind: 'step', network: 'conv' }],
    ['VICReg ResNet-18', { kind: 'step', network: 'resnet18' }],
  ],
  'gpu',
);

/** What a real GPU is measured on; or the same so small that a CPU that imitates one gets through it. */
export function gpuCases(small: boolean): readonly Case[] {
  const sizes = small ? [64, 128] : [1024, 2048, 4096, 8192];
  const products = sizes.map((size) => [`${size}³`, matmul(size, size, size)] as const);
  const steps = small
    ? ([
        ['VICReg MLP, batch 32', 'smallMlp'],
        ['VICReg conv, batch 32', 'smallConv'],
        ['VICReg ResNet-18, batch 4 @8', 'smallResnet18'],
      ] as const)
    : ([
        ['VICReg MLP', 'mlp'],
        ['VICReg conv', 'conv'],
        ['VICReg ResNet-18', 'resnet18'],
      ] as const);
  const convolved = small ? [layer('tiny', 2, 16, 16, 8, 2)] : layers.filter(({ layer: { inputs, kernel, stride, size } }) => inputs >= 32 && kernel === 3 && (stride === 1 || size === 28));
  return [
    ...rows('matmul', products, 'gpu'),
    ...rows(
      'step',
      steps.map(([name, network]) => [name, { kind: 'step', network }]),
      'gpu',
    ),
    ...convolutions('conv', 'gpu', convolved),
  ];
}
