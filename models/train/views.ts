import { foldIn, type HostArray, type Tensor, tensor } from '../../engine/core.ts';
import { type Augmentation, augmentation } from '../augment/index.ts';
import type { ImageDataset } from '../data/images.ts';

/** Images as they are stored, [N, C, H, W]: u8 to [0, 1], floats as they are. */
export function toUnit(images: Tensor): Tensor {
  return images.dtype === 'u8' ? images.cast('f32').div(255) : images;
}

/** (x − mean)/deviation by channel, of images [N, C, H, W]. */
export function standardizeChannels(images: Tensor, { mean, deviation }: Pick<ImageDataset, 'mean' | 'deviation'>): Tensor {
  const channel = (values: readonly number[]): Tensor => tensor(values).reshape([values.length, 1, 1]);
  return images.sub(channel(mean)).div(channel(deviation));
}

/** What augmentations take for [0, 1]: the range of float images, where it is another. */
export function unitRange(pictures: readonly HostArray[]): readonly [low: number, high: number] {
  let [low, high] = [0, 1];
  for (const { dtype, data } of pictures) {
    if (dtype === 'u8') continue;
    for (const value of data) {
      if (value < low) low = value;
      if (value > high) high = value;
    }
  }
  return [low, high];
}

/**
 * From pictures as they are stored, [n, C, H, W] each, to one normalised tensor for each augmentation, drawn from `draws`: of the pictures by turns.
 * What is augmented is within [0, 1]: float images of another range (`pixels`) are brought there and back.
 */
export function viewsOf(
  chosen: readonly Augmentation[],
  { pixels: [low, high], ...scale }: Pick<ImageDataset, 'mean' | 'deviation'> & { readonly pixels: readonly [low: number, high: number] },
): (pictures: readonly Tensor[], draws: Tensor, strength?: Tensor) => Tensor[] {
  const extent = high - low;
  const augment = chosen.map(augmentation);
  return (pictures, draws, strength) => {
    const units = pictures.map((images) => toUnit(images).sub(low).div(extent));
    return augment.map((view, i) =>
      standardizeChannels(
        view(units[i % units.length]!, foldIn(draws, i), strength)
          .mul(extent)
          .add(low),
        scale,
      ),
    );
  };
}
