/**
 * Functions that programs call and WGSL lacks, or defines too loosely: its `log`, `sin` and `tanh` may be off by 2⁻¹¹ to 2⁻²¹
 * absolutely, its `min` and `max` may drop a NaN. All of f32, as exact as the scalar table says (`ulps`).
 */
const functions = {
  // A call is no constant expression, so bits that are NaN or ±∞ are allowed here, as in a literal they are not.
  fromBits: 'fn fromBits(bits: u32) -> f32 { return bitcast<f32>(bits); }',

  // By bits, since a compiler may take it that a float equals itself.
  isNan: 'fn isNan(a: f32) -> bool { return (bitcast<u32>(a) & 0x7fffffffu) > 0x7f800000u; }',

  larger: 'fn larger(a: f32, b: f32) -> f32 { return select(select(max(a, b), b, isNan(b)), a, isNan(a)); }',
  smaller: 'fn smaller(a: f32, b: f32) -> f32 { return select(select(min(a, b), b, isNan(b)), a, isNan(a)); }',

  signOf: 'fn signOf(a: f32) -> f32 { return select(a, sign(a), abs(a) > 0.0); }',

  toInteger: `fn toInteger(a: f32) -> i32 {
  if (isNan(a)) { return 0; }
  if (a >= 2147483648.0) { return 2147483647; }
  if (a <= -2147483648.0) { return -2147483647 - 1; }
  return i32(a);
}`,

  // a = m·2ᵉ, and 2ᵉ is multiplied in by 8 bits at a time, modulo the divisor's mantissa: whole numbers, so that nothing is rounded or, being
  // subnormal, taken for 0. Only where |a| < |b| and the signs differ is there an addition of floats.
  remainderOf: `fn remainderOf(a: f32, b: f32) -> f32 {
  let signs = vec2(bitcast<u32>(a), bitcast<u32>(b)) & vec2(0x80000000u);
  let bits = vec2(bitcast<u32>(a), bitcast<u32>(b)) ^ signs;
  if (bits.x >= 0x7f800000u || bits.y > 0x7f800000u || bits.y == 0u) { return fromBits(0x7fc00000u); }
  if (bits.x < bits.y) {
    if (bits.x == 0u || signs.x == signs.y) { return fromBits(bits.x | signs.y); }
    return select(a + b, b, bits.y == 0x7f800000u);
  }
  let exponent = max(bits >> vec2(23u), vec2(1u));
  let mantissa = bits - ((exponent - vec2(1u)) << vec2(23u));
  var rest = mantissa.x % mantissa.y;
  for (var left = exponent.x - exponent.y; left > 0u && rest > 0u; left -= min(left, 8u)) { rest = (rest << min(left, 8u)) % mantissa.y; }
  if (rest == 0u) { return fromBits(signs.y); }
  if (signs.x != signs.y) { rest = mantissa.y - rest; }
  let shift = min(countLeadingZeros(rest) - 8u, exponent.y - 1u);
  return fromBits(((rest << shift) + ((exponent.y - 1u - shift) << 23u)) | signs.y);
}`,

  integerRemainder: `fn integerRemainder(a: i32, b: i32) -> i32 {
  if (b == 0) { return 0; }
  let rest = a % b;
  return select(rest, rest + b, rest != 0 && (rest ^ b) < 0);
}`,

  // In two factors, neither of which overflows before the product does.
  timesPowerOf2: `fn timesPowerOf2(a: f32, exponent: i32) -> f32 {
  let half = exponent >> 1u;
  return (a * bitcast<f32>((half + 127) << 23u)) * bitcast<f32>((exponent - half + 127) << 23u);
}`,

  // eᵃ = 2ⁿ·eʳ with |r| ≤ ½·ln 2, by the polynomial of Cephes' expf.
  exponential: `fn exponential(a: f32) -> f32 {
  if (isNan(a)) { return a; }
  let n = round(clamp(a, -150.0, 150.0) * 1.4426950408889634);
  let r = (clamp(a, -150.0, 150.0) - n * 0.693359375) + n * 2.12194440e-4;
  let p = 5.0000001201e-1 + r * (1.6666665459e-1 + r * (4.1665795894e-2 + r * (8.3334519073e-3 + r * (1.3981999507e-3 + r * 1.9875691500e-4))));
  return timesPowerOf2(1.0 + (r + r * r * p), i32(n));
}`,

  // Taylor's series near 0, where eᵃ − 1 would cancel.
  expMinusOne: `fn expMinusOne(a: f32) -> f32 {
  if (abs(a) > 0.5 || isNan(a)) { return exponential(a) - 1.0; }
  return a + a * a * (1.0 / 2.0 + a * (1.0 / 6.0 + a * (1.0 / 24.0 + a * (1.0 / 120.0 + a * (1.0 / 720.0 + a * (1.0 / 5040.0 + a / 40320.0))))));
}`,

  // 2·atanh s = ln((1 + s)/(1 − s)), for |s| ≤ 0.18.
  twiceArtanh: `fn twiceArtanh(s: f32) -> f32 {
  let q = s * s;
  return 2.0 * s + 2.0 * s * q * (1.0 / 3.0 + q * (1.0 / 5.0 + q * (1.0 / 7.0 + q * (1.0 / 9.0 + q / 11.0))));
}`,

  // a = m·2ᵉ with m in [√½, √2), so ln a = e·ln 2 + ln m; ln 2 in two parts, as e·0.693359375 is exact.
  naturalLog: `fn naturalLog(a: f32) -> f32 {
  if (!(a > 0.0)) { return select(fromBits(0x7fc00000u), fromBits(0xff800000u), a == 0.0); }
  let bits = bitcast<u32>(a);
  if (bits >= 0x7f800000u) { return a; }
  let above = bits - 0x3f3504f3u;
  let exponent = f32(bitcast<i32>(above) >> 23u);
  let mantissa = bitcast<f32>((above & 0x007fffffu) + 0x3f3504f3u);
  return (exponent * -2.12194440e-4 + twiceArtanh((mantissa - 1.0) / (mantissa + 1.0))) + exponent * 0.693359375;
}`,

  logOnePlus: `fn logOnePlus(a: f32) -> f32 {
  if (abs(a) < 0.3) { return twiceArtanh(a / (2.0 + a)); }
  return naturalLog(1.0 + a);
}`,

  // tanh|a| = t/(t + 2) with t = e^(2|a|) − 1
  hyperbolicTangent: `fn hyperbolicTangent(a: f32) -> f32 {
  if (isNan(a)) { return a; }
  let t = expMinusOne(2.0 * min(abs(a), 10.0));
  return select(t, -t, a < 0.0) / (t + 2.0);
}`,

  // sin(a + quarters·π/2): a is brought within ±π/4 by π/2 in three parts (Cody and Waite), then the polynomials of Cephes' sinf and cosf.
  // Beyond 1e5, where three parts do not do, it is the GPU's own.
  sine: `fn sine(a: f32, quarters: i32) -> f32 {
  if (isNan(a) || abs(a) == fromBits(0x7f800000u)) { return fromBits(0x7fc00000u); }
  if (abs(a) > 1e5) { return select(sin(a), cos(a), quarters == 1); }
  let n = round(a * 0.6366197723675814);
  let r = ((a - n * 1.5703125) - n * 4.837512969970703e-4) - n * 7.549789954891e-8;
  let q = r * r;
  let quadrant = (i32(n) + quarters) & 3;
  let odd = r + r * q * (-0.16666654611 + q * (8.3321608736e-3 - q * 1.9515295891e-4));
  let even = 1.0 - 0.5 * q + q * q * (4.166664568298827e-2 + q * (-1.388731625493765e-3 + q * 2.443315711809948e-5));
  let value = select(odd, even, (quadrant & 1) == 1);
  return select(value, -value, quadrant >= 2);
}`,

  // |a|^b by exp2(b·log2|a|); IEEE 754's rules for signs, zeros, ones and NaN.
  power: `fn power(a: f32, b: f32) -> f32 {
  if (b == 0.0 || a == 1.0) { return 1.0; }
  if (isNan(a) || isNan(b)) { return fromBits(0x7fc00000u); }
  let magnitude = abs(a);
  let whole = trunc(b) == b;
  let odd = whole && abs(b) < 16777216.0 && (i32(b) & 1) == 1;
  var value = 1.0;
  if (magnitude == 0.0) { value = select(0.0, fromBits(0x7f800000u), b < 0.0); }
  else if (magnitude != 1.0) { value = exp2(b * (naturalLog(magnitude) * 1.4426950408889634)); }
  if ((bitcast<u32>(a) >> 31u) == 0u) { return value; }
  if (!whole && magnitude != 0.0 && magnitude < fromBits(0x7f800000u)) { return fromBits(0x7fc00000u); }
  return select(value, -value, odd);
}`,

  // Maclaurin's series below ½; above, the Chebyshev fit of erfc in Numerical Recipes §6.2, good to 1.2e-7.
  errorFunction: `fn errorFunction(a: f32) -> f32 {
  if (isNan(a)) { return a; }
  let x = min(abs(a), 5.0);
  let q = x * x;
  var value = 1.1283791670955126 * x * (1.0 + q * (-1.0 / 3.0 + q * (1.0 / 10.0 + q * (-1.0 / 42.0 + q * (1.0 / 216.0 - q / 1320.0)))));
  if (x > 0.5) {
    let t = 1.0 / (1.0 + 0.5 * x);
    let p = -1.13520398 + t * (1.48851587 + t * (-0.82215223 + t * 0.17087277));
    value = 1.0 - t * exponential(-q - 1.26551223 + t * (1.00002368 + t * (0.37409196 + t * (0.09678418 + t * (-0.18628806 + t * (0.27886807 + t * p))))));
  }
  return select(value, -value, a < 0.0);
}`,

  // M. Giles, "Approximating the erfinv function", GPU Computing Gems 2, 2010: the single-precision fit.
  inverseErrorFunction: `fn inverseErrorFunction(a: f32) -> f32 {
  if (!(abs(a) < 1.0)) { return select(fromBits(0x7fc00000u), a * fromBits(0x7f800000u), abs(a) == 1.0); }
  let w = -(logOnePlus(a) + logOnePlus(-a));
  let near = w < 5.0;
  let c = select(sqrt(w) - 3.0, w - 2.5, near);
  var p = select(-0.000200214257, 2.81022636e-08, near);
  p = select(0.000100950558, 3.43273939e-07, near) + p * c;
  p = select(0.00134934322, -3.5233877e-06, near) + p * c;
  p = select(-0.00367342844, -4.39150654e-06, near) + p * c;
  p = select(0.00573950773, 0.00021858087, near) + p * c;
  p = select(-0.0076224613, -0.00125372503, near) + p * c;
  p = select(0.00943887047, -0.00417768164, near) + p * c;
  p = select(1.00167406, 0.246640727, near) + p * c;
  p = select(2.83297682, 1.50140941, near) + p * c;
  return p * a;
}`,

  threefryBits: `fn threefryBits(key0: i32, key1: i32, counter: i32) -> i32 {
  var keys = array<u32, 3>(bitcast<u32>(key0), bitcast<u32>(key1), 0u);
  keys[2] = 0x1bd11bdau ^ keys[0] ^ keys[1];
  var rotations = array<u32, 8>(13u, 15u, 26u, 6u, 17u, 29u, 16u, 24u);
  var x0 = keys[0];
  var x1 = bitcast<u32>(counter) + keys[1];
  for (var round = 0u; round < 20u; round++) {
    let rotation = rotations[round & 7u];
    x0 += x1;
    x1 = ((x1 << rotation) | (x1 >> (32u - rotation))) ^ x0;
    if ((round & 3u) == 3u) {
      let injection = (round + 1u) / 4u;
      x0 += keys[injection % 3u];
      x1 += keys[(injection + 1u) % 3u] + injection;
    }
  }
  return bitcast<i32>(x0 ^ x1);
}`,
};

/** The functions that some WGSL calls, and those that these call. */
export function functionsCalledIn(code: string): string {
  const needed = new Set<string>();
  const visit = (text: string) => {
    for (const [name, source] of Object.entries(functions)) {
      if (needed.has(source) || !text.includes(`${name}(`)) continue;
      needed.add(source);
      visit(source);
    }
  };
  visit(code);
  return [...needed].join('\n');
}
