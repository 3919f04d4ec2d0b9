import { base, behind, share, word } from './view';
import * as words from './words';

/** Elements of a cache line. */
const BLOCK = 16;

/** Moves a strided window. If the axis before the last is the innermost of the source, the two are transposed in tiles. */
export function copy(command: usize, bases: usize, workspace: usize, thread: i32, threads: i32): void {
  const bytes = word(command, words.COPY_BYTES);
  const from = base(bases, word(command, words.COPY_FROM_BUFFER)) + <usize>word(command, words.COPY_FROM_OFFSET);
  const to = base(bases, word(command, words.COPY_TO_BUFFER)) + <usize>word(command, words.COPY_TO_OFFSET);
  const axes = behind(command, words.COPY_WORDS);
  // Two axes are moved at a time; the others are counted through.
  const planes = word(command, words.COPY_RANK) - 2;
  const inner = behind(axes, planes * words.AXIS_WORDS);
  let count = 1;
  for (let axis = 0; axis < planes; axis++) count *= extent(axes, axis);
  const rows = extent(inner, 0);
  const split = count < threads ? rows : 1;
  const end = share(count * split, thread + 1, threads);
  for (let i = share(count * split, thread, threads); i < end; ) {
    let source = from;
    let target = to;
    const first = i % split;
    for (let axis = planes - 1, position = i / split; axis >= 0; axis--) {
      const index = <usize>(position % extent(axes, axis));
      source += index * fromStride(axes, axis);
      target += index * toStride(axes, axis);
      position /= extent(axes, axis);
    }
    const some = split == 1 ? rows : min(rows - first, end - i);
    source += <usize>first * fromStride(inner, 0);
    target += <usize>first * toStride(inner, 0);
    if (bytes == 4) copyPlane<u32>(inner, source, target, some);
    else copyPlane<u8>(inner, source, target, some);
    i += split == 1 ? 1 : some;
  }
}

@inline
function extent(axes: usize, axis: i32): i32 {
  return word(axes, axis * words.AXIS_WORDS + words.AXIS_EXTENT);
}

@inline
function fromStride(axes: usize, axis: i32): usize {
  return <usize>word(axes, axis * words.AXIS_WORDS + words.AXIS_FROM_STRIDE);
}

@inline
function toStride(axes: usize, axis: i32): usize {
  return <usize>word(axes, axis * words.AXIS_WORDS + words.AXIS_TO_STRIDE);
}

function copyPlane<T>(axes: usize, from: usize, to: usize, rows: i32): void {
  const columns = extent(axes, 1);
  const fromRow = fromStride(axes, 0);
  const toRow = toStride(axes, 0);
  const fromColumn = fromStride(axes, 1);
  const toColumn = toStride(axes, 1);
  if (sizeof<T>() == 4 && fromRow == 4 && toColumn == 4 && fromColumn != 4) {
    transpose(from, to, rows, columns, fromColumn, toRow);
    return;
  }
  for (let row = 0; row < rows; row++, from += fromRow, to += toRow) {
    if (fromColumn == sizeof<T>() && toColumn == sizeof<T>()) {
      copyRow(from, to, <usize>columns * sizeof<T>());
      continue;
    }
    let source = from;
    let target = to;
    for (let column = 0; column < columns; column++, source += fromColumn, target += toColumn) store<T>(target, load<T>(source));
  }
}

@inline
function copyRow(from: usize, to: usize, bytes: usize): void {
  // A call into the runtime pays for itself only when the row is long.
  if (bytes >= 512) {
    memory.copy(to, from, bytes);
    return;
  }
  const end = from + bytes;
  for (; from + 16 <= end; from += 16, to += 16) v128.store(to, v128.load(from));
  for (; from + 4 <= end; from += 4, to += 4) store<u32>(to, load<u32>(from));
  for (; from < end; from++, to++) store<u8>(to, load<u8>(from));
}

/**
 * to[row][column] = from[column][row]:
 *
 *   for block of 16 columns, for block of 16 rows       16 cache lines of the destination, filled while they are near
 *     for 4 columns, for 4 rows                         4 of the source, each used up at once; a tile in 4 registers
 */
function transpose(from: usize, to: usize, rows: i32, columns: i32, fromColumn: usize, toRow: usize): void {
  for (let left = 0; left < columns; left += BLOCK) {
    for (let top = 0; top < rows; top += BLOCK) {
      const bottom = min(rows, top + BLOCK);
      const right = min(columns, left + BLOCK);
      for (let column = left; column < right; column += 4) {
        for (let row = top; row < bottom; row += 4) {
          const source = from + <usize>column * fromColumn + (<usize>row << 2);
          const target = to + <usize>row * toRow + (<usize>column << 2);
          if (row + 4 <= bottom && column + 4 <= right) tile(source, target, fromColumn, toRow);
          else edge(source, target, fromColumn, toRow, bottom - row, right - column);
        }
      }
    }
  }
}

@inline
function tile(from: usize, to: usize, fromColumn: usize, toRow: usize): void {
  const a = v128.load(from);
  const b = v128.load(from + fromColumn);
  const c = v128.load(from + 2 * fromColumn);
  const d = v128.load(from + 3 * fromColumn);
  const ab = i32x4.shuffle(a, b, 0, 4, 1, 5);
  const cd = i32x4.shuffle(c, d, 0, 4, 1, 5);
  const AB = i32x4.shuffle(a, b, 2, 6, 3, 7);
  const CD = i32x4.shuffle(c, d, 2, 6, 3, 7);
  v128.store(to, i64x2.shuffle(ab, cd, 0, 2));
  v128.store(to + toRow, i64x2.shuffle(ab, cd, 1, 3));
  v128.store(to + 2 * toRow, i64x2.shuffle(AB, CD, 0, 2));
  v128.store(to + 3 * toRow, i64x2.shuffle(AB, CD, 1, 3));
}

function edge(from: usize, to: usize, fromColumn: usize, toRow: usize, rows: i32, columns: i32): void {
  for (let row: usize = 0; row < <usize>min(rows, 4); row++) {
    for (let column: usize = 0; column < <usize>min(columns, 4); column++) {
      store<u32>(to + row * toRow + (column << 2), load<u32>(from + column * fromColumn + (row << 2)));
    }
  }
}

/** Sets every word of a window; its last bytes take the first ones of the word. */
export function fill(command: usize, bases: usize, workspace: usize, thread: i32, threads: i32): void {
  const start = base(bases, word(command, words.FILL_BUFFER)) + <usize>word(command, words.FILL_OFFSET);
  const bytes = <usize>word(command, words.FILL_BYTES);
  const vectors = <i32>(bytes >> 4);
  const value = behind(command, words.FILL_VALUE);
  const end = start + (<usize>share(vectors, thread + 1, threads) << 4);
  let at = start + (<usize>share(vectors, thread, threads) << 4);
  for (const whole = v128.load32_splat(value); at < end; at += 16) v128.store(at, whole);
  if (thread + 1 < threads) return;
  for (const last = start + bytes; at < last; at++) store<u8>(at, load<u8>(value + ((at - start) & 3)));
}
