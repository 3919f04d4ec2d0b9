import { foldIn, type Key, type Operand, Tensor, uniform } from '../../engine/core.ts';
import { check, checkNames, checkNumber, checkTensors, show, shown } from '../../engine/internal.ts';
import { adjustBrightness, adjustContrast, adjustHue, adjustSaturation, clip, solarise, toGrey } from './color.ts';
import { crop, gaussianBlur } from './geometry.ts';

type Range = readonly [low: number, high: number];

/** How a view of an image is made, as plain data. What is not named is not done. Each image draws its own parameters. */
export interface Augmentation {
  /** Random resized crop: the window's part of the area, and its width over its height (drawn evenly in logarithm). */
  readonly crop?: { readonly scale: Range; readonly ratio?: Range };
  /** The view's height and width; the image's, unless given. Small views beside large ones are SwAV's and DINO's multi-crop. */
  readonly size?: readonly [height: number, width: number];
  /** Probability that left and right are exchanged. */
  readonly flip?: number;
  /** With probability p: factors from 1 ± brightness, contrast and saturation, and turns of the hue within ± hue, in this order. */
  readonly jitter?: {
    readonly brightness?: number;
    readonly contrast?: number;
    readonly saturation?: number;
    readonly hue?: number;
    readonly p: number;
  };
  /** Probability of grey. */
  readonly grey?: number;
  /** With probability p: Gaussian blur of a deviation from this range, in pixels. */
  readonly blur?: { readonly sigma: Range; readonly p: number };
  /** With probability p: what is brighter than the threshold (.5, unless given) is negated. */
  readonly solarise?: { readonly p: number; readonly threshold?: number };
}

/**
 * Images [N, C, H, W] in [0, 1] → the same range, and the same shape unless the view has a size; the same key gives the same views. Of a `strength`
 * (a number, or a tensor []) from 0 to 1, extents, probabilities and how small a crop may be are that part of the way from what leaves an image alone.
 */
export type Augment = (images: Tensor, key: Key, strength?: Operand) => Tensor;

/** A setting as far as its strength goes, from `neutral` (0, unless given), where nothing is done. */
type Reach = (value: number, neutral?: number) => Operand;

function reachOf(strength: Operand | undefined): Reach {
  if (strength === undefined) return (value) => value;
  return (value, neutral = 0) =>
    typeof strength === 'number' ? neutral + (value - neutral) * strength : strength.mul(value - neutral).add(neutral);
}

function minus(a: Operand, b: Operand): Operand {
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  return a instanceof Tensor ? a.sub(b) : (b as Tensor).neg().add(a);
}

/** `count` independent draws from [0, 1) for each of `n` images, each of shape [n, 1, 1, 1]. */
function draws(n: number, count: number, key: Key): Tensor[] {
  const all = uniform([count, n, 1, 1, 1], { key });
  return Array.from({ length: count }, (_, i) => all.slice(i));
}

/** From [0, 1) to [low, high). */
function within(draw: Tensor, [low, high]: readonly [low: Operand, high: Operand]): Tensor {
  return draw.mul(minus(high, low)).add(low);
}

/** From [0, 1) to [−extent, extent), and 0 for the images that are not chosen. */
function about(draw: Tensor, extent: Operand, chosen: Tensor): Tensor {
  return chosen.where(within(draw, [minus(0, extent), extent]), 0);
}

/** A change of colour, which leaves images alone whose channels are not red, green and blue. */
function ofColour(change: typeof toGrey): typeof toGrey {
  return (images, parameter) => (images.shape[1] === 3 ? change(images, parameter) : images);
}

/**
 * What a configuration asks for and images of this many channels do without: saturation, hue and grey where they are neither one, of which
 * these change nothing, nor three, which are red, green and blue.
 */
export function leftOut(config: Augmentation, channels: number): string[] {
  checkAugmentation(config);
  checkNumber('leftOut: the channels', channels, 1);
  if (channels === 1 || channels === 3) return [];
  const { jitter, grey = 0 } = config;
  const asked = { saturation: jitter?.saturation ?? 0, hue: jitter?.hue ?? 0, grey };
  return Object.entries(asked).flatMap(([name, extent]) => (extent > 0 ? [name] : []));
}

const WHOLE: Range = [1, 1];
const RATIO: Range = [3 / 4, 4 / 3];

/** What is done, in this order. A step that the configuration does not ask for is null, and costs nothing. */
const steps: { readonly [Name in string]: (config: Augmentation) => ((images: Tensor, key: Key, reach: Reach) => Tensor) | null } = {
  cropAndFlip: ({ crop: cropping, flip = 0, size }) => {
    if (!cropping && flip === 0 && !size) return null;
    const { scale = WHOLE, ratio = cropping ? RATIO : WHOLE } = cropping ?? {};
    return (images, key, reach) => {
      const [area, aspect, x, y, flipped] = draws(images.shape[0]!, 5, key).map((draw) => draw.flatten()) as [
        Tensor,
        Tensor,
        Tensor,
        Tensor,
        Tensor,
      ];
      const surface = within(area, [reach(scale[0], 1), reach(scale[1], 1)]);
      const widthOverHeight = within(aspect, [reach(Math.log(ratio[0])), reach(Math.log(ratio[1]))]).exp();
      const width = surface.mul(widthOverHeight).sqrt().minimum(1);
      const height = surface.div(widthOverHeight).sqrt().minimum(1);
      const centre = (draw: Tensor, extent: Tensor): Tensor => within(draw, [-1, 1]).mul(extent.neg().add(1));
      const window = { width, height, x: centre(x, width), y: centre(y, height), flip: flipped.less(reach(flip)) };
      return crop(images, window, size ?? [images.shape[2]!, images.shape[3]!]);
    };
  },
  jitter: ({ jitter }) => {
    if (!jitter) return null;
    const { brightness = 0, contrast = 0, saturation = 0, hue = 0, p } = jitter;
    const adjustments = [
      { extent: brightness, apply: adjustBrightness, neutral: 1 },
      { extent: contrast, apply: adjustContrast, neutral: 1 },
      { extent: saturation, apply: ofColour(adjustSaturation), neutral: 1 },
      { extent: hue, apply: ofColour(adjustHue), neutral: 0 },
    ];
    return (images, key, reach) => {
      const [chance, ...drawn] = draws(images.shape[0]!, 1 + adjustments.length, key);
      const chosen = chance!.less(p);
      return adjustments.reduce(
        (view, { extent, apply, neutral }, i) => (extent === 0 ? view : apply(view, about(drawn[i]!, reach(extent), chosen).add(neutral))),
        images,
      );
    };
  },
  grey: ({ grey = 0 }) =>
    grey === 0
      ? null
      : (images, key, reach) => {
          const [chance] = draws(images.shape[0]!, 1, key);
          return ofColour(toGrey)(images, chance!.less(reach(grey)));
        },
  blur: ({ blur }) =>
    blur
      ? (images, key, reach) => {
          const [chance, drawn] = draws(images.shape[0]!, 2, key);
          return gaussianBlur(images, chance!.less(reach(blur.p)).where(within(drawn!, blur.sigma), 0).flatten());
        }
      : null,
  solarise: ({ solarise: options }) =>
    options
      ? (images, key, reach) => {
          const [chance] = draws(images.shape[0]!, 1, key);
          return solarise(images, chance!.less(reach(options.p)), options.threshold);
        }
      : null,
};

/**
 * The augmentation that a configuration describes, as a function that builds graph. Each step draws from a key of its own, so that leaving
 * one out does not change the others. Saturation, hue and grey are of images of three channels: {@link leftOut} says what others do without.
 * @throws TensegrityError `argument` for a range or a probability that makes no sense; `shape` for images that are not [N, C, H, W].
 */
export function augmentation(config: Augmentation): Augment {
  checkAugmentation(config);
  const own = structuredClone(config);
  const chosen = Object.values(steps).map((step) => step(own));
  return (images, key, strength) => {
    checkTensors('augmentation', images);
    check(images.rank === 4, 'shape', () => `augmentation: takes images [N, C, H, W], got ${show(images.shape)}`);
    if (typeof strength === 'number') checkNumber('augmentation: the strength', strength, 0, 1);
    else if (strength !== undefined) checkTensors('augmentation: the strength', strength);
    const reach = reachOf(strength);
    const view = chosen.reduce<Tensor>((before, step, i) => step?.(before, foldIn(key, i), reach) ?? before, images);
    // The weights of neighbouring pixels sum to 1 only but for rounding.
    return view === images ? images : clip(view);
  };
}

/** What a setting may be: a number from 0 to `most`, or a range of numbers above 0 up to it. */
interface Setting {
  readonly name: string;
  readonly range: boolean;
  readonly most: number;
  readonly required: boolean;
}

const required = true;
const extent = (name: string, most = 1): Setting => ({ name, range: false, most, required: false });
const probability = (name: string): Setting => extent(`the probability of ${name}`);
const range = (name: string, most = Infinity): Setting => ({ name, range: true, most, required: false });

/** The settings that each step has; some steps are a probability alone. */
const settings: {
  readonly [Name in Exclude<keyof Augmentation, 'size'>]-?:
    | Setting
    | { readonly [Part in keyof Extract<Augmentation[Name], object>]-?: Setting };
} = {
  crop: { scale: { ...range('crop scale', 1), required }, ratio: range('crop ratio') },
  flip: probability('flip'),
  jitter: {
    brightness: extent('brightness'),
    contrast: extent('contrast'),
    saturation: extent('saturation'),
    hue: extent('hue', 0.5),
    p: { ...probability('jitter'), required },
  },
  grey: probability('grey'),
  blur: { sigma: { ...range('blur sigma'), required }, p: { ...probability('blur'), required } },
  solarise: { p: { ...probability('solarise'), required }, threshold: extent('solarise threshold') },
};

function checkAugmentation(config: Augmentation): void {
  checkNames('augmentation', config, { ...settings, size: 0 });
  if (config.size !== undefined) {
    const whole =
      Array.isArray(config.size) && config.size.length === 2 && config.size.every((side) => Number.isSafeInteger(side) && side >= 1);
    check(whole, 'argument', () => `augmentation: size must be [height, width], whole numbers ≥ 1, got ${JSON.stringify(config.size)}`);
  }
  for (const [step, known] of Object.entries(settings)) {
    const given: unknown = config[step as keyof Augmentation];
    if (given === undefined) continue;
    if ('name' in known) checkSetting(known, given);
    else {
      checkNames(`augmentation: ${step}`, given, known);
      for (const [part, setting] of Object.entries(known)) checkSetting(setting, (given as Record<string, unknown>)[part]);
    }
  }
}

function checkSetting({ name, range, most, required }: Setting, value: unknown): void {
  if (value === undefined && !required) return;
  if (!range) {
    checkNumber(`augmentation: ${name}`, value, 0, most);
    return;
  }
  const [low, high] = Array.isArray(value) && value.length === 2 ? value : [];
  check(
    low > 0 && low <= high && high <= most && Number.isFinite(high),
    'argument',
    () =>
      `augmentation: ${name} must be [low, high] with 0 < low ≤ high${most === 1 ? ' ≤ 1' : ''}, got ${Array.isArray(value) ? `[${value.join(', ')}]` : shown(value)}`,
  );
}

const imagenet = {
  crop: { scale: [0.08, 1] },
  flip: 0.5,
  jitter: { brightness: 0.4, contrast: 0.4, saturation: 0.2, hue: 0.1, p: 0.8 },
  grey: 0.2,
} as const satisfies Augmentation;

const SIGMA: Range = [0.1, 2];

/** The views' augmentations, by the name that the command and run folders use. */
export const augmentations = {
  /** For small grey images. */
  reference: repeated({ crop: { scale: [0.3, 1] }, flip: 0.5, jitter: { brightness: 0.4, contrast: 0.4, p: 0.8 } }),
  /** For views that differ by themselves, as pairs of pictures do. */
  light: repeated({ crop: { scale: [0.6, 1] }, jitter: { brightness: 0.2, contrast: 0.2, p: 0.8 } }),
  /** As that, with brightness and contrast that say next to nothing: without labels, how bright an image is would else be what is learned of it. */
  strong: repeated({ crop: { scale: [0.3, 1] }, flip: 0.5, jitter: { brightness: 0.8, contrast: 0.8, p: 1 } }),
  /** VICReg's code (facebookresearch/vicreg:augmentations.py): the first view is always blurred, the second is sometimes solarised. */
  vicreg: [
    { ...imagenet, blur: { sigma: SIGMA, p: 1 } },
    { ...imagenet, blur: { sigma: SIGMA, p: 0.1 }, solarise: { p: 0.2 } },
  ],
  /** VICReg's paper, appendix C.1: both views alike. */
  symmetric: repeated({ ...imagenet, blur: { sigma: SIGMA, p: 0.5 }, solarise: { p: 0.1 } }),
} as const satisfies Record<string, readonly Augmentation[]>;

function repeated(config: Augmentation): readonly [Augmentation, Augmentation] {
  return [config, config];
}

export type AugmentationName = keyof typeof augmentations;
