/** How a kernel reads words and views: `words.ts`. */
import * as words from './words';

/** A word of what begins at an address. */
@inline
export function word(at: usize, index: i32): i32 {
  return load<i32>(behind(at, index));
}

/** The address behind so many words. */
@inline
export function behind(at: usize, words: i32): usize {
  return at + (<usize>words << 2);
}

/** View `index` of a command that has `parameters` parameters. */
@inline
export function viewAt(command: usize, parameters: i32, index: i32): usize {
  return behind(command, parameters + index * words.VIEW_WORDS);
}

/** The address of a buffer's first byte. */
@inline
export function base(bases: usize, buffer: u32): usize {
  return <usize>load<u32>(bases + (<usize>buffer << 2));
}

/** The address of a view's first element. */
@inline
export function pointer(view: usize, bases: usize): usize {
  return base(bases, word(view, words.VIEW_BUFFER)) + <usize>word(view, words.VIEW_OFFSET);
}

/** The dimension of `axis`, 0 to 3. */
@inline
export function shape(view: usize, axis: i32): i32 {
  return word(view, words.VIEW_SHAPE + axis);
}

/** The stride of `axis`, 0 to 3, in elements. */
@inline
export function stride(view: usize, axis: i32): i32 {
  return word(view, words.VIEW_STRIDES + axis);
}

/** Where the share of `thread` begins among `total` pieces of work; it ends where that of `thread + 1` begins. */
export function share(total: i32, thread: i32, threads: i32): i32 {
  return <i32>((<i64>total * thread) / threads);
}

@inline
export function divideUp(a: i32, b: i32): i32 {
  return (a + b - 1) / b;
}
