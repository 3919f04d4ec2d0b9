import { options, shown } from '../arguments.ts';
import { type DType, dtypes, isFloat } from '../dtype.ts';
import { check } from '../errors.ts';
import { checkShape, type Shape, show, sizeOf } from '../shape.ts';
import { Tensor } from '../tensor.ts';
import { arange, tensor } from './create.ts';
import { scalar } from './elementwise.ts';
import { argsort } from './indexing.ts';
import { concat, narrow } from './movement.ts';

/**
 * What random numbers are a pure function of: a seed (a whole number), or two 32-bit words (i32 [2]), which may come from a slot so that
 * a replayed plan draws anew. The same key gives the same bits on every backend and for any number of threads.
 */
export type Key = number | Tensor;

/** The two words of a key. A seed's words are its high and low 32 bits. @throws TensegrityError `argument`. */
export function key(seed: Key): Tensor {
  if (seed instanceof Tensor) {
    check(
      seed.dtype === 'i32' && seed.rank === 1 && seed.shape[0] === 2,
      'argument',
      () => `key: must be a whole number, or two words i32 [2]; got ${seed.dtype} ${show(seed.shape)}`,
    );
    return seed;
  }
  check(Number.isSafeInteger(seed), 'argument', () => `key: a seed must be a whole number within ±2^53, got ${shown(seed)}`);
  return tensor(new Int32Array([Math.floor(seed / 2 ** 32), seed | 0]));
}

/**
 * A key for each whole number `data`, independent of the others and of this one's draws: a number within ±2^53, or one integer as a tensor
 * (i32 or u8), which gives the same key.
 * @throws TensegrityError `argument` for anything else.
 */
export function foldIn(from: Key, data: number | Tensor): Tensor {
  const pair = words(key(from));
  const fits = data instanceof Tensor ? data.size === 1 && !isFloat(data.dtype) : Number.isSafeInteger(data);
  check(fits, 'argument', () => `foldIn: takes one whole number within ±2^53, or an integer tensor of one, got ${shown(data)}`);
  if (typeof data === 'number')
    return data >= 0 && data < NEAR ? near(pair, word(-2 * data - 2)) : far(pair, word(Math.floor(data / 2 ** 32)), word(data));
  const low = data.reshape([]).cast('i32');
  return scalar('shiftRight', low, Math.log2(NEAR)).where(far(pair, low.less(0).neg(), low), near(pair, low.mul(-2).sub(2)));
}

// The counters of a draw are below 2³¹. Those above serve `foldIn`, two for each of so many numbers, downwards from 2³²; the next ones make two
// keys, of whose draws those of all other numbers are. (`deriveKey` of models/nn does the same in ordinary memory.)
const NEAR = 2 ** 29;

type Words = readonly [high: Tensor, low: Tensor];

/** The low 32 bits of a number: a leaf, so that every number has the same plan. */
function word(value: number): Tensor {
  return tensor(Int32Array.of(value | 0)).reshape([]);
}

function near(pair: Words, counter: Tensor): Tensor {
  return concat([counter, counter.add(1)].map((position) => scalar('threefry', ...pair, position).reshape([1])));
}

/** `high` and `low` are the number's 64 bits: one joins the key, the other is the position. */
function far(pair: Words, high: Tensor, low: Tensor): Tensor {
  const drawn = [NEAR, NEAR + 1].map((data) => {
    const [first, second] = words(near(pair, word(-2 * data - 2)));
    return scalar('threefry', first, second.bitwiseXor(high), low).reshape([1]);
  });
  return concat(drawn);
}

/** `count` independent keys: those that {@link foldIn} gives for 0, 1, … */
export function split(from: Key, count: number): Tensor[] {
  checkShape([count], 'split');
  return Array.from({ length: count }, (_, i) => foldIn(from, i));
}

function words(pair: Tensor): Words {
  return [narrow(pair, 0, 0, 1).squeeze(), narrow(pair, 0, 1, 1).squeeze()];
}

/**
 * Uniform 32-bit words, as i32: Threefry-2x32 of (0, position), its two words combined by xor, as in JAX's partitionable `random.bits`.
 */
export function randomBits(from: Key, shape: Shape): Tensor {
  checkShape(shape, 'randomBits');
  const [high, low] = words(key(from));
  const count = sizeOf(shape);
  check(count <= 2 ** 31 - 1, 'argument', () => `randomBits: at most 2^31 − 1 numbers to a key, got ${count}`);
  return scalar('threefry', high, low, arange(count)).reshape(shape);
}

function checkFloat(dtype: DType, op: string): void {
  check(dtype === 'f32' || dtype === 'f64', 'dtype', () => `${op}: draws floats, f32 or f64, not ${dtype}; see randint for integers`);
}

export interface RandomOptions {
  readonly key: Key;
  readonly dtype?: DType;
}

/**
 * Uniform on [low, high): 24 random bits each (a float's worth). On [0, 1) the same bits everywhere; another range scales them, which rounds
 * as the backend's arithmetic does, in rare cases to `high` itself.
 */
export function uniform(shape: Shape, given: RandomOptions & { readonly low?: number; readonly high?: number }): Tensor {
  const { key: from, low, high, dtype } = options('uniform', given, { key: undefined, low: 0, high: 1, dtype: 'f32' });
  checkFloat(dtype, 'uniform');
  check(
    Number.isFinite(dtypes[dtype].round(high - low)),
    'argument',
    () => `uniform: low and high must be no further apart than ${dtype} reaches, got ${low} and ${high}`,
  );
  const unit = scalar('shiftRight', randomBits(from, shape), 8)
    .cast(dtype)
    .mul(2 ** -24);
  return unit.mul(high - low).add(low);
}

/** Standard normal: √2·erf⁻¹ of a uniform on the open interval (−1, 1), whose 2²⁴ values are symmetric about 0. */
export function randn(shape: Shape, given: RandomOptions): Tensor {
  const { key: from, dtype } = options('randn', given, { key: undefined, dtype: 'f32' });
  checkFloat(dtype, 'randn');
  // (2k+1)/2²⁴ − 1 for k = 0 … 2²⁴−1 in steps of 2⁻²³ never reaches ±1 and is exact in f32.
  const symmetric = scalar('shiftRight', randomBits(from, shape), 9)
    .cast(dtype)
    .mul(2 ** -22)
    .add(2 ** -23 - 1);
  return symmetric.erfInverse().mul(Math.SQRT2);
}

/** 1 with probability p, else 0; u8. */
export function bernoulli(shape: Shape, given: { readonly key: Key; readonly p: number }): Tensor {
  const { key: from, p } = options('bernoulli', given, { key: undefined, p: undefined });
  check(p >= 0 && p <= 1, 'argument', () => `bernoulli: p must be from 0 to 1, got ${p}`);
  return uniform(shape, { key: from }).less(p);
}

/** Whole numbers from `low` (included) to `high` (excluded), i32. The bias is below (high − low)/2²⁴, above 2²⁴ of them (high − low)/2³¹. */
export function randint(shape: Shape, given: { readonly key: Key; readonly low?: number; readonly high: number }): Tensor {
  const { key: from, low, high } = options('randint', given, { key: undefined, low: 0, high: undefined });
  check(
    dtypes.i32.holds(low) && dtypes.i32.holds(high - 1) && high > low && high - low < 2 ** 31,
    'argument',
    () => `randint: needs whole numbers low < high of 32 bits, less than 2^31 apart, got ${low} and ${high}`,
  );
  // More numbers than a uniform float has values.
  if (high - low > 2 ** 24)
    return scalar('shiftRight', randomBits(from, shape), 1)
      .remainder(high - low)
      .add(low);
  return uniform(shape, { key: from })
    .mul(high - low)
    .floor()
    .minimum(high - low - 1)
    .cast('i32')
    .add(low);
}

/** A random order of 0 … n−1, i32: the positions that sort random words (ties, of chance 2⁻³² a pair, keep their order). */
export function permutation(n: number, given: { readonly key: Key }): Tensor {
  const { key: from } = options('permutation', given, { key: undefined });
  return argsort(randomBits(from, [n]));
}
