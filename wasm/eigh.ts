/**
 * Eigenvalues and eigenvectors of symmetric matrices, in double precision inside: Householder reduction to a
 * tridiagonal T = QᵀAQ, then implicit QL on T (Martin, Reinsch & Wilkinson 1968, as in EISPACK's tred2 and tql2). The
 * matrix and Qᵀ share one square in the workspace; vectors are its rows, so every inner loop runs along a row.
 * Threads take whole matrices.
 */
import { pointer, shape, stride, viewAt } from './view';
import * as words from './words';

/** QL steps for one eigenvalue, after which it is taken as it is: twice what has ever been seen to be needed. */
const mostSteps: i32 = 60;
const epsilon: f64 = 2.220446049250313e-16;

export function eigh(command: usize, bases: usize, workspace: usize, thread: i32, threads: i32): void {
  const from = viewAt(command, words.EIGH_WORDS, 0), to = viewAt(command, words.EIGH_WORDS, 1);
  const batches = shape(from, 1), size = shape(from, 2);
  const pitch = <usize>size << 3;
  const square = workspace, diagonal = square + pitch * <usize>size;
  const off = diagonal + pitch, order = off + pitch, scratch = order + pitch;
  for (let batch = thread; batch < batches; batch += threads) {
    const a = pointer(from, bases) + <usize>(batch * stride(from, 1) << 2);
    const out = pointer(to, bases) + <usize>(batch * stride(to, 1) << 2);
    let probe: f64 = 0;
    for (let i = 0; i < size; i++) {
      for (let j = 0; j <= i; j++) {
        const value = <f64>load<f32>(a + <usize>(i * stride(from, 2) + j * stride(from, 3) << 2));
        store<f64>(square + <usize>i * pitch + (<usize>j << 3), value);
        probe += value * 0;
      }
    }
    // 0 · x is 0 for every finite x only.
    const finite = probe == 0;
    if (finite) {
      tridiagonalize(square, pitch, size, diagonal, off, scratch);
      accumulate(square, pitch, size, scratch);
      implicitQL(square, pitch, size, diagonal, off);
      sortOrder(diagonal, order, size);
    }
    for (let k = 0; k < size; k++) {
      const place = finite ? load<i32>(order + (<usize>k << 2)) : 0;
      const column = out + <usize>(k * stride(to, 3) << 2);
      const row = square + <usize>place * pitch;
      store<f32>(column, finite ? <f32>load<f64>(diagonal + (<usize>place << 3)) : NaN);
      const sign: f32 = finite ? signOf(row, size) : NaN;
      for (let i = 0; i < size; i++) {
        store<f32>(column + <usize>((i + 1) * stride(to, 2) << 2), sign * <f32>load<f64>(row + (<usize>i << 3)));
      }
    }
  }
}

/** The sign of the component of largest magnitude, as rounded to f32: the first of equals. */
function signOf(vector: usize, size: i32): f32 {
  let best: f32 = 0;
  for (const end = vector + (<usize>size << 3); vector < end; vector += 8) {
    const value = <f32>load<f64>(vector);
    if (abs(value) > abs(best)) best = value;
  }
  return best < 0 ? -1 : 1;
}

/** Positions that put `values` in ascending order, by insertion. */
function sortOrder(values: usize, order: usize, size: i32): void {
  for (let k = 0; k < size; k++) {
    const value = load<f64>(values + (<usize>k << 3));
    let at = k;
    for (; at > 0; at--) {
      const before = load<i32>(order + (<usize>(at - 1) << 2));
      if (load<f64>(values + (<usize>before << 3)) <= value) break;
      store<i32>(order + (<usize>at << 2), before);
    }
    store<i32>(order + (<usize>at << 2), k);
  }
}

function dot(x: usize, y: usize, count: i32): f64 {
  let left = f64x2.splat(0), right = left;
  for (; count >= 4; count -= 4, x += 32, y += 32) {
    left = f64x2.add(left, f64x2.mul(v128.load(x), v128.load(y)));
    right = f64x2.add(right, f64x2.mul(v128.load(x, 16), v128.load(y, 16)));
  }
  left = f64x2.add(left, right);
  let sum = f64x2.extract_lane(left, 0) + f64x2.extract_lane(left, 1);
  for (; count > 0; count--, x += 8, y += 8) sum += load<f64>(x) * load<f64>(y);
  return sum;
}

/** y ← y + factor · x */
function addScaled(y: usize, x: usize, factor: f64, count: i32): void {
  const scale = f64x2.splat(factor);
  for (; count >= 2; count -= 2, x += 16, y += 16) {
    v128.store(y, f64x2.add(v128.load(y), f64x2.mul(scale, v128.load(x))));
  }
  if (count > 0) store<f64>(y, load<f64>(y) + factor * load<f64>(x));
}

/**
 * From the last row up, H = I − v·vᵀ/h takes the row's elements left of the subdiagonal to zero, and the leading block
 * A becomes HAH = A − v·wᵀ − w·vᵀ, where w = p − (vᵀp/2h)·v and p = Av/h. v stays in the row, h in `norms`.
 * Only the lower triangle is read or written.
 */
function tridiagonalize(square: usize, pitch: usize, size: i32, diagonal: usize, off: usize, norms: usize): void {
  const w = off;
  for (let i = size - 1; i > 0; i--) {
    const v = square + <usize>i * pitch;
    const at = <usize>i << 3;
    store<f64>(diagonal + at, load<f64>(v + at));
    const last = v + at - 8;
    const beyond = dot(v, v, i - 1);
    if (beyond == 0) {
      store<f64>(norms + at, 0);
      store<f64>(off + at, load<f64>(last));
      continue;
    }
    const x = load<f64>(last);
    const root = sqrt(beyond + x * x);
    const alpha = x > 0 ? -root : root;
    const h = beyond + x * x - x * alpha;
    store<f64>(last, x - alpha);
    store<f64>(norms + at, h);
    // p = A·v / h: row k gives its dot product with v to p[k], and its multiples to the p before it.
    for (let k = 0; k < i; k++) {
      const row = square + <usize>k * pitch, here = <usize>k << 3;
      const factor = load<f64>(v + here);
      store<f64>(w + here, dot(row, v, k) + load<f64>(row + here) * factor);
      addScaled(w, row, factor, k);
    }
    const half = dot(w, v, i) / (2 * h * h);
    for (let k: usize = 0; k < at; k += 8) store<f64>(w + k, load<f64>(w + k) / h - half * load<f64>(v + k));
    for (let k = 0; k < i; k++) {
      const row = square + <usize>k * pitch, here = <usize>k << 3;
      addTwo(row, v, -load<f64>(w + here), w, -load<f64>(v + here), k + 1);
    }
    store<f64>(off + at, alpha);
  }
  if (size > 0) store<f64>(diagonal, load<f64>(square));
}

/** y ← y + a · x + b · z */
function addTwo(y: usize, x: usize, a: f64, z: usize, b: f64, count: i32): void {
  const scaleX = f64x2.splat(a), scaleZ = f64x2.splat(b);
  for (; count >= 2; count -= 2, x += 16, y += 16, z += 16) {
    const sum = f64x2.add(f64x2.mul(scaleX, v128.load(x)), f64x2.mul(scaleZ, v128.load(z)));
    v128.store(y, f64x2.add(v128.load(y), sum));
  }
  if (count > 0) store<f64>(y, load<f64>(y) + (a * load<f64>(x) + b * load<f64>(z)));
}

/** Qᵀ in place of the reflections: for growing i, the leading block becomes block · H, and row i the unit vector. */
function accumulate(square: usize, pitch: usize, size: i32, norms: usize): void {
  for (let i = 0; i < size; i++) {
    const v = square + <usize>i * pitch, at = <usize>i << 3;
    const h = i > 0 ? load<f64>(norms + at) : 0;
    for (let k = 0; k < i; k++) {
      const row = square + <usize>k * pitch;
      if (h != 0) addScaled(row, v, -dot(row, v, i) / h, i);
      store<f64>(row + at, 0);
    }
    memory.fill(v, 0, at);
    store<f64>(v + at, 1);
  }
}

/** (x, y) ← (c·x − s·y, s·x + c·y) */
function rotate(x: usize, y: usize, cosine: f64, sine: f64, count: i32): void {
  const c = f64x2.splat(cosine), s = f64x2.splat(sine);
  for (; count >= 2; count -= 2, x += 16, y += 16) {
    const left = v128.load(x), right = v128.load(y);
    v128.store(x, f64x2.sub(f64x2.mul(c, left), f64x2.mul(s, right)));
    v128.store(y, f64x2.add(f64x2.mul(s, left), f64x2.mul(c, right)));
  }
  if (count > 0) {
    const left = load<f64>(x), right = load<f64>(y);
    store<f64>(x, cosine * left - sine * right);
    store<f64>(y, sine * left + cosine * right);
  }
}

/** √(a² + b²); the squares of what began as f32 neither overflow nor vanish. */
// @ts-ignore: decorator
@inline
function hypotenuse(a: f64, b: f64): f64 {
  return sqrt(a * a + b * b);
}

/**
 * Implicit QL with Wilkinson's shift: off[i] couples i and i + 1. When it is negligible beside the matrix, the matrix
 * splits there; the rotations that shrink it turn the rows of Qᵀ into eigenvectors.
 */
function implicitQL(square: usize, pitch: usize, size: i32, diagonal: usize, off: usize): void {
  for (let i = 1; i < size; i++) store<f64>(off + (<usize>(i - 1) << 3), load<f64>(off + (<usize>i << 3)));
  if (size > 0) store<f64>(off + (<usize>(size - 1) << 3), 0);
  let norm: f64 = 0;
  for (let i: usize = 0, end = <usize>size << 3; i < end; i += 8) {
    norm = max(norm, abs(load<f64>(diagonal + i)) + abs(load<f64>(off + i)));
  }
  for (let first = 0; first < size; first++) {
    for (let step = 0; step < mostSteps; step++) {
      let last = first;
      for (; last < size - 1; last++) {
        if (abs(load<f64>(off + (<usize>last << 3))) <= epsilon * norm) break;
      }
      if (last == first) break;
      const d = load<f64>(diagonal + (<usize>first << 3)), e = load<f64>(off + (<usize>first << 3));
      let g = (load<f64>(diagonal + (<usize>first << 3), 8) - d) / (2 * e);
      const root = hypotenuse(g, 1);
      g = load<f64>(diagonal + (<usize>last << 3)) - d + e / (g + (g < 0 ? -root : root));
      let sine: f64 = 1, cosine: f64 = 1, p: f64 = 0;
      let i = last - 1;
      for (; i >= first; i--) {
        const here = <usize>i << 3;
        const f = sine * load<f64>(off + here);
        const b = cosine * load<f64>(off + here);
        const r = hypotenuse(f, g);
        store<f64>(off + here, r, 8);
        if (r == 0) {
          // The matrix has split here: undo the shift, and begin again.
          store<f64>(diagonal + here, load<f64>(diagonal + here, 8) - p, 8);
          store<f64>(off + (<usize>last << 3), 0);
          break;
        }
        sine = f / r;
        cosine = g / r;
        g = load<f64>(diagonal + here, 8) - p;
        const t = (load<f64>(diagonal + here) - g) * sine + 2 * cosine * b;
        p = sine * t;
        store<f64>(diagonal + here, g + p, 8);
        g = cosine * t - b;
        const row = square + <usize>i * pitch;
        rotate(row, row + pitch, cosine, sine, size);
      }
      if (i >= first) continue;
      const here = <usize>first << 3;
      store<f64>(diagonal + here, load<f64>(diagonal + here) - p);
      store<f64>(off + here, g);
      store<f64>(off + (<usize>last << 3), 0);
    }
  }
}
