import type { DType, HostArray, Shape } from '../../engine/core.ts';
import {
  check,
  checkDType,
  checkNumber,
  checkRecord,
  checkShape,
  dtypes,
  options,
  shown,
  sizeOf,
  threefry2x32,
} from '../../engine/internal.ts';

/** What initial values are a pure function of: a seed (a whole number), or the two 32-bit words of a key. */
export type HostKey = number | readonly [high: number, low: number];

/** How a layer draws its parameters. */
export interface InitializeOptions {
  /** The same key gives the same values on every machine. */
  readonly key: HostKey;
  /** f32, unless given; f64 for gradient checks on the cpu backend. */
  readonly dtype?: DType;
}

function words(key: HostKey): readonly [number, number] {
  if (typeof key === 'object') {
    const pair = Array.isArray(key) && key.length === 2 && key.every((word) => word === (word | 0) || word === word >>> 0);
    check(pair, 'argument', () => `key: the words of a key must be two whole numbers of 32 bits, got ${JSON.stringify(key)}`);
    return key as readonly [number, number];
  }
  check(Number.isSafeInteger(key), 'argument', () => `key: a seed must be a whole number within ±2^53, got ${shown(key)}`);
  return wordsOf(key);
}

/** The high and the low 32 bits of a whole number. */
function wordsOf(whole: number): [high: number, low: number] {
  return [Math.floor(whole / 2 ** 32) | 0, whole | 0];
}

/** As in engine/ops/random.ts. */
const NEAR = 2 ** 29;

/**
 * A key for each whole number `data` within ±2^53, independent of the others and of this one's draws: the engine's `foldIn` in ordinary memory.
 * @throws TensegrityError `argument`.
 */
export function deriveKey(key: HostKey, data: number): HostKey {
  const pair = words(key);
  check(Number.isSafeInteger(data), 'argument', () => `deriveKey: takes whole numbers within ±2^53, got ${shown(data)}`);
  const bits = ([high, low]: readonly [number, number], counter: number): number =>
    threefry2x32(high, low, 0, counter).reduce((a, b) => a ^ b);
  const near = (index: number): [number, number] => [bits(pair, -2 * index - 2), bits(pair, -2 * index - 1)];
  if (data >= 0 && data < NEAR) return near(data);
  const [high, low] = wordsOf(data);
  const far = (index: number): number => {
    const [first, second] = near(index);
    return bits([first, second ^ high], low);
  };
  return [far(NEAR), far(NEAR + 1)];
}

/** Fills an array of `shape` in steps of two elements, one Threefry block each. */
function fill(given: InitializeOptions, shape: Shape, pair: (x0: number, x1: number) => readonly [number, number]): HostArray {
  const { key, dtype } = options('initial values', given, { key: undefined, dtype: 'f32' });
  checkShape(shape, 'initial values');
  checkDType(dtype, 'initial values');
  const [high, low] = words(key);
  const data = dtypes[dtype].allocate(sizeOf(shape));
  for (let i = 0; i < data.length; i += 2) {
    const [first, second] = pair(...threefry2x32(high, low, 0, i / 2));
    data[i] = first;
    if (i + 1 < data.length) data[i + 1] = second;
  }
  return { dtype, shape, data };
}

/** Uniform on [−bound, bound), 24 random bits each. */
function uniform(options: InitializeOptions, shape: Shape, bound: number): HostArray {
  const scale = (word: number): number => ((word >>> 8) * 2 ** -23 - 1) * bound;
  return fill(options, shape, (x0, x1) => [scale(x0), scale(x1)]);
}

/** Normal of mean 0, by Box and Muller (1958): √(−2 ln u)·(cos 2πv, sin 2πv) of u in (0, 1], v in [0, 1). */
function drawNormal(options: InitializeOptions, shape: Shape, deviation: number): HostArray {
  return fill(options, shape, (x0, x1) => {
    const radius = deviation * Math.sqrt(-2 * Math.log(((x0 >>> 0) + 1) * 2 ** -32));
    const angle = 2 * Math.PI * (x1 >>> 0) * 2 ** -32;
    return [radius * Math.cos(angle), radius * Math.sin(angle)];
  });
}

/** Rows drawn evenly from the unit sphere, [rows, d]: normal ones, divided by their lengths. */
export function randomDirections([rows, d]: readonly [rows: number, d: number], options: InitializeOptions): HostArray {
  const drawn = drawNormal(options, [rows, d], 1);
  for (let start = 0; start < rows * d; start += d) {
    const row = drawn.data.subarray(start, start + d);
    const length = Math.hypot(...row);
    for (const [i, value] of row.entries()) row[i] = value / length;
  }
  return drawn;
}

/** An array of one value. @throws TensegrityError `dtype`, `shape`. */
export function constant(shape: Shape, value: number, dtype: DType = 'f32'): HostArray {
  checkDType(dtype, 'initial values');
  checkShape(shape, 'initial values');
  return { dtype, shape, data: dtypes[dtype].allocate(sizeOf(shape)).fill(value) };
}

/** Draws the values of a weight [out, in, …] or of the bias [out] beside it, given the weight's fans. */
export type Initializer = (
  shape: Shape,
  fans: { readonly input: number; readonly output: number },
  options: InitializeOptions,
) => HostArray;

/** The fans of a weight [out, in, …window]: how many inputs feed an output, and how many outputs an input feeds. */
export function fansOf([output, input, ...window]: Shape): { readonly input: number; readonly output: number } {
  return { input: input! * sizeOf(window), output: output! * sizeOf(window) };
}

/** One of the fans. @throws TensegrityError `argument`. */
function fan(side: keyof Parameters<Initializer>[1], fans: Parameters<Initializer>[1]): number {
  checkRecord('initial values: the fans', fans);
  checkNumber(`initial values: the fan ${side}`, fans[side], 0);
  return fans[side];
}

/**
 * PyTorch's default for Linear and Conv2d, weight and bias alike: Kaiming uniform with a = √5,
 * whose bound √(2/(1+a²))·√(3/fan_in) is 1/√fan_in. (K. He et al., ICCV 2015; torch/nn/modules/linear.py)
 */
export const kaimingUniform: Initializer = (shape, fans, options) => {
  const input = fan('input', fans);
  return uniform(options, shape, input > 0 ? 1 / Math.sqrt(input) : 0);
};

/** Whether it is the bias beside a weight. @throws TensegrityError `shape`. */
function isBias(shape: Shape): boolean {
  checkShape(shape, 'initial values');
  return shape.length === 1;
}

/** torchvision's for the convolutions of ResNet: normal of deviation √(2/fan_out); a bias is drawn as PyTorch's default. (torchvision/models/resnet.py) */
export const kaimingNormal: Initializer = (shape, fans, options) =>
  isBias(shape) ? kaimingUniform(shape, fans, options) : drawNormal(options, shape, Math.sqrt(2 / fan('output', fans)));

/**
 * Normal of mean 0 and the given deviation, and biases of 0: with .02, what transformers are drawn with. (timm/models/vision_transformer.py, whose
 * truncation at ±2 is a hundred deviations away)
 */
export const normal = (deviation: number): Initializer => {
  checkNumber('normal: the deviation', deviation, 0);
  return (shape, _fans, options) => (isBias(shape) ? constant(shape, 0, options.dtype) : drawNormal(options, shape, deviation));
};
