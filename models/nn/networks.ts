import { adaptiveAveragePool2d, concat, maxPool2d, type Tensor } from '../../engine/core.ts';
import { check, checkChoice, checkList, options } from '../../engine/internal.ts';
import { relu } from './functional.ts';
import { deriveKey, type InitializeOptions, type Initializer, kaimingNormal, kaimingUniform } from './initialize.ts';
import { BatchNorm1d, BatchNorm2d, Conv2d, Linear } from './layers.ts';
import { type Layer, type Mode, Module, Sequential, watch } from './module.ts';

export interface MLPOptions extends InitializeOptions {
  /** Batch normalisation between a hidden layer and its activation; false, unless given. */
  readonly normalize?: boolean;
  /** Whether hidden layers have a bias; true, unless given. */
  readonly bias?: boolean;
  /** Whether the last layer has one; true, unless given. */
  readonly outputBias?: boolean;
  /** ReLU, unless given. */
  readonly activation?: (x: Tensor) => Tensor;
  /** PyTorch's default, unless given. */
  readonly initialize?: Initializer;
}

/** Linear layers of the given widths, input first, with an activation between them: [N, widths[0]] → [N, widths.at(-1)]. */
export class MLP extends Sequential {
  constructor(widths: readonly number[], given: MLPOptions) {
    const { key, normalize, bias, outputBias, activation, initialize, dtype } = options('MLP', given, {
      key: undefined,
      dtype: 'f32',
      normalize: false,
      bias: true,
      outputBias: true,
      activation: relu,
      initialize: kaimingUniform,
    });
    check(
      Array.isArray(widths) && widths.length >= 2 && widths.every((width) => Number.isInteger(width) && width >= 1),
      'argument',
      () => `MLP: needs the widths of input and output at least, whole numbers ≥ 1, got [${String(widths)}]`,
    );
    super(
      widths.slice(1).flatMap((width, i): Layer[] => {
        const last = i === widths.length - 2;
        const layer = new Linear(widths[i]!, width, { dtype, key: deriveKey(key, i), bias: last ? outputBias : bias, initialize });
        return last ? [layer] : [layer, ...(normalize ? [new BatchNorm1d(width, { dtype })] : []), activation];
      }),
    );
  }
}

/**
 * The expander of VICReg (and the projector of Barlow Twins with `bias: false`): [Linear-BN-ReLU] for each hidden width, then Linear without
 * bias. At ImageNet scale the widths are 8192, 8192, 8192. (A. Bardes et al., ICLR 2022, §4; facebookresearch/vicreg:main_vicreg.py)
 */
export class Expander extends MLP {
  constructor(inputs: number, widths: readonly number[], options: MLPOptions) {
    checkList('Expander: the widths', widths);
    super([inputs, ...widths], { normalize: true, outputBias: false, ...options });
  }
}

/** A convolutional network [N, C, H, W] → [N, width], the mean of its feature map over space. */
export abstract class Encoder extends Module {
  /** How many features it gives. */
  abstract readonly width: number;
  /** The features before pooling, [N, width, H', W']. */
  abstract featureMap(x: Tensor, mode?: Mode): Tensor;

  constructor() {
    super();
    watch(this, 'featureMap');
  }

  override forward(x: Tensor, mode?: Mode): Tensor {
    return this.featureMap(x, mode).mean([2, 3]);
  }
}

export interface EncoderOptions extends InitializeOptions {
  /** Channels of the images. */
  readonly inputs?: number;
}

/** A convolution with batch norm and ReLU. */
export interface ConvolutionLayer {
  readonly width: number;
  /** Of the window; 3, unless given. */
  readonly kernel?: number;
  /** 1, unless given. */
  readonly stride?: number;
  /** What keeps the map's size at stride 1, (kernel − 1)/2, unless given. */
  readonly padding?: number;
}

export interface SmallConvNetOptions extends EncoderOptions {
  /** 32, 64 and 128 channels with strides 2, 2, 1, unless given. */
  readonly layers?: readonly ConvolutionLayer[];
  /** How many of the last layers the features are of: their maps, pooled to the size of the last, are joined, the first of them first; 1, unless given. */
  readonly levels?: number;
}

const SMALL: readonly ConvolutionLayer[] = [{ width: 32, stride: 2 }, { width: 64, stride: 2 }, { width: 128 }];

/** Convolutions one after the other, each with batch norm and ReLU; by default the small encoder for 28×28 images, of 93K parameters. */
export class SmallConvNet extends Encoder {
  override readonly width: number;
  readonly #layers: readonly Sequential[];
  readonly #levels: number;

  /** @throws TensegrityError `argument` for a layer that is none. */
  constructor(given: SmallConvNetOptions) {
    super();
    const { key, inputs, dtype, layers, levels } = options('SmallConvNet', given, {
      key: undefined,
      dtype: 'f32',
      inputs: 1,
      layers: SMALL,
      levels: 1,
    });
    checkList('SmallConvNet: the layers', layers);
    check(layers.length > 0, 'argument', () => 'SmallConvNet: needs a layer at least');
    check(
      Number.isInteger(levels) && levels >= 1 && levels <= layers.length,
      'argument',
      () => `SmallConvNet: levels must be a whole number from 1 to ${layers.length}, the number of layers; got ${levels}`,
    );
    const blocks = layers.map((layer, i) => {
      const { width, kernel, stride, padding } = options('SmallConvNet: a layer', layer, {
        width: undefined,
        kernel: 3,
        stride: 1,
        padding: undefined,
      });
      return new Sequential([
        new Conv2d(i === 0 ? inputs : layers[i - 1]!.width, width, kernel, {
          dtype,
          key: deriveKey(key, i),
          stride,
          padding: padding ?? Math.floor((kernel - 1) / 2),
          bias: false,
        }),
        new BatchNorm2d(width, { dtype }),
        relu,
      ]);
    });
    this.width = layers.slice(-levels).reduce((sum, { width }) => sum + width, 0);
    this.#levels = levels;
    this.#layers = blocks;
  }

  /** '0.0.weight', '0.1.running_mean', …: those of a sequence of sequences. */
  protected override members(): readonly (readonly [string, unknown])[] {
    return [...Object.entries(this.#layers), ...super.members()];
  }

  override featureMap(x: Tensor, mode?: Mode): Tensor {
    const maps: Tensor[] = [];
    for (const layer of this.#layers) maps.push(layer.forward(maps.at(-1) ?? x, mode));
    const [rows, columns] = maps.at(-1)!.shape.slice(2) as [number, number];
    const levels = maps.slice(-this.#levels).map((map) => (map === maps.at(-1) ? map : adaptiveAveragePool2d(map, [rows, columns])));
    return levels.length === 1 ? levels[0]! : concat(levels, 1);
  }
}

interface BlockOptions extends InitializeOptions {
  readonly inputs: number;
  readonly planes: number;
  readonly stride: number;
}

/** What a residual block adds to: its input, or a 1×1 convolution of it where shapes differ. */
function shortcut({ inputs, stride, key, dtype = 'f32' }: BlockOptions, outputs: number): Sequential | null {
  if (stride === 1 && inputs === outputs) return null;
  const convolution = new Conv2d(inputs, outputs, 1, {
    dtype,
    key: deriveKey(key, 3),
    stride,
    bias: false,
    initialize: kaimingNormal,
  });
  return new Sequential([convolution, new BatchNorm2d(outputs, { dtype })]);
}

function convolution(inputs: number, outputs: number, kernel: number, stride: number, options: InitializeOptions, i: number): Conv2d {
  return new Conv2d(inputs, outputs, kernel, {
    ...options,
    key: deriveKey(options.key, i),
    stride,
    padding: (kernel - 1) / 2,
    bias: false,
    initialize: kaimingNormal,
  });
}

/** Two 3×3 convolutions and the shortcut. (K. He et al., CVPR 2016, Fig. 5 left) */
class BasicBlock extends Module {
  static readonly expansion = 1;
  readonly conv1: Conv2d;
  readonly bn1: BatchNorm2d;
  readonly conv2: Conv2d;
  readonly bn2: BatchNorm2d;
  readonly downsample: Sequential | null;

  constructor(options: BlockOptions) {
    super();
    const { inputs, planes, stride, key, dtype = 'f32' } = options;
    this.conv1 = convolution(inputs, planes, 3, stride, { key, dtype }, 0);
    this.bn1 = new BatchNorm2d(planes, { dtype });
    this.conv2 = convolution(planes, planes, 3, 1, { key, dtype }, 1);
    this.bn2 = new BatchNorm2d(planes, { dtype });
    this.downsample = shortcut(options, planes);
  }

  override forward(x: Tensor, mode?: Mode): Tensor {
    const inner = this.bn1.forward(this.conv1.forward(x), mode).relu();
    const residual = this.bn2.forward(this.conv2.forward(inner), mode);
    return residual.add(this.downsample?.forward(x, mode) ?? x).relu();
  }
}

/** 1×1 to `planes`, 3×3 with the stride (as torchvision, "v1.5"), 1×1 to 4·planes. (K. He et al., CVPR 2016, Fig. 5 right) */
class Bottleneck extends Module {
  static readonly expansion = 4;
  readonly conv1: Conv2d;
  readonly bn1: BatchNorm2d;
  readonly conv2: Conv2d;
  readonly bn2: BatchNorm2d;
  readonly conv3: Conv2d;
  readonly bn3: BatchNorm2d;
  readonly downsample: Sequential | null;

  constructor(options: BlockOptions) {
    super();
    const { inputs, planes, stride, key, dtype = 'f32' } = options;
    const outputs = planes * Bottleneck.expansion;
    this.conv1 = convolution(inputs, planes, 1, 1, { key, dtype }, 0);
    this.bn1 = new BatchNorm2d(planes, { dtype });
    this.conv2 = convolution(planes, planes, 3, stride, { key, dtype }, 1);
    this.bn2 = new BatchNorm2d(planes, { dtype });
    this.conv3 = convolution(planes, outputs, 1, 1, { key, dtype }, 2);
    this.bn3 = new BatchNorm2d(outputs, { dtype });
    this.downsample = shortcut(options, outputs);
  }

  override forward(x: Tensor, mode?: Mode): Tensor {
    const first = this.bn1.forward(this.conv1.forward(x), mode).relu();
    const second = this.bn2.forward(this.conv2.forward(first), mode).relu();
    const residual = this.bn3.forward(this.conv3.forward(second), mode);
    return residual.add(this.downsample?.forward(x, mode) ?? x).relu();
  }
}

const resnets = {
  resnet18: { Block: BasicBlock, depths: [2, 2, 2, 2] },
  resnet34: { Block: BasicBlock, depths: [3, 4, 6, 3] },
  resnet50: { Block: Bottleneck, depths: [3, 4, 6, 3] },
} as const;

export type ResNetName = keyof typeof resnets;

export interface ResNetOptions extends EncoderOptions {
  /** `imagenet` (the default): 7×7 convolution with stride 2 and max-pool; `cifar`: 3×3 with stride 1 and no pool, for small images. */
  readonly stem?: 'imagenet' | 'cifar';
}

/**
 * A residual network without its classifier: images [N, inputs, H, W] → [N, 512] (18, 34) or [N, 2048] (50). Names, layouts and initial
 * distribution are torchvision's, so its checkpoints load with `loadStateDict(state, { ignore: ['fc.'] })`. The CIFAR stem is SimCLR's.
 * (K. He et al., CVPR 2016; torchvision/models/resnet.py; T. Chen et al., ICML 2020, B.9)
 */
export class ResNet extends Encoder {
  override readonly width: number;
  readonly stem: 'imagenet' | 'cifar';
  readonly conv1: Conv2d;
  readonly bn1: BatchNorm2d;
  readonly layer1: Sequential;
  readonly layer2: Sequential;
  readonly layer3: Sequential;
  readonly layer4: Sequential;

  constructor(name: ResNetName, given: ResNetOptions) {
    super();
    const { key, inputs, stem, dtype } = options('ResNet', given, { key: undefined, dtype: 'f32', inputs: 3, stem: 'imagenet' });
    checkChoice('ResNet', name, Object.keys(resnets));
    checkChoice('ResNet: stem', stem, ['imagenet', 'cifar']);
    const { Block, depths } = resnets[name];
    const stage = (i: number): Sequential => {
      const planes = 64 * 2 ** i;
      const from = i === 0 ? 64 : (planes / 2) * Block.expansion;
      const stageKey = deriveKey(key, i + 1);
      return new Sequential(
        Array.from(
          { length: depths[i]! },
          (_, block) =>
            new Block({
              inputs: block === 0 ? from : planes * Block.expansion,
              planes,
              stride: block === 0 && i > 0 ? 2 : 1,
              key: deriveKey(stageKey, block),
              dtype,
            }),
        ),
      );
    };
    this.width = 512 * Block.expansion;
    this.stem = stem;
    this.conv1 = stem === 'cifar' ? convolution(inputs, 64, 3, 1, { key, dtype }, 0) : convolution(inputs, 64, 7, 2, { key, dtype }, 0);
    this.bn1 = new BatchNorm2d(64, { dtype });
    this.layer1 = stage(0);
    this.layer2 = stage(1);
    this.layer3 = stage(2);
    this.layer4 = stage(3);
  }

  override featureMap(x: Tensor, mode?: Mode): Tensor {
    const first = this.bn1.forward(this.conv1.forward(x), mode).relu();
    const pooled = this.stem === 'cifar' ? first : maxPool2d(first, 3, { stride: 2, padding: 1 });
    return [this.layer1, this.layer2, this.layer3, this.layer4].reduce((h, layer) => layer.forward(h, mode), pooled);
  }
}
