/**
 * Folding blocks of values into the states of a reduction. A state is a lane of two arrays: `words` holds extrema,
 * integers, and sums of a few f32; `wide` holds sums and products of f32 in double, or, as words, positions.
 */
import * as op from './opcode';

/** Whether words are sums of f32, to be added to the doubles before rounding adds up. */
@inline
export function isSum(code: i32): bool {
  return code == op.ADD || code == op.SQUARE || code == op.DOT;
}

/** What a fold begins with, as a word. */
function identity(code: i32): i32 {
  switch (code) {
    case op.MAXIMUM:
    case op.ARGMAX: return reinterpret<i32>(<f32>-Infinity);
    case op.MINIMUM:
    case op.ARGMIN: return reinterpret<i32>(<f32>Infinity);
    case op.INTEGER + op.MUL: return 1;
    case op.INTEGER + op.MAXIMUM:
    case op.INTEGER + op.ARGMAX: return i32.MIN_VALUE;
    case op.INTEGER + op.MINIMUM:
    case op.INTEGER + op.ARGMIN: return i32.MAX_VALUE;
    default: return 0;
  }
}

/** Begins `count` folds. */
export function clear(code: i32, words: usize, wide: usize, count: i32): void {
  const word = identity(code);
  const double = <f64>(code == op.MUL);
  for (let i: usize = 0; i < <usize>count; i++) {
    store<i32>(words + (i << 2), word);
    store<f64>(wide + (i << 3), double);
  }
}

/** The results of `count` folds, as contiguous words. */
export function finish(code: i32, words: usize, wide: usize, count: i32): usize {
  if ((code & ~1 & ~op.INTEGER) == op.ARGMAX) return wide;
  if (isSum(code) || code == op.MUL) {
    for (let i: usize = 0; i < <usize>count; i++) store<f32>(words + (i << 2), <f32>load<f64>(wide + (i << 3)));
  }
  return words;
}

@unmanaged class Sum { @inline of(a: v128, b: v128): v128 { return f32x4.add(a, b); } }
@unmanaged class Maximum { @inline of(a: v128, b: v128): v128 { return f32x4.max(a, b); } }
@unmanaged class Minimum { @inline of(a: v128, b: v128): v128 { return f32x4.min(a, b); } }
@unmanaged class IntegerSum { @inline of(a: v128, b: v128): v128 { return i32x4.add(a, b); } }
@unmanaged class IntegerProduct { @inline of(a: v128, b: v128): v128 { return i32x4.mul(a, b); } }
@unmanaged class IntegerMaximum { @inline of(a: v128, b: v128): v128 { return i32x4.max_s(a, b); } }
@unmanaged class IntegerMinimum { @inline of(a: v128, b: v128): v128 { return i32x4.min_s(a, b); } }

/** What is folded: the values at `a`, their squares, or their products with those at `b`. */
@unmanaged class Value { @inline at(a: usize, b: usize): v128 { return v128.load(a); } }
@unmanaged class Square { @inline at(a: usize, b: usize): v128 { const x = v128.load(a); return f32x4.mul(x, x); } }
@unmanaged class Product { @inline at(a: usize, b: usize): v128 { return f32x4.mul(v128.load(a), v128.load(b)); } }

/**
 * Folds `rows` rows of `count` values, column by column; the first row is number `r` of its column. Of sums, whole eights of rows go to the
 * doubles, and the rest to the words.
 */
export function foldColumns(code: i32, words: usize, wide: usize, a: usize, b: usize, rows: i32, count: i32, r: i32): void {
  if (isSum(code) && rows >= 8) {
    const end = a + (<usize>((rows & -8) * count) << 2), factors = b - a;
    // Squares are products here: they are bound by the doubles.
    if (code == op.ADD) addEights<Value>(wide, a, b, end, count);
    else addEights<Product>(wide, a, b, end, count);
    a = end;
    b = end + factors;
    rows &= 7;
  }
  switch (code) {
    case op.ADD: columns<Sum, Value>(words, a, b, rows, count); break;
    case op.SQUARE: columns<Sum, Square>(words, a, b, rows, count); break;
    case op.DOT: columns<Sum, Product>(words, a, b, rows, count); break;
    case op.MAXIMUM: columns<Maximum, Value>(words, a, b, rows, count); break;
    case op.MINIMUM: columns<Minimum, Value>(words, a, b, rows, count); break;
    case op.INTEGER + op.ADD: columns<IntegerSum, Value>(words, a, b, rows, count); break;
    case op.INTEGER + op.MUL: columns<IntegerProduct, Value>(words, a, b, rows, count); break;
    case op.INTEGER + op.MAXIMUM: columns<IntegerMaximum, Value>(words, a, b, rows, count); break;
    case op.INTEGER + op.MINIMUM: columns<IntegerMinimum, Value>(words, a, b, rows, count); break;
    default:
      for (let i = 0; i < rows * count; i++, a += 4) {
        if (code == op.MUL) multiply(wide + (<usize>(i % count) << 3), a, 1);
        else seek(code, words + (<usize>(i % count) << 2), wide + (<usize>(i % count) << 2), a, 1, r + i / count);
      }
  }
}

/** Adds rows, eight at a time, to the doubles of their columns. */
function addEights<Term>(wide: usize, a: usize, b: usize, end: usize, count: i32): void {
  const pitch = <usize>count << 2;
  for (; a < end; a += 8 * pitch, b += 8 * pitch) {
    let to = wide;
    for (let x = a, y = b, stop = a + pitch; x < stop; x += 16, y += 16, to += 32) addWide(to, octet<Term>(x, y, pitch));
  }
}

/** Four rows at a time, so that states are loaded and stored a quarter as often. */
function columns<Operation, Term>(words: usize, a: usize, b: usize, rows: i32, count: i32): void {
  const operation = changetype<Operation>(0);
  const term = changetype<Term>(0);
  const pitch = <usize>count << 2;
  const end = words + pitch;
  for (; rows >= 4; rows -= 4, a += 4 * pitch, b += 4 * pitch) {
    let x = a;
    let y = b;
    for (let to = words; to < end; to += 16, x += 16, y += 16) {
      const left = operation.of(term.at(x, y), term.at(x + pitch, y + pitch));
      const right = operation.of(term.at(x + 2 * pitch, y + 2 * pitch), term.at(x + 3 * pitch, y + 3 * pitch));
      v128.store(to, operation.of(v128.load(to), operation.of(left, right)));
    }
  }
  for (; rows > 0; rows--, a += pitch, b += pitch) {
    let x = a;
    let y = b;
    for (let to = words; to < end; to += 32, x += 32, y += 32) {
      v128.store(to, operation.of(v128.load(to), term.at(x, y)));
      v128.store(to, operation.of(v128.load(to, 16), term.at(x + 16, y + 16)), 16);
    }
  }
}

/** Adds sums of a few f32 to their doubles. */
export function flush(words: usize, wide: usize, count: i32): void {
  for (const end = words + (<usize>count << 2); words < end; words += 16, wide += 32) {
    addWide(wide, v128.load(words));
    v128.store(words, i32x4.splat(0));
  }
}

@inline
function addWide(wide: usize, sums: v128): void {
  v128.store(wide, f64x2.add(v128.load(wide), lowHalf(sums)));
  v128.store(wide, f64x2.add(v128.load(wide, 16), highHalf(sums)), 16);
}

/** Folds `count` values of each of `rows` rows, which are `pitch` bytes apart; the first is number `r` of its row. */
export function foldRows(code: i32, words: usize, wide: usize, a: usize, b: usize, rows: i32, pitch: usize, count: i32, r: i32): void {
  for (let row = 0; row < rows; row++, words += 4, wide += 8, a += pitch, b += pitch) {
    switch (code) {
      case op.ADD: store<f64>(wide, load<f64>(wide) + sumRow<Value>(a, b, count)); break;
      case op.SQUARE: store<f64>(wide, load<f64>(wide) + sumRow<Square>(a, b, count)); break;
      case op.DOT: store<f64>(wide, load<f64>(wide) + sumRow<Product>(a, b, count)); break;
      case op.MUL: multiply(wide, a, count); break;
      case op.MAXIMUM: foldRow<Maximum>(code, words, a, count); break;
      case op.MINIMUM: foldRow<Minimum>(code, words, a, count); break;
      case op.INTEGER + op.ADD: foldRow<IntegerSum>(code, words, a, count); break;
      case op.INTEGER + op.MUL: foldRow<IntegerProduct>(code, words, a, count); break;
      case op.INTEGER + op.MAXIMUM: foldRow<IntegerMaximum>(code, words, a, count); break;
      case op.INTEGER + op.MINIMUM: foldRow<IntegerMinimum>(code, words, a, count); break;
      default: seek(code, words, wide - <usize>(row << 2), a, count, r);
    }
  }
}

/** Folds contiguous words into one, in four lanes of four accumulators. */
function foldRow<Operation>(code: i32, word: usize, from: usize, count: i32): void {
  const operation = changetype<Operation>(0);
  const neutral = i32x4.splat(identity(code));
  let a = neutral;
  let b = neutral;
  let c = neutral;
  let d = neutral;
  const end = from + (<usize>count << 2);
  for (; from + 64 <= end; from += 64) {
    a = operation.of(a, v128.load(from));
    b = operation.of(b, v128.load(from, 16));
    c = operation.of(c, v128.load(from, 32));
    d = operation.of(d, v128.load(from, 48));
  }
  for (; from < end; from += 16) a = operation.of(a, v128.bitselect(v128.load(from), neutral, inside(from, end)));
  let v = operation.of(operation.of(a, b), operation.of(c, d));
  v = operation.of(v, i64x2.shuffle(v, v, 1, 0));
  v = operation.of(v, i32x4.shuffle(v, v, 1, 0, 3, 2));
  v128.store_lane<i32>(word, operation.of(v, v128.load32_splat(word)), 0);
}

/** Sums eight in f32, as a tree, and these in double: hardly slower than in f32 alone, and hardly an error. */
function sumRow<Term>(a: usize, b: usize, count: i32): f64 {
  const term = changetype<Term>(0);
  let low = i32x4.splat(0);
  let high = low;
  const end = a + (<usize>count << 2);
  for (; a + 128 <= end; a += 128, b += 128) {
    const sum = octet<Term>(a, b, 16);
    low = f64x2.add(low, lowHalf(sum));
    high = f64x2.add(high, highHalf(sum));
  }
  for (; a < end; a += 16, b += 16) {
    const rest = v128.and(term.at(a, b), inside(a, end));
    low = f64x2.add(low, lowHalf(rest));
    high = f64x2.add(high, highHalf(rest));
  }
  const pair = f64x2.add(low, high);
  return f64x2.extract_lane(pair, 0) + f64x2.extract_lane(pair, 1);
}

/** The sum of eight vectors, `pitch` bytes apart, as a tree. */
@inline
function octet<Term>(a: usize, b: usize, pitch: usize): v128 {
  return f32x4.add(quartet<Term>(a, b, pitch), quartet<Term>(a + 4 * pitch, b + 4 * pitch, pitch));
}

@inline
function quartet<Term>(a: usize, b: usize, pitch: usize): v128 {
  const term = changetype<Term>(0);
  const left = f32x4.add(term.at(a, b), term.at(a + pitch, b + pitch));
  return f32x4.add(left, f32x4.add(term.at(a + 2 * pitch, b + 2 * pitch), term.at(a + 3 * pitch, b + 3 * pitch)));
}

@inline
function lowHalf(x: v128): v128 {
  return f64x2.promote_low_f32x4(x);
}

@inline
function highHalf(x: v128): v128 {
  return f64x2.promote_low_f32x4(i64x2.shuffle(x, x, 1, 1));
}

/** Of the four words at `from`, those before `end`. */
@inline
function inside(from: usize, end: usize): v128 {
  return i32x4.lt_s(i32x4(0, 1, 2, 3), i32x4.splat(<i32>(end - from) >> 2));
}

/** A product of f32 is kept in double, so that it neither loses bits nor leaves the range on the way. */
function multiply(wide: usize, from: usize, count: i32): void {
  let product = load<f64>(wide);
  for (const end = from + (<usize>count << 2); from < end; from += 4) product *= <f64>load<f32>(from);
  store<f64>(wide, product);
}

/** Keeps the first NaN, else the first extremum, and its position. */
function seek(code: i32, word: usize, position: usize, from: usize, count: i32, r: i32): void {
  if (code & op.INTEGER) seekFirst<i32>(code & 1, word, position, from, count, r);
  else seekFirst<f32>(code & 1, word, position, from, count, r);
}

@inline
function seekFirst<T>(least: i32, word: usize, position: usize, from: usize, count: i32, r: i32): void {
  let best = load<T>(word);
  for (let i = 0; i < count; i++) {
    const value = load<T>(from + (<usize>i << 2));
    if ((least ? value < best : value > best) || (value != value && best == best)) {
      best = value;
      store<i32>(position, r + i);
    }
  }
  store<T>(word, best);
}
