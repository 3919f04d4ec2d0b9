import { options } from '../../engine/internal.ts';
import { type Encoder, ResNet, type ResNetOptions, SmallConvNet } from './networks.ts';
import { type TransformerOptions, VisionTransformer } from './transformer.ts';

/** Encoders by the name that the command and run folders use. */
export const encoders = {
  'small-conv': (given: ResNetOptions): Encoder => {
    const { stem: _stem, ...own } = options('small-conv', given, { key: undefined, dtype: 'f32', inputs: 1, stem: undefined });
    return new SmallConvNet(own);
  },
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
  resnet18: 'conv1.weight',
  resnet34: 'conv1.weight',
  resnet50: 'conv1.weight',
  'small-vit': 'patch_embed.proj.weight',
  'vit-tiny': 'patch_embed.proj.weight',
};
