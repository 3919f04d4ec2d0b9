import { affineGrid, arange, gridSample, stack, type Tensor, zeros } from '../../engine/core.ts';

/** Where a view looks, one entry for each image, each [N]. */
export interface Window {
  /** The window's width and height as parts of the image's, in (0, 1]. */
  readonly width: Tensor;
  readonly height: Tensor;
  /** The window's centre, in [−1, 1] of the image. */
  readonly x: Tensor;
  readonly y: Tensor;
  /** 0 or 1: whether left and right are exchanged. */
  readonly flip: Tensor;
}

/** The windows of images [N, C, H, W], brought to `size` [rows, columns], bilinearly: crop, resize and flip in one sampling. */
export function crop(images: Tensor, { width, height, x, y, flip }: Window, size: readonly [number, number]): Tensor {
  const n = images.shape[0];
  const none = zeros([n!]);
  const theta = stack([stack([flip.where(width.neg(), width), none, x], -1), stack([none, height, y], -1)], 1);
  return gridSample(images, affineGrid(theta, size), { padding: 'border' });
}

/**
 * Gaussian blur of images [N, C, H, W], with a deviation (in pixels) for each image, [N]; 0 leaves the image. What lies outside the image
 * has no weight, so a constant image stays as it is.
 */
export function gaussianBlur(images: Tensor, sigma: Tensor): Tensor {
  // The kernel is separable, and each factor is a matrix of weights between positions: B_h · x · B_wᵀ. The softmax is the truncation at the
  // border. A deviation below .05 gives exactly the identity matrix, so images that are not to be blurred pass unchanged.
  const precision = sigma.maximum(0.01).square().mul(2).reciprocal().reshape([-1, 1, 1, 1]);
  const weights = (size: number): Tensor => {
    const position = arange(size, 'f32');
    const squares = position.reshape([size, 1]).sub(position).square();
    return squares.neg().mul(precision).softmax(-1);
  };
  const [, , rows, columns] = images.shape;
  return weights(rows!).matmul(images).matmul(weights(columns!).transpose());
}
