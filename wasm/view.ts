/**
 * How a kernel reads its parameters and views. A view is ten words, `[buffer, byte offset, shape ×4, strides ×4]`,
 * padded to rank 4 at the front (dimension 1, stride 0); strides count elements. Views follow the parameters: inputs,
 * then outputs.
 */

/** Parameter `index` of a command. */
@inline
export function parameter(command: usize, index: i32): i32 {
  return load<i32>(command + (<usize>index << 2));
}

/** View `index` of a command that has `parameters` parameters. */
@inline
export function viewAt(command: usize, parameters: i32, index: i32): usize {
  return command + (<usize>parameters << 2) + <usize>index * 40;
}

/** The address of a buffer's first byte. */
@inline
export function base(bases: usize, buffer: u32): usize {
  return <usize>load<u32>(bases + (<usize>buffer << 2));
}

/** The address of a view's first element. */
@inline
export function pointer(view: usize, bases: usize): usize {
  return base(bases, load<u32>(view)) + <usize>load<u32>(view, 4);
}

/** The dimension of `axis`, 0 to 3. */
@inline
export function shape(view: usize, axis: i32): i32 {
  return load<i32>(view + (<usize>axis << 2), 8);
}

/** The stride of `axis`, 0 to 3, in elements. */
@inline
export function stride(view: usize, axis: i32): i32 {
  return load<i32>(view + (<usize>axis << 2), 24);
}

/** Where the share of `thread` begins among `total` pieces of work; it ends where that of `thread + 1` begins. */
export function share(total: i32, thread: i32, threads: i32): i32 {
  return <i32>((<i64>total * thread) / threads);
}

@inline
export function divideUp(a: i32, b: i32): i32 {
  return (a + b - 1) / b;
}
