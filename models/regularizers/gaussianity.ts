import { arange, type DType, type Key, linspace, randn, type Tensor } from '../../engine/core.ts';
import { check, checkTensors, options, show } from '../../engine/internal.ts';
import { normalize } from '../nn/functional.ts';
import { checkEmbedding } from './statistics.ts';

/** Which directions an embedding is looked at along. */
export interface SliceOptions {
  /** How many directions are drawn, evenly from the sphere. */
  readonly slices?: number;
  /** What they are drawn from; in a compiled step, a tensor that changes with each call. 0, unless given. */
  readonly key?: Key;
  /** The directions themselves, the unit columns of [d, slices], instead of drawing them. */
  readonly directions?: Tensor;
}

/** The directions of `options`: `slices` unit columns [d, slices] of the type of z. @throws TensegrityError `argument`, `shape` naming `what`. */
export function directionsOf(z: Tensor, { slices, key = 0, directions }: SliceOptions & { readonly slices: number }, what: string): Tensor {
  const d = z.shape[1]!;
  if (directions) {
    checkTensors(`${what}: directions`, directions);
    const fits = directions.rank === 2 && directions.shape[0] === d && directions.shape[1]! >= 1;
    check(fits, 'shape', () => `${what}: directions must be [dimensions, slices] = [${d}, ≥ 1], got ${show(directions.shape)}`);
    check(directions.dtype === z.dtype, 'dtype', () => `${what}: directions must be ${z.dtype} as the views, got ${directions.dtype}`);
    return directions;
  }
  check(Number.isInteger(slices) && slices >= 1, 'argument', () => `${what}: slices must be a whole number ≥ 1, got ${slices}`);
  return normalize(randn([d, slices], { key, dtype: z.dtype }), 0);
}

export interface SIGRegOptions extends SliceOptions {
  /** Points of the quadrature; 17, unless given. */
  readonly knots?: number;
  /** Where it ends; 3, unless given. */
  readonly reach?: number;
}

/**
 * SIGReg of one view z [n, d]: how far it is from a standard normal distribution along each of many directions, by the test of Epps and Pulley
 * on characteristic functions: n·∫|E e^{itx} − e^{−t²/2}|²·e^{−t²/2} dt over [−3, 3], by trapezoids on [0, 3], mean over directions x = ⟨z, a⟩.
 *
 * It is 0 for no sample, about 1 for a normal one, and .402·n where all rows are 0, where its gradient is 0 as well; its gradient grows with the
 * distance from there, then falls: far from the origin it sees nothing.
 * (R. Balestriero & Y. LeCun, arXiv 2511.08544, LeJEPA, Eq. 6; rbalestr-lab/lejepa:MINIMAL.md)
 * @param given `slices`: 256, unless given (the paper: 1024).
 * @throws TensegrityError `shape`, `dtype`, `argument` for an option that is unknown or out of its range.
 */
export function sigreg(z: Tensor, given: SIGRegOptions = {}): Tensor {
  const { knots, reach, ...slicing } = options('sigreg', given, {
    knots: 17,
    reach: 3,
    slices: 256,
    key: undefined,
    directions: undefined,
  });
  checkEmbedding(z, 'sigreg', 1);
  check(Number.isInteger(knots) && knots >= 2, 'argument', () => `sigreg: knots must be a whole number ≥ 2, got ${knots}`);
  check(reach > 0, 'argument', () => `sigreg: reach must be above 0, got ${reach}`);
  const t = linspace(0, reach, knots, z.dtype);
  const normal = t.square().mul(-0.5).exp();
  // By symmetry twice the integral over t ≥ 0; the ends count half.
  const position = arange(knots);
  const ends = position.equal(0).logicalOr(position.equal(knots - 1));
  const weights = ends
    .where(1, 2)
    .mul(normal)
    .mul(reach / (knots - 1));
  const angles = z
    .matmul(directionsOf(z, slicing, 'sigreg'))
    .unsqueeze(-1)
    .mul(t);
  const distance = angles.cos().mean(0).sub(normal).square().add(angles.sin().mean(0).square());
  return distance.mul(weights).sum(-1).mean().mul(z.shape[0]!);
}

/** Φ⁻¹(i/(n+1)) for i = 1 … n: where a standard normal sample of n has its elements, sorted. */
export function normalQuantiles(n: number, dtype: DType): Tensor {
  // Φ(x) = (1 + erf(x/√2))/2
  return arange(n, dtype)
    .add(1)
    .mul(2 / (n + 1))
    .sub(1)
    .erfInverse()
    .mul(Math.SQRT2);
}
