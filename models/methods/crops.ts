import { concat, type Tensor } from '../../engine/core.ts';
import { sameShape } from '../../engine/internal.ts';
import type { Augmentation } from '../augment/index.ts';

/** What small views, which multi-crop adds, are. */
interface LocalCrops {
  readonly count: number;
  /** Their height and width, in pixels. */
  readonly size: number;
  /** The part of the area that they show. */
  readonly scale: readonly [low: number, high: number];
}

/** Two views as chosen, and small ones beside them, as the first in all else. (M. Caron et al., NeurIPS 2020, §3.2) */
export function multiCrop(chosen: readonly Augmentation[], { count, size, scale }: LocalCrops): readonly Augmentation[] {
  const local: Augmentation = { ...chosen[0]!, crop: { ...chosen[0]!.crop, scale }, size: [size, size] };
  return [...chosen.slice(0, 2), ...Array.from({ length: count }, () => local)];
}

/**
 * Runs a network on batches; neighbours of one shape as one batch, whose statistics its norms take.
 * (facebookresearch/swav:src/resnet50.py, forward; facebookresearch/dino:utils.py, MultiCropWrapper)
 */
export function together(inputs: readonly Tensor[], network: (input: Tensor) => Tensor): Tensor[] {
  const batches: Tensor[][] = [];
  for (const input of inputs) {
    const last = batches.at(-1);
    if (last && sameShape(last[0]!.shape, input.shape)) last.push(input);
    else batches.push([input]);
  }
  return batches.flatMap((batch) => {
    const [n, outputs] = [batch[0]!.shape[0]!, network(concat(batch))];
    return batch.map((_, i) => outputs.slice([i * n, (i + 1) * n]));
  });
}
