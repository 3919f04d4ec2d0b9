/** What a primitive is in JAX where that is more than one call: functions that are written into the module that needs them, by name. */
export const helpers: Readonly<Record<string, string>> = {
  shift_right: `
def shift_right(x, count):
    """The bits of x moved to the right, zeros coming in from the left."""
    bits = lax.bitcast_convert_type(x, jnp.uint32) >> (jnp.asarray(count, jnp.int32) & 31).astype(jnp.uint32)
    return lax.bitcast_convert_type(bits, jnp.int32)
`,
  integer_remainder: `
def integer_remainder(x, divisor):
    """The remainder with the divisor's sign; 0 where that is 0."""
    return jnp.where(divisor == 0, 0, jnp.remainder(x, jnp.where(divisor == 0, 1, divisor)))
`,
  threefry: `
def threefry(high, low, counter):
    """32 random bits at each counter under the key (high, low): the two words of Threefry-2x32, of which jax.random folds in, by xor."""

    def bits(high, low, counter):
        key = random.wrap_key_data(jnp.stack([high, low]).astype(jnp.uint32), impl="threefry2x32")
        words = random.key_data(random.fold_in(key, counter.astype(jnp.uint32)))
        return words[0] ^ words[1]

    high, low, counter = (jnp.asarray(x, jnp.int32) for x in (high, low, counter))
    shape = jnp.broadcast_shapes(high.shape, low.shape, counter.shape)
    counters = jnp.broadcast_to(counter, shape).ravel()
    if high.size == 1 and low.size == 1:
        drawn = jax.vmap(bits, (None, None, 0))(high.reshape(()), low.reshape(()), counters)
    else:
        drawn = jax.vmap(bits)(jnp.broadcast_to(high, shape).ravel(), jnp.broadcast_to(low, shape).ravel(), counters)
    return lax.bitcast_convert_type(drawn, jnp.int32).reshape(shape)
`,
  ...Object.fromEntries(
    ['argmax', 'argmin'].map((name) => [
      `${name}_over`,
      `
def ${name}_over(x, axis):
    """The position inside these axes together, in row-major order: of the first of equals, or of the first NaN."""
    kept = [k for k in range(x.ndim) if k not in axis]
    rows = jnp.transpose(x, (*kept, *axis)).reshape(*(x.shape[k] for k in kept), math.prod(x.shape[k] for k in axis))
    return jnp.${name}(rows, axis=-1).astype(jnp.int32)
`,
    ]),
  ),
  conv2d: `
def conv2d(x, w, stride, padding, dilation, groups):
    """Images x [N, C, H, W] by weights w [O, C/groups, KH, KW]."""
    return lax.conv_general_dilated(
        x, w, stride, [(p, p) for p in padding], rhs_dilation=dilation, feature_group_count=groups, precision=PRECISION
    )
`,
  conv2d_input: `
def conv2d_input(y, w, size, stride, padding, dilation, groups):
    """conv2d's transpose in its images, of this size: from y [N, O, OH, OW] back to x."""
    x = jax.ShapeDtypeStruct((y.shape[0], w.shape[1] * groups, *size), y.dtype)
    return jax.linear_transpose(lambda x: conv2d(x, w, stride, padding, dilation, groups), x)(y)[0]
`,
  conv2d_weight: `
def conv2d_weight(x, y, size, stride, padding, dilation, groups):
    """conv2d's transpose in its weights, of this size: from y [N, O, OH, OW] back to w."""
    w = jax.ShapeDtypeStruct((y.shape[1], x.shape[1] // groups, *size), x.dtype)
    return jax.linear_transpose(lambda w: conv2d(x, w, stride, padding, dilation, groups), w)(y)[0]
`,
  pool_sum: `
def pool_sum(x, kernel, stride, padding):
    """Sums of windows; padding counts as 0."""
    around = ((0, 0), (0, 0), *((p, p) for p in padding))
    return lax.reduce_window(x, jnp.zeros((), x.dtype), lax.add, (1, 1, *kernel), (1, 1, *stride), around)
`,
  pool_sum_transpose: `
def pool_sum_transpose(y, size, kernel, stride, padding):
    """Its transpose: to every pixel the sum of the windows that it is in."""
    x = jax.ShapeDtypeStruct((*y.shape[:2], *size), y.dtype)
    return jax.linear_transpose(lambda x: pool_sum(x, kernel, stride, padding), x)(y)[0]
`,
  pool_max: `
def pool_max(x, kernel, stride, padding):
    """The maximum of each window; padding never wins, NaN does."""
    around = ((0, 0), (0, 0), *((p, p) for p in padding))
    return lax.reduce_window(x, jnp.array(-jnp.inf, x.dtype), lax.max, (1, 1, *kernel), (1, 1, *stride), around)
`,
  pool_argmax: `
def pool_argmax(x, kernel, stride, padding):
    """Where the maximum of each window is, as h * W + w: the first of equals, or the first NaN."""
    pixels = x.shape[2] * x.shape[3]
    around = ((0, 0), (0, 0), *((p, p) for p in padding))
    values = jnp.pad(x, around)
    places = jnp.pad(jnp.arange(pixels, dtype=jnp.int32).reshape(1, 1, *x.shape[2:]), around, constant_values=pixels)
    count = [(size - window) // step + 1 for size, window, step in zip(values.shape[2:], kernel, stride)]
    best, first = -jnp.inf, jnp.full((*x.shape[:2], *count), pixels, jnp.int32)
    for row in range(kernel[0]):
        for column in range(kernel[1]):
            end = (row + (count[0] - 1) * stride[0] + 1, column + (count[1] - 1) * stride[1] + 1)
            window = (..., slice(row, end[0], stride[0]), slice(column, end[1], stride[1]))
            value, place = values[window], places[window]
            wins = (place < pixels) & ((value > best) | (jnp.isnan(value) & ~jnp.isnan(best)) | (first == pixels))
            best, first = jnp.where(wins, value, best), jnp.where(wins, place, first)
    return first
`,
  gather: `
def gather(x, index, axis):
    """Entries of x along an axis. A negative index counts from the end; one outside gives NaN, or 0 of integers."""
    nothing = jnp.nan if jnp.issubdtype(x.dtype, jnp.floating) else 0
    return jnp.take_along_axis(x, index, axis=axis, mode="fill", fill_value=nothing)
`,
  scatter_add: `
def scatter_add(updates, index, shape, axis):
    """gather's transpose: updates added up where their index says, and dropped if that is outside."""
    x = jax.ShapeDtypeStruct(shape, updates.dtype)
    return jax.linear_transpose(lambda x: gather(x, index, axis), x)(updates)[0]
`,
  scatter: `
def scatter(x, index, updates, axis):
    """x with entries replaced where the index says; of equal ones the last wins, on every device. One outside makes NaN of its line, but of integers."""
    count, length = x.shape[axis], updates.shape[axis]
    index = jnp.broadcast_to(index, updates.shape)
    place = jnp.where(index < 0, index + count, index)
    inside = (place >= 0) & (place < count)
    where = [jnp.arange(n).reshape([n if i == k else 1 for i in range(x.ndim)]) for k, n in enumerate(updates.shape)]
    order = jnp.broadcast_to(where[axis].astype(jnp.int32), updates.shape)
    where[axis] = jnp.where(inside, place, count)
    last = jnp.full(x.shape, -1, jnp.int32).at[tuple(where)].max(order, mode="drop")
    new = jnp.where(last < 0, x, jnp.take_along_axis(updates, jnp.maximum(last, 0), axis=axis)) if length > 0 else x
    if not jnp.issubdtype(x.dtype, jnp.floating):
        return new
    return jnp.where(jnp.all(inside, axis=axis, keepdims=True), new, jnp.nan)
`,
  // XLA computes a value again where it is needed, and may round it otherwise there (FMA): a sample at 5 − ε whose pixels are those of 5 + ε would be one pixel
  // off. Of two neighbours one is even and one odd; which even one is nearest is doubtful only where its weight is 0.
  grid_sample: `
def grid_sample(x, grid, padding, align_corners):
    """Bilinear samples of images x [N, C, H, W] at pairs (x, y) [N, OH, OW, 2], where -1 and 1 are the image's edges."""
    n, c, h, w = x.shape
    samples = grid.shape[1] * grid.shape[2]

    def neighbours(place, size):
        at = (place + 1) * ((size - 1) / 2) if align_corners else ((place + 1) * size - 1) / 2
        at = jnp.clip(at, 0, size - 1) if padding == "border" else jnp.clip(at, -1, size)
        nearest = (2 * jnp.round(at / 2), 2 * jnp.round((at - 1) / 2) + 1)
        inside = lambda pixel: jnp.clip(pixel, 0, size - 1).astype(jnp.int32)
        weight = lambda pixel: jnp.where((pixel < 0) | (pixel >= size), 0, 1 - jnp.abs(at - pixel))
        return [(inside(pixel), weight(pixel)) for pixel in nearest]

    total = 0
    for row, across in neighbours(grid[..., 1], h):
        for column, along in neighbours(grid[..., 0], w):
            pixels = jnp.take_along_axis(x.reshape(n, c, h * w), (row * w + column).reshape(n, 1, samples), axis=2, mode="clip")
            total += (across * along)[:, None] * pixels.reshape(n, c, *row.shape[1:])
    return total
`,
  cholesky: `
def cholesky(x):
    """The lower triangle L with L times its transpose = x, of whose lower triangle it is made; NaN for what is not positive definite."""
    factor = lax.linalg.cholesky(x, symmetrize_input=False)
    failed = jnp.isnan(jnp.diagonal(factor, axis1=-2, axis2=-1)).any(axis=-1)[..., None, None]
    return jnp.where(failed, jnp.nan, factor)
`,
  eigh: `
def eigh(x):
    """Eigenvalues in row 0, ascending; below them the eigenvectors as columns, the largest component of each positive. The lower triangle is read."""
    lower = jnp.tril(x)
    finite = jnp.isfinite(lower).all(axis=(-2, -1), keepdims=True)
    lower = jnp.where(finite, lower, 0)
    vectors, values = lax.linalg.eigh(lower + jnp.swapaxes(jnp.tril(lower, -1), -2, -1), symmetrize_input=False)
    largest = jnp.argmax(jnp.abs(vectors), axis=-2, keepdims=True)
    vectors = jnp.where(jnp.take_along_axis(vectors, largest, axis=-2) < 0, -vectors, vectors)
    return jnp.where(finite, jnp.concatenate([values[..., None, :], vectors], axis=-2), jnp.nan)
`,
};

/** The helpers that a text calls, with those that these call, in the table's order. */
export function helpersOf(text: string): readonly string[] {
  const needed = new Set<string>();
  const visit = (called: string): void => {
    for (const name of Object.keys(helpers)) {
      if (needed.has(name) || !new RegExp(`\\b(?<![.])${name}\\(`).test(called)) continue;
      needed.add(name);
      visit(helpers[name]!);
    }
  };
  visit(text);
  return Object.entries(helpers).flatMap(([name, source]) => (needed.has(name) ? [source.trim()] : []));
}
