import { TensegrityError, type Tensor, tensor } from '../../engine/core.ts';
import { check, show } from '../../engine/internal.ts';

// Every function here takes images [N, C, H, W] in [0, 1] and one parameter for each image, [N, 1, 1, 1], and stays within [0, 1].

/** To [0, 1]. Unlike `clamp` it lets a gradient through at the ends, which augmentation does not need to stop. @internal */
export function clip(x: Tensor): Tensor {
  return x.maximum(0).minimum(1);
}

function blend(x: Tensor, other: Tensor, factor: Tensor): Tensor {
  return clip(x.sub(other).mul(factor).add(other));
}

/** Brightness of red, green and blue (ITU-R BT.601), as torchvision's and Pillow's. */
const luma = [0.299, 0.587, 0.114];

/** @throws TensegrityError `shape` unless images have 1 or 3 channels: what colour is, is not known of others. */
function requireColour(x: Tensor, op: string): void {
  check(
    x.rank === 4 && (x.shape[1] === 1 || x.shape[1] === 3),
    'shape',
    () => `${op}: takes images [N, C, H, W] of 1 channel or of 3, red, green and blue; got ${show(x.shape)}`,
  );
}

/** The brightness of each pixel, [N, 1, H, W]. @throws TensegrityError `shape` unless there are 1 or 3 channels. */
export function luminance(x: Tensor): Tensor {
  requireColour(x, 'luminance');
  return x.shape[1] === 1 ? x : x.mul(tensor(luma).reshape([1, 3, 1, 1])).sum(1, true);
}

/** x·factor; 1 leaves the image. */
export function adjustBrightness(x: Tensor, factor: Tensor): Tensor {
  return clip(x.mul(factor));
}

/** Away from the mean brightness of the image, where channels other than red, green and blue count alike; 1 leaves the image. */
export function adjustContrast(x: Tensor, factor: Tensor): Tensor {
  return blend(x, (x.shape[1] === 3 ? luminance(x) : x).mean([1, 2, 3], true), factor);
}

/** Away from each pixel's own grey; 1 leaves the image, 0 makes it grey. */
export function adjustSaturation(x: Tensor, factor: Tensor): Tensor {
  return x.shape[1] === 1 ? x : blend(x, luminance(x), factor);
}

/** Turns the colour circle by `turns` (1 is all round); images of one channel have no hue. */
export function adjustHue(x: Tensor, turns: Tensor): Tensor {
  requireColour(x, 'adjustHue');
  if (x.shape[1] === 1) return x;
  const [red, green, blue] = [0, 1, 2].map((channel) => x.narrow(1, channel, 1));
  if (!red || !green || !blue) throw new TensegrityError('shape', 'adjustHue: three channels are needed');
  const value = x.max(1, true);
  const chroma = value.sub(x.min(1, true));
  const safe = chroma.equal(0).where(1, chroma);
  // HSV: the hue in sixths of a turn, by which channel is the largest.
  const hue = value
    .equal(red)
    .where(green.sub(blue).div(safe), value.equal(green).where(blue.sub(red).div(safe).add(2), red.sub(green).div(safe).add(4)));
  // Back: channel n of (5, 3, 1) is value − chroma·clip(min(k, 4 − k)), k = (n + hue) mod 6.
  const k = hue
    .add(turns.mul(6))
    .add(tensor([5, 3, 1]).reshape([1, 3, 1, 1]))
    .remainder(6);
  return value.sub(chroma.mul(clip(k.minimum(k.neg().add(4)))));
}

/** Grey where `chosen` (0 or 1), with equal channels. */
export function toGrey(x: Tensor, chosen: Tensor): Tensor {
  return x.shape[1] === 1 ? x : chosen.where(luminance(x), x);
}

/** Negates what is as bright as `threshold` or brighter, where `chosen` (0 or 1). */
export function solarise(x: Tensor, chosen: Tensor, threshold = 0.5): Tensor {
  return x.greaterEqual(threshold).logicalAnd(chosen).where(x.neg().add(1), x);
}
