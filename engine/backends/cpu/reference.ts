/** What the ops of the scalar table are in double precision, which the cpu backend rounds to the kernel's element type. */
import { exact, type Reference } from '../../reference.ts';
import { type ScalarName, TWO_OVER_SQRT_PI } from '../../scalar.ts';

/** Those that other backends compute to a few units in the last place. */
const inexact: { readonly [Name in Exclude<ScalarName, keyof typeof exact>]: Reference } = {
  pow: { of: powReference },
  exp: { of: Math.exp },
  expm1: { of: Math.expm1 },
  log: { of: Math.log },
  log1p: { of: Math.log1p },
  sin: { of: Math.sin },
  cos: { of: Math.cos },
  tanh: { of: Math.tanh },
  sigmoid: { of: (a) => 1 / (1 + Math.exp(-a)) },
  erf: { of: erfReference },
  erfInverse: { of: erfInverseReference },
};

export const references: { readonly [Name in ScalarName]: Reference } = { ...exact, ...inexact };

/** IEEE 754 pow as C has it: unlike `**`, 1^NaN and (−1)^±∞ are 1. */
function powReference(a: number, b: number): number {
  if (a === 1 || (a === -1 && Math.abs(b) === Infinity)) return 1;
  return a ** b;
}

/**
 * erf by its Maclaurin series below 2.5 and by Lentz's continued fraction of erfc above; about 1e-16 throughout.
 * (Abramowitz & Stegun 7.1.6 and 7.1.14)
 */
function erfReference(a: number): number {
  const x = Math.abs(a);
  if (Number.isNaN(a)) return NaN;
  if (x > 6) return Math.sign(a);
  if (x < 2.5) {
    let term = a;
    let sum = a;
    for (let n = 1; Math.abs(term) > 1e-18 * Math.abs(sum); n++) {
      term *= (2 * a * a) / (2 * n + 1);
      sum += term;
    }
    return TWO_OVER_SQRT_PI * Math.exp(-a * a) * sum;
  }
  let fraction = x;
  for (let n = 60; n >= 1; n--) fraction = x + n / 2 / fraction;
  return Math.sign(a) * (1 - Math.exp(-x * x) / (Math.sqrt(Math.PI) * fraction));
}

/** Winitzki's closed form, refined by Halley's steps on erf; ±∞ at ±1, NaN outside. */
function erfInverseReference(a: number): number {
  if (Math.abs(a) >= 1) return Math.abs(a) === 1 ? a * Infinity : NaN;
  if (a === 0) return a;
  let x = Math.sign(a) * winitzki(Math.abs(a));
  for (let step = 0; step < 4; step++) {
    const error = (erfReference(x) - a) / (TWO_OVER_SQRT_PI * Math.exp(-x * x));
    x -= error / (1 + x * error);
  }
  return x;
}

/** S. Winitzki's closed form of erf⁻¹, good to 2e-3. */
function winitzki(a: number): number {
  const k = 0.147;
  const logarithm = Math.log1p(-a * a);
  const t = 2 / (Math.PI * k) + logarithm / 2;
  return Math.sqrt(Math.sqrt(t * t - logarithm / k) - t);
}
