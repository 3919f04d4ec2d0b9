import { options } from '../../engine/internal.ts';
import { type Encoder, ResNet, type ResNetOptions, SmallConvNet, type SmallConvNetOptions } from './networks.ts';
import { type TransformerOptions, VisionTransformer } from './transformer.ts';

/** A plain convolutional network, which has but one stem; of the class's own layers, unless others are given. */
const convolutional =
  (name: string, own: Pick<SmallConvNetOptions, 'layers' | 'levels'> = {}) =>
  (given: ResNetOptions): Encoder => {
    const { stem: _stem, ...rest } = options(name, given, { key: undefined, dtype: 'f32', inputs: 1, stem: undefined });
    return new SmallConvNet({ ...rest, ...own });
  };

/** Encoders by the name that the command and run folders use. */
export const encoders = {
  'small-conv': convolutional('small-conv'),
  /** Its last layer sees all of 28×28 pixels, where that of `small-conv` sees 15×15; features are of its last three layers, 448 in all; 388K parameters. */
  'small-conv4': convolutional('small-conv4', {
    layers: [32, 64, 128, 256].map((width) => ({ width, stride: 2 })),
    levels: 3,
  }),
  resnet18: (options: ResNetOptions): Encoder => new ResNet('resnet18', options),
  resnet34: (options: ResNetOptions): Encoder => new ResNet('resnet34', options),
  resnet50: (options: ResNetOptions): Encoder => new ResNet('resnet50', options),
  'small-vit': (options: TransformerOptions): Encoder => new VisionTransformer('small-vit', options),
  'vit-tiny': (options: TransformerOptions): Encoder => new VisionTransformer('vit-tiny', options),
} as const;

export type EncoderName = keyof typeof encoders;

/** The weight of each that sees the image, [out, channels of the image, kernel, kernel]: what a file of weights is told by. */
export const firstWeights: Readonly<Record<EncoderName, string>> = {
  'small-conv': '0.0.weight',
  'small-conv4': '0.0.weight',
  resnet18: 'conv1.weight',
  resnet34: 'conv1.weight',
  resnet50: 'conv1.weight',
  'small-vit': 'patch_embed.proj.weight',
  'vit-tiny': 'patch_embed.proj.weight',
};
