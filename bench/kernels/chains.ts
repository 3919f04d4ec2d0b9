/**
 * The chains as one would write them by hand for this shape and nothing else: what a general engine is held against. AssemblyScript;
 * compiled when the benchmark runs. Lengths are multiples of 16, spaces of 4; all pointers are to f32.
 */

const LANE: usize = 16;

// @ts-ignore: decorator
@inline
function madd(a: v128, b: v128, c: v128): v128 {
  return f32x4.relaxed_madd(a, b, c);
}

// @ts-ignore: decorator
@inline
function total(a: v128): f32 {
  return f32x4.extract_lane(a, 0) + f32x4.extract_lane(a, 1) + (f32x4.extract_lane(a, 2) + f32x4.extract_lane(a, 3));
}

/** m ← .9m + g; w ← w − .01m. */
export function sgdMomentum(w: usize, m: usize, g: usize, length: i32): void {
  const decay = f32x4.splat(0.9);
  const rate = f32x4.splat(-0.01);
  for (let i: usize = 0, end = (<usize>length) << 2; i < end; i += 2 * LANE) {
    const m0 = madd(v128.load(m + i), decay, v128.load(g + i));
    const m1 = madd(v128.load(m + i, 16), decay, v128.load(g + i, 16));
    v128.store(m + i, m0);
    v128.store(m + i, m1, 16);
    v128.store(w + i, madd(m0, rate, v128.load(w + i)));
    v128.store(w + i, madd(m1, rate, v128.load(w + i, 16)), 16);
  }
}

/** One step of AdamW, the first. */
export function adamW(w: usize, m: usize, v: usize, g: usize, length: i32): void {
  const beta1 = f32x4.splat(0.9), rest1 = f32x4.splat(<f32>(1 - 0.9));
  const beta2 = f32x4.splat(0.999), rest2 = f32x4.splat(<f32>(1 - 0.999));
  const rootScale = f32x4.splat(<f32>(1 / Math.sqrt(1 - 0.999))), epsilon = f32x4.splat(1e-8);
  const decay = f32x4.splat(<f32>(1 - 0.001 * 0.01)), rate = f32x4.splat(<f32>(-0.001 / (1 - 0.9)));
  for (let i: usize = 0, end = (<usize>length) << 2; i < end; i += LANE) {
    const gradient = v128.load(g + i);
    const first = madd(gradient, rest1, f32x4.mul(v128.load(m + i), beta1));
    const second = madd(f32x4.mul(gradient, gradient), rest2, f32x4.mul(v128.load(v + i), beta2));
    v128.store(m + i, first);
    v128.store(v + i, second);
    const step = f32x4.div(first, madd(f32x4.sqrt(second), rootScale, epsilon));
    v128.store(w + i, madd(step, rate, f32x4.mul(v128.load(w + i), decay)));
  }
}

/**
 * Batch norm with the batch's statistics, then ReLU, of x [n, c, s]. `work` has room for 4·c numbers. Deviations are from the first element of a
 * channel, so that one pass over x gives mean and variance without cancellation.
 */
export function batchNormRelu(x: usize, gamma: usize, beta: usize, y: usize, work: usize, n: i32, c: i32, s: i32): void {
  if (s == 1) {
    rowStatistics(x, work, n, c);
    rowForward(x, gamma, beta, y, work, n, c);
    return;
  }
  for (let channel = 0; channel < c; channel++) {
    channelStatistics(x, work, n, c, s, channel);
    channelForward(x, gamma, beta, y, work, n, c, s, channel);
  }
}

/** The same, and its gradients, for the gradient g of y. */
export function batchNormReluGradient(
  x: usize, gamma: usize, beta: usize, g: usize, y: usize, dx: usize, dgamma: usize, dbeta: usize, work: usize, n: i32, c: i32, s: i32,
): void {
  if (s == 1) {
    rowStatistics(x, work, n, c);
    rowForward(x, gamma, beta, y, work, n, c);
    rowBackward(x, gamma, beta, g, dx, dgamma, dbeta, work, n, c);
    return;
  }
  for (let channel = 0; channel < c; channel++) {
    channelStatistics(x, work, n, c, s, channel);
    channelForward(x, gamma, beta, y, work, n, c, s, channel);
    channelBackward(x, gamma, beta, g, dx, dgamma, dbeta, work, n, c, s, channel);
  }
}

// Statistics are kept as x̂ = x·scale + shift: scale in the first c numbers of `work`, shift in the next.

function channelStatistics(x: usize, work: usize, n: i32, c: i32, s: i32, channel: i32): void {
  const bytes = (<usize>s) << 2;
  const origin = load<f32>(x + (<usize>channel) * bytes);
  const first = f32x4.splat(origin);
  let sum: f64 = 0, squares: f64 = 0;
  for (let image = 0; image < n; image++) {
    const from = x + <usize>(image * c + channel) * bytes;
    let sums = f32x4.splat(0), products = f32x4.splat(0);
    for (let i: usize = 0; i < bytes; i += LANE) {
      const deviation = f32x4.sub(v128.load(from + i), first);
      sums = f32x4.add(sums, deviation);
      products = madd(deviation, deviation, products);
    }
    sum += <f64>total(sums);
    squares += <f64>total(products);
  }
  keepStatistics(work, c, channel, <f64>(n * s), <f64>origin, sum, squares);
}

function keepStatistics(work: usize, c: i32, channel: i32, count: f64, origin: f64, sum: f64, squares: f64): void {
  const mean = sum / count;
  const scale = 1 / Math.sqrt(squares / count - mean * mean + 1e-5);
  store<f32>(work + ((<usize>channel) << 2), <f32>scale);
  store<f32>(work + ((<usize>(c + channel)) << 2), <f32>(-(mean + origin) * scale));
}

function channelForward(x: usize, gamma: usize, beta: usize, y: usize, work: usize, n: i32, c: i32, s: i32, channel: i32): void {
  const at = (<usize>channel) << 2;
  const weight = load<f32>(gamma + at);
  const scale = f32x4.splat(load<f32>(work + at) * weight);
  const shift = f32x4.splat(load<f32>(work + at + ((<usize>c) << 2)) * weight + load<f32>(beta + at));
  const zero = f32x4.splat(0);
  const bytes = (<usize>s) << 2;
  for (let image = 0; image < n; image++) {
    const offset = <usize>(image * c + channel) * bytes;
    for (let i = offset; i < offset + bytes; i += LANE) v128.store(y + i, f32x4.max(madd(v128.load(x + i), scale, shift), zero));
  }
}

function channelBackward(
  x: usize, gamma: usize, beta: usize, g: usize, dx: usize, dgamma: usize, dbeta: usize, work: usize, n: i32, c: i32, s: i32, channel: i32,
): void {
  const at = (<usize>channel) << 2;
  const weight = load<f32>(gamma + at);
  const deviationScale = load<f32>(work + at);
  const scale = f32x4.splat(deviationScale);
  const shift = f32x4.splat(load<f32>(work + at + ((<usize>c) << 2)));
  const weights = f32x4.splat(weight), biases = f32x4.splat(load<f32>(beta + at)), zero = f32x4.splat(0);
  const bytes = (<usize>s) << 2;
  let sum: f64 = 0, product: f64 = 0;
  for (let image = 0; image < n; image++) {
    const offset = <usize>(image * c + channel) * bytes;
    let sums = zero, products = zero;
    for (let i = offset; i < offset + bytes; i += LANE) {
      const normalized = madd(v128.load(x + i), scale, shift);
      const passed = v128.and(v128.load(g + i), f32x4.gt(madd(normalized, weights, biases), zero));
      sums = f32x4.add(sums, passed);
      products = madd(passed, normalized, products);
    }
    sum += <f64>total(sums);
    product += <f64>total(products);
  }
  store<f32>(dbeta + at, <f32>sum);
  store<f32>(dgamma + at, <f32>product);
  const count = <f64>(n * s);
  const mean = f32x4.splat(<f32>(sum / count)), slope = f32x4.splat(<f32>(-product / count)), outer = f32x4.splat(deviationScale * weight);
  for (let image = 0; image < n; image++) {
    const offset = <usize>(image * c + channel) * bytes;
    for (let i = offset; i < offset + bytes; i += LANE) {
      const normalized = madd(v128.load(x + i), scale, shift);
      const passed = v128.and(v128.load(g + i), f32x4.gt(madd(normalized, weights, biases), zero));
      v128.store(dx + i, f32x4.mul(madd(normalized, slope, f32x4.sub(passed, mean)), outer));
    }
  }
}

// Rows [n, c]: sums of all channels are kept in `work` and go through the rows two at a time.

function rowStatistics(x: usize, work: usize, n: i32, c: i32): void {
  const bytes = (<usize>c) << 2;
  const sums = work + 2 * bytes, squares = work + 3 * bytes;
  memory.fill(sums, 0, 2 * bytes);
  for (let row = 0; row < n; row += 2) {
    const from = x + <usize>row * bytes;
    for (let i: usize = 0; i < bytes; i += LANE) {
      const first = v128.load(x + i);
      const a = f32x4.sub(v128.load(from + i), first), b = f32x4.sub(v128.load(from + bytes + i), first);
      v128.store(sums + i, f32x4.add(v128.load(sums + i), f32x4.add(a, b)));
      v128.store(squares + i, madd(a, a, madd(b, b, v128.load(squares + i))));
    }
  }
  for (let channel = 0; channel < c; channel++) {
    const at = (<usize>channel) << 2;
    keepStatistics(work, c, channel, <f64>n, <f64>load<f32>(x + at), <f64>load<f32>(sums + at), <f64>load<f32>(squares + at));
  }
}

function rowForward(x: usize, gamma: usize, beta: usize, y: usize, work: usize, n: i32, c: i32): void {
  const bytes = (<usize>c) << 2;
  const zero = f32x4.splat(0);
  for (let row = 0; row < n; row++) {
    const offset = <usize>row * bytes;
    for (let i: usize = 0; i < bytes; i += LANE) {
      const normalized = madd(v128.load(x + offset + i), v128.load(work + i), v128.load(work + bytes + i));
      v128.store(y + offset + i, f32x4.max(madd(normalized, v128.load(gamma + i), v128.load(beta + i)), zero));
    }
  }
}

function rowBackward(
  x: usize, gamma: usize, beta: usize, g: usize, dx: usize, dgamma: usize, dbeta: usize, work: usize, n: i32, c: i32,
): void {
  const bytes = (<usize>c) << 2;
  const zero = f32x4.splat(0);
  memory.fill(dbeta, 0, bytes);
  memory.fill(dgamma, 0, bytes);
  for (let row = 0; row < n; row++) {
    const offset = <usize>row * bytes;
    for (let i: usize = 0; i < bytes; i += LANE) {
      const normalized = madd(v128.load(x + offset + i), v128.load(work + i), v128.load(work + bytes + i));
      const passed = v128.and(v128.load(g + offset + i), f32x4.gt(madd(normalized, v128.load(gamma + i), v128.load(beta + i)), zero));
      v128.store(dbeta + i, f32x4.add(v128.load(dbeta + i), passed));
      v128.store(dgamma + i, madd(passed, normalized, v128.load(dgamma + i)));
    }
  }
  const inverse = f32x4.splat(<f32>-1 / <f32>n);
  for (let row = 0; row < n; row++) {
    const offset = <usize>row * bytes;
    for (let i: usize = 0; i < bytes; i += LANE) {
      const scale = v128.load(work + i), weight = v128.load(gamma + i);
      const normalized = madd(v128.load(x + offset + i), scale, v128.load(work + bytes + i));
      const passed = v128.and(v128.load(g + offset + i), f32x4.gt(madd(normalized, weight, v128.load(beta + i)), zero));
      const centred = madd(madd(normalized, v128.load(dgamma + i), v128.load(dbeta + i)), inverse, passed);
      v128.store(dx + offset + i, f32x4.mul(centred, f32x4.mul(scale, weight)));
    }
  }
}

/** e^x to about 2 ulp, for x from −87 to 0: 2ⁿ·e^r with n = round(x/ln 2). (Coefficients: Cephes, expf) */
// @ts-ignore: decorator
@inline
function exponential(x: v128): v128 {
  const bounded = f32x4.max(x, f32x4.splat(-87));
  const n = f32x4.nearest(f32x4.mul(bounded, f32x4.splat(1.44269504088896341)));
  const r = madd(n, f32x4.splat(2.12194440e-4), madd(n, f32x4.splat(-0.693359375), bounded));
  let p = madd(f32x4.splat(1.9875691500e-4), r, f32x4.splat(1.3981999507e-3));
  p = madd(p, r, f32x4.splat(8.3334519073e-3));
  p = madd(p, r, f32x4.splat(4.1665795894e-2));
  p = madd(p, r, f32x4.splat(1.6666665459e-1));
  p = madd(p, r, f32x4.splat(5.0000001201e-1));
  p = f32x4.add(madd(f32x4.mul(r, r), p, r), f32x4.splat(1));
  return f32x4.mul(p, i32x4.shl(i32x4.add(i32x4.trunc_sat_f32x4_s(n), i32x4.splat(127)), 23));
}

/** y = softmax of each row of x [rows, columns]. */
export function softmax(x: usize, y: usize, rows: i32, columns: i32): void {
  const bytes = (<usize>columns) << 2;
  for (let row = 0; row < rows; row++) {
    const from = x + <usize>row * bytes, to = y + <usize>row * bytes;
    let most = v128.load(from), most1 = most;
    for (let i: usize = 0; i < bytes; i += 2 * LANE) {
      most = f32x4.max(most, v128.load(from + i));
      most1 = f32x4.max(most1, v128.load(from + i, 16));
    }
    most = f32x4.max(most, most1);
    const highest = f32x4.splat(
      max(max(f32x4.extract_lane(most, 0), f32x4.extract_lane(most, 1)), max(f32x4.extract_lane(most, 2), f32x4.extract_lane(most, 3))),
    );
    let sums = f32x4.splat(0), sums1 = sums;
    for (let i: usize = 0; i < bytes; i += 2 * LANE) {
      const a = exponential(f32x4.sub(v128.load(from + i), highest)), b = exponential(f32x4.sub(v128.load(from + i, 16), highest));
      sums = f32x4.add(sums, a);
      sums1 = f32x4.add(sums1, b);
      v128.store(to + i, a);
      v128.store(to + i, b, 16);
    }
    const scale = f32x4.splat(<f32>1 / total(f32x4.add(sums, sums1)));
    for (let i: usize = 0; i < bytes; i += LANE) v128.store(to + i, f32x4.mul(v128.load(to + i), scale));
  }
}
