import { type DType, type Tensor, tensor } from '../../engine/core.ts';
import { check, checkChoice, checkTensors, dtypes, options, show, shown } from '../../engine/internal.ts';
import { gelu, linear, scaledDotProductAttention } from './functional.ts';
import { deriveKey, type InitializeOptions, normal } from './initialize.ts';
import { Conv2d, LayerNorm, Linear } from './layers.ts';
import { Module, type Parameter, Sequential } from './module.ts';
import { Encoder, type EncoderOptions } from './networks.ts';

/** Deviation that every weight of a transformer is drawn with, as BERT, DeiT and timm have it. */
const initialize = normal(0.02);
/** As timm's; PyTorch's own default is 1e-5. */
const NORM_EPSILON = 1e-6;

interface AttentionOptions extends InitializeOptions {
  readonly heads: number;
}

/** Multi-head self-attention: [n, tokens, width] → the same shape. (A. Vaswani et al., NeurIPS 2017, §3.2.2; names are timm's) */
export class Attention extends Module {
  readonly heads: number;
  readonly qkv: Linear;
  readonly proj: Linear;

  /** @throws TensegrityError `argument` unless the heads divide the width. */
  constructor(width: number, given: AttentionOptions) {
    super();
    const { heads, key, dtype } = options('Attention', given, { key: undefined, dtype: 'f32', heads: undefined });
    check(
      Number.isInteger(heads) && heads >= 1 && width % heads === 0,
      'argument',
      () => `Attention: ${heads} heads do not divide a width of ${width}`,
    );
    this.heads = heads;
    this.qkv = new Linear(width, 3 * width, { key: deriveKey(key, 0), dtype, initialize });
    this.proj = new Linear(width, width, { key: deriveKey(key, 1), dtype, initialize });
  }

  override forward(x: Tensor): Tensor {
    checkTensors('Attention', x);
    check(x.rank === 3, 'shape', () => `Attention: takes [n, tokens, width], got ${show(x.shape)}`);
    const [n, tokens, width] = x.shape as [number, number, number];
    const { weight, bias } = this.qkv;
    // A product for each of the three: the gradients of parts of one product would be padded to all of it, and added up. [n, heads, tokens, width of a head]
    const [query, key, value] = [0, 1, 2].map((i) => {
      const own = (parameter: Parameter): Tensor => parameter.value.narrow(0, i * width, width);
      return linear(x, own(weight), bias && own(bias))
        .reshape([n, tokens, this.heads, width / this.heads])
        .permute([0, 2, 1, 3]);
    }) as [Tensor, Tensor, Tensor];
    const mixed = scaledDotProductAttention(query, key, value);
    return this.proj.forward(mixed.permute([0, 2, 1, 3]).reshape([n, tokens, width]));
  }
}

/** Linear, GELU, Linear; names are timm's. */
class FeedForward extends Module {
  readonly fc1: Linear;
  readonly fc2: Linear;

  constructor(width: number, { key, dtype = 'f32' }: InitializeOptions) {
    super();
    this.fc1 = new Linear(width, 4 * width, { key: deriveKey(key, 0), dtype, initialize });
    this.fc2 = new Linear(4 * width, width, { key: deriveKey(key, 1), dtype, initialize });
  }

  override forward(x: Tensor): Tensor {
    return this.fc2.forward(gelu(this.fc1.forward(x)));
  }
}

/** A block with the norms in front: x + attention(norm x), then x + feedForward(norm x). (A. Dosovitskiy et al., ICLR 2021, Eq. 2–3) */
class Block extends Module {
  readonly norm1: LayerNorm;
  readonly attn: Attention;
  readonly norm2: LayerNorm;
  readonly mlp: FeedForward;

  constructor(width: number, { heads, key, dtype = 'f32' }: AttentionOptions) {
    super();
    this.norm1 = new LayerNorm(width, { epsilon: NORM_EPSILON, dtype });
    this.attn = new Attention(width, { heads, key: deriveKey(key, 0), dtype });
    this.norm2 = new LayerNorm(width, { epsilon: NORM_EPSILON, dtype });
    this.mlp = new FeedForward(width, { key: deriveKey(key, 1), dtype });
  }

  override forward(x: Tensor): Tensor {
    const attended = x.add(this.attn.forward(this.norm1.forward(x)));
    return attended.add(this.mlp.forward(this.norm2.forward(attended)));
  }
}

/** The image cut into squares, each projected to a token; the name is timm's. */
class PatchEmbedding extends Module {
  readonly proj: Conv2d;

  constructor(inputs: number, width: number, patch: number, given: InitializeOptions) {
    super();
    this.proj = new Conv2d(inputs, width, patch, { ...given, stride: patch, initialize });
  }

  /** [n, inputs, H, W] → [n, width, H/patch, W/patch]. */
  override forward(x: Tensor): Tensor {
    return this.proj.forward(x);
  }
}

/**
 * What tells a token where it is, [rows·columns, width]: sin and cos of its row and of its column at width/4 frequencies from 1 down to 1e-4. It
 * is computed, not learned, so that images may have any size, crops of several sizes among them.
 * (A. Vaswani et al., NeurIPS 2017, §3.5, in two dimensions; X. Chen et al., ICCV 2021, MoCo v3; L. Beyer et al., arXiv 2205.01580)
 */
function positions(rows: number, columns: number, width: number, dtype: DType): Tensor {
  const frequencies = width / 4;
  const data = dtypes[dtype].allocate(rows * columns * width);
  for (let token = 0; token < rows * columns; token++) {
    const [row, column] = [Math.floor(token / columns), token % columns];
    for (let i = 0; i < frequencies; i++) {
      const rate = 10_000 ** (-i / frequencies);
      const waves = [Math.sin(row * rate), Math.cos(row * rate), Math.sin(column * rate), Math.cos(column * rate)];
      for (const [k, wave] of waves.entries()) data[token * width + k * frequencies + i] = wave;
    }
  }
  return tensor({ dtype, shape: [rows * columns, width], data });
}

/**
 * Sizes by name. `vit-tiny` is DeiT's; `small-vit` is for 28×28 images, as the small convolutional encoder is.
 * (H. Touvron et al., ICML 2021, Table 1)
 */
const transformers = {
  'small-vit': { width: 128, depth: 4, heads: 4 },
  'vit-tiny': { width: 192, depth: 12, heads: 3 },
} as const;

export type TransformerName = keyof typeof transformers;

export interface TransformerSize {
  /** Of a token; a multiple of 4 and of the heads. */
  readonly width: number;
  /** Blocks. */
  readonly depth: number;
  /** Of each block's attention. */
  readonly heads: number;
}

export interface TransformerOptions extends EncoderOptions {
  /** `imagenet` (the default): patches of 16×16; `cifar`: of 4×4, for small images. */
  readonly stem?: keyof typeof patches;
}

const patches = { imagenet: 16, cifar: 4 } as const;

/**
 * A vision transformer without class token: images [N, inputs, H, W], cut into patches → the mean of its tokens, [N, width]. Positions are
 * computed (sin and cos), so images may have any size that the patch divides. Names are timm's; a checkpoint with `cls_token` and `pos_embed` is
 * of another network, and is refused.
 * (A. Dosovitskiy et al., ICLR 2021; without class token: L. Beyer et al., arXiv 2205.01580)
 * @throws TensegrityError `shape` naming the patch for images that it does not divide.
 */
export class VisionTransformer extends Encoder {
  override readonly width: number;
  readonly patch: number;
  readonly patchEmbed: PatchEmbedding;
  readonly blocks: Sequential;
  readonly norm: LayerNorm;

  constructor(size: TransformerName | TransformerSize, given: TransformerOptions) {
    super();
    const { key, inputs, stem, dtype } = options('VisionTransformer', given, {
      key: undefined,
      dtype: 'f32',
      inputs: 3,
      stem: 'imagenet',
    });
    if (typeof size !== 'object') checkChoice('VisionTransformer', size, Object.keys(transformers));
    const own = typeof size === 'object' ? size : transformers[size];
    const { width, depth, heads } = options('VisionTransformer: the size', own, { width: undefined, depth: undefined, heads: undefined });
    checkChoice('VisionTransformer: stem', stem, Object.keys(patches));
    for (const [name, value] of Object.entries({ width, depth, heads }))
      check(
        Number.isSafeInteger(value) && value >= 1,
        'argument',
        () => `VisionTransformer: ${name} must be a whole number ≥ 1, got ${shown(value)}`,
      );
    check(
      width % 4 === 0,
      'argument',
      () => `VisionTransformer: the width must be a multiple of 4, a sine and a cosine for each axis; got ${width}`,
    );
    this.width = width;
    this.patch = patches[stem];
    this.patchEmbed = new PatchEmbedding(inputs, width, this.patch, { key: deriveKey(key, 0), dtype });
    this.blocks = new Sequential(Array.from({ length: depth }, (_, i) => new Block(width, { heads, key: deriveKey(key, i + 1), dtype })));
    this.norm = new LayerNorm(width, { epsilon: NORM_EPSILON, dtype });
  }

  override featureMap(x: Tensor): Tensor {
    checkTensors('VisionTransformer', x);
    const [, , height = 0, width = 0] = x.shape;
    const { patch } = this;
    check(
      x.rank === 4 && height > 0 && width > 0 && height % patch === 0 && width % patch === 0,
      'shape',
      () => `VisionTransformer: takes images [n, channels, H, W] whose sides patches of ${patch} divide, got ${show(x.shape)}`,
    );
    const map = this.patchEmbed.forward(x);
    const [n, , rows, columns] = map.shape as [number, number, number, number];
    const tokens = map
      .flatten(2)
      .transpose()
      .add(positions(rows, columns, this.width, map.dtype));
    return this.norm.forward(this.blocks.forward(tokens)).transpose().reshape([n, this.width, rows, columns]);
  }
}
