/** Bad input gets a typed error that names the op, what was wrong, and what would be right. */
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  adaptiveAveragePool2d,
  affineGrid,
  arange,
  averagePool2d,
  type BackendName,
  bernoulli,
  cholesky,
  compile,
  concat,
  conv2d,
  diagonal,
  type ErrorCode,
  eigh,
  eye,
  full,
  gridSample,
  key,
  linspace,
  maxPool2d,
  maxPool2dWithIndices,
  type NestedArray,
  oneHot,
  permutation,
  randint,
  randn,
  realize,
  scatter,
  scatterAdd,
  slot,
  stack,
  TensegrityError,
  type Tensor,
  take,
  takeAlongAxis,
  tensor,
  topK,
  triangularSolve,
  uniform,
  useBackend,
  zeros,
} from '../../engine/index.ts';
import { errorOf } from '../support/misuse.ts';
import { property } from '../support/property.ts';
import { backends, reference } from './support.ts';

const x = zeros([2, 3]);
const square = zeros([3, 3]);
const integers = zeros([2, 3], 'i32');
const image = zeros([1, 4, 5, 5]);

/** What is done, the error's code, and what its message must say. */
const faults: readonly (readonly [string, () => unknown, ErrorCode, ...(string | RegExp)[]])[] = [
  ['add', () => x.add(zeros([2])), 'shape', 'add', '[2, 3]', '[2]'],
  ['where', () => x.where(zeros([4]), x), 'shape', 'where', '[4]'],
  ['bitwiseXor', () => x.bitwiseXor(1), 'dtype', 'bitwiseXor', 'f32', 'cast'],
  ['bitwiseRightShift', () => integers.bitwiseRightShift(0.5), 'argument', 'bitwiseRightShift', '0.5'],
  ['bitwiseLeftShift', () => x.bitwiseLeftShift(1), 'dtype', 'bitwiseLeftShift', 'f32', 'cast'],
  ['logicalAnd', () => x.logicalAnd('1' as never), 'argument', 'logicalAnd', "'1'"],
  ['sum of bytes', () => x.sum(0, { dtype: 'u8' as never }), 'dtype', 'sum', 'u8', 'i32 or f32 or f64'],
  ['mean in integers', () => integers.mean(0, { dtype: 'i32' }), 'dtype', 'mean', 'i32', 'f32 or f64'],
  ['sum option', () => x.sum(0, { keepdim: true } as never), 'argument', 'sum', "'keepdim'", 'keepdims'],
  ['tensor + 1', () => (x as unknown as number) + 1, 'argument', 'Tensor f32 [2, 3]', '.add(1)', 'item()'],
  ['tensor < 1', () => (x as unknown as number) < 1, 'argument', '.less(1)'],
  ['slot + 1', () => (slot({ dtype: 'f32', shape: [1], data: Float32Array.of(1) }) as unknown as number) + 1, 'argument', '.add(1)'],
  ['matmul inner', () => x.matmul(x), 'shape', 'matmul', '[2, 3]', '3 and 2'],
  ['matmul batch', () => zeros([2, 2, 3]).matmul(zeros([3, 3, 4])), 'shape', 'matmul', '[2]', '[3]'],
  ['matmul scalar', () => x.matmul(tensor(1)), 'shape', 'matmul', '[]'],
  ['matmul integers', () => integers.matmul(zeros([3, 2], 'i32')), 'dtype', 'matmul', 'i32', 'cast'],
  ['sum axis', () => x.sum(2), 'argument', 'sum', 'axis 2', '-2 to 1'],
  ['sum axis twice', () => x.sum([0, -2]), 'argument', 'sum', 'twice'],
  ['sum axis fraction', () => x.sum(0.5), 'argument', 'axis 0.5'],
  ['sum axis NaN', () => x.sum(Number.NaN), 'argument', 'axis NaN'],
  ['cumsum without an axis', () => x.cumsum(), 'argument', 'cumsum', 'axis NaN', 'rank 2', '-2 to 1'],
  ['cumprod axis', () => x.cumprod(-3), 'argument', 'cumprod', 'axis -3', '-2 to 1'],
  ['cumsum of a scalar', () => tensor(1).cumsum(0), 'argument', 'cumsum', 'no axis'],
  ['cumsum of bytes', () => x.cumsum(0, { dtype: 'u8' as never }), 'dtype', 'cumsum', 'u8', 'i32 or f32 or f64'],
  ['cumsum option', () => x.cumsum(0, { keepdims: true } as never), 'argument', 'cumsum', "'keepdims'"],
  ['axis of a scalar', () => tensor(1).sum(0), 'argument', 'no axis'],
  ['softmax', () => x.softmax(2), 'argument', 'softmax', 'axis 2'],
  ['argmax of nothing', () => zeros([0, 3]).argmax(0), 'shape', 'argmax', '[0, 3]'],
  ['item', () => x.item(), 'shape', 'item', '[2, 3]', 'data()'],
  ['reshape size', () => x.reshape([4]), 'shape', 'reshape', '[2, 3]', '6', '4'],
  ['reshape two holes', () => x.reshape([-1, -1]), 'shape', 'reshape', 'at most one'],
  ['reshape hole', () => x.reshape([4, -1]), 'shape', 'reshape', '[2, 3]'],
  ['reshape empty hole', () => zeros([0]).reshape([0, -1]), 'shape', 'reshape', '−1'],
  ['reshape negative', () => x.reshape([-2, -3]), 'shape', 'reshape'],
  ['reshape fraction', () => x.reshape([1.5, 4]), 'shape', 'reshape', '1.5'],
  ['permute', () => x.permute([0]), 'argument', 'permute', '2 axes'],
  ['permute twice', () => x.permute([0, 0]), 'argument', 'permute', 'once'],
  ['transpose', () => zeros([3]).transpose(), 'shape', 'transpose', '[3]'],
  ['expand', () => x.expand([2, 4]), 'shape', 'expand', '[2, 3]', '[2, 4]'],
  ['expand negative', () => zeros([1]).expand([-1]), 'shape', 'expand', '-1'],
  ['expand fraction', () => zeros([1]).expand([1.5]), 'shape', 'expand', '1.5'],
  ['slice position', () => x.slice(2), 'argument', 'slice', 'position 2', 'axis 0'],
  ['slice rank', () => x.slice(0, 0, 0), 'argument', 'slice', 'rank 2'],
  ['slice step', () => x.slice([0, 2, 0]), 'argument', 'slice', 'step'],
  ['slice fraction', () => x.slice([0.5, 2]), 'argument', 'slice', '0.5'],
  ['slice NaN', () => x.slice([0, Number.NaN]), 'argument', 'slice', 'NaN'],
  ['narrow', () => x.narrow(1, 2, 2), 'argument', 'narrow', '[2, 3]'],
  ['narrow fraction', () => x.narrow(1, 0.5, 1), 'argument', /narrow|slice/, '0.5'],
  ['narrow NaN', () => x.narrow(1, Number.NaN, 1), 'argument', 'narrow', 'NaN'],
  ['flip', () => x.flip(2), 'argument', 'flip', 'axis 2'],
  ['flatten', () => x.flatten(3), 'argument', 'flatten', 'axis 3'],
  ['pad counts', () => x.pad([1], [1]), 'argument', 'pad', '2 counts'],
  ['pad fraction', () => x.pad([0.5, 0], [0, 0]), 'argument', 'pad', '0.5'],
  ['pad value of u8', () => zeros([1], 'u8').pad([1], [0], -1), 'argument', 'pad', 'u8', '-1'],
  ['pad value of i32', () => zeros([1], 'i32').pad([1], [0], NaN), 'argument', 'pad', 'i32', 'NaN'],
  ['pad cuts too much', () => x.pad([-2, 0], [-1, 0]), 'argument', 'pad', '[2, 3]'],
  ['squeeze', () => x.squeeze(0), 'shape', 'squeeze', '[2, 3]'],
  ['unsqueeze', () => x.unsqueeze(4), 'argument', 'unsqueeze', 'axis 4'],
  ['concat nothing', () => concat([]), 'argument', 'concat', 'at least one'],
  ['concat', () => concat([x, zeros([2, 4])], 0), 'shape', 'concat', '[2, 4]', 'axis 0'],
  ['stack', () => stack([x, square]), 'shape', 'stack', '[3, 3]'],
  ['stack nothing', () => stack([]), 'argument', 'stack', 'at least one'],
  ['diagonal', () => diagonal(x), 'shape', 'diagonal', '[2, 3]'],
  ['diagonal of a scalar', () => diagonal(tensor(1)), 'shape', 'diagonal', '[]'],
  ['conv2d rank', () => conv2d(x, zeros([1, 1, 3, 3])), 'shape', 'conv2d', '[N, C, H, W]'],
  ['conv2d channels', () => conv2d(image, zeros([2, 3, 3, 3])), 'shape', 'conv2d', '[2, 3, 3, 3]', '4'],
  ['conv2d groups', () => conv2d(image, zeros([3, 2, 3, 3]), { groups: 2 }), 'shape', 'groups 2'],
  ['conv2d fractions of channels', () => conv2d(image, zeros([3, 1, 3, 3]), { groups: 3 }), 'shape', 'groups must divide the 4 channels'],
  ['conv2d too many groups', () => conv2d(image, zeros([4, 1, 3, 3]), { groups: 0 }), 'argument', 'groups'],
  ['conv2d kernel', () => conv2d(image, zeros([1, 4, 7, 7])), 'shape', 'conv2d', '[7, 7]', '[5, 5]'],
  ['conv2d of filters of no pixels', () => conv2d(image, zeros([1, 4, 0, 3])), 'shape', 'conv2d', '[1, 4, 0, 3]', 'KH > 0'],
  ['conv2d stride', () => conv2d(image, zeros([1, 4, 3, 3]), { stride: 0 }), 'argument', 'stride', '≥ 1'],
  ['conv2d padding', () => conv2d(image, zeros([1, 4, 3, 3]), { padding: [1, -1] }), 'argument', 'padding', '≥ 0'],
  ['conv2d types', () => conv2d(image, zeros([1, 4, 3, 3], 'f64')), 'dtype', 'conv2d', 'f64'],
  ['maxPool2d rank', () => maxPool2d(x, 2), 'shape', 'pool2d', '[N, C, H, W]'],
  ['maxPool2d window', () => maxPool2d(image, 6), 'shape', 'pool2d', '[6, 6]'],
  ['maxPool2d padding', () => maxPool2d(image, 2, { padding: 2 }), 'argument', 'padding', 'half'],
  ...(['i32', 'u8'] as const).flatMap((dtype) => {
    const pixels = zeros([1, 1, 2, 2], dtype);
    const pools = { maxPool2d, maxPool2dWithIndices, averagePool2d };
    return Object.entries(pools).map(
      ([name, pool]) => [`${name} of ${dtype}`, () => pool(pixels, 1), 'dtype', name, 'floats', dtype, "cast('f32')"] as const,
    );
  }),
  ['averagePool2d type', () => averagePool2d(zeros([1, 1, 2, 2], 'u8'), 2), 'dtype', 'averagePool2d', 'u8'],
  ['adaptiveAveragePool2d', () => adaptiveAveragePool2d(x, 1), 'shape', 'adaptiveAveragePool2d'],
  ['adaptiveAveragePool2d pixels', () => adaptiveAveragePool2d(zeros([1, 2, 0, 3]), 2), 'shape', 'adaptiveAveragePool2d', 'H > 0'],
  ['adaptiveAveragePool2d cells', () => adaptiveAveragePool2d(image, [1, 1e9]), 'shape', 'adaptiveAveragePool2d', '1000000000', 'fewer'],
  ['adaptiveAveragePool2d type', () => adaptiveAveragePool2d(zeros([1, 1, 3, 3], 'u8'), 2), 'dtype', 'adaptiveAveragePool2d', 'u8'],
  ['adaptiveAveragePool2d size', () => adaptiveAveragePool2d(image, 0), 'argument', 'size'],
  ['take type', () => take(x, x), 'dtype', 'take', 'f32', 'cast'],
  ['takeAlongAxis shape', () => takeAlongAxis(x, zeros([1, 2], 'i32'), 1), 'shape', 'takeAlongAxis', '[1, 2]'],
  ['scatter shape', () => scatter(x, zeros([1, 2], 'i32'), zeros([1, 2]), 1), 'shape', 'scatter', '[1, 2]'],
  ['scatter updates', () => scatter(x, zeros([1, 3], 'i32'), zeros([2, 3]), 0), 'shape', 'scatter', 'one shape'],
  ['scatter type', () => scatter(x, zeros([1, 3], 'i32'), zeros([1, 3], 'i32'), 0), 'dtype', 'scatter', "cast('f32')"],
  ['scatter index', () => scatter(x, zeros([1, 3]), zeros([1, 3]), 0), 'dtype', 'scatter', 'integers'],
  ['scatterAdd shape', () => scatterAdd(x, zeros([2], 'i32'), 0, 3), 'shape', 'scatterAdd'],
  ['scatterAdd size', () => scatterAdd(x, integers, 0, -1), 'shape', 'scatterAdd', '-1'],
  ['oneHot', () => oneHot(integers, -1), 'argument', 'whole number ≥ 1', '-1'],
  ['oneHot classes', () => oneHot(integers, 1.5), 'argument', '1.5'],
  ['topK', () => topK(x, 4), 'argument', 'topK', '0 to 3', '4'],
  ['cholesky', () => cholesky(x), 'shape', 'cholesky', '[2, 3]', 'square'],
  ['cholesky type', () => cholesky(zeros([2, 2], 'i32')), 'dtype', 'cholesky', 'i32'],
  ['eigh', () => eigh(zeros([3])), 'shape', 'eigh', '[3]'],
  ['triangularSolve', () => triangularSolve(square, zeros([2, 1])), 'shape', 'triangularSolve', '[3, m]'],
  ['gridSample', () => gridSample(image, zeros([1, 2, 2, 3])), 'shape', 'gridSample', '[N, OH, OW, 2]'],
  ['affineGrid', () => affineGrid(x, [2, 2]), 'shape', 'affineGrid', '[N, 2, 3]'],
  ['affineGrid size', () => affineGrid(zeros([1, 2, 3]), [2, -1]), 'shape', '-1'],
  ['ragged', () => tensor([[1, 2], [3]]), 'shape', 'tensor', 'ragged', '2 entries'],
  ['ragged number', () => tensor([[1], 2]), 'shape', 'tensor', 'ragged', 'a number'],
  ['too few', () => tensor(new Float32Array(3), { shape: [2, 2] }), 'shape', 'tensor', '3 elements', '[2, 2]'],
  ['mislabelled', () => tensor({ dtype: 'f32', shape: [1], data: new Float64Array(1) }), 'dtype', 'tensor', 'f64', 'f32'],
  ['negative shape', () => tensor(new Float32Array(0), { shape: [-1, 0] }), 'shape', '-1'],
  ['unknown array', () => tensor(new DataView(new ArrayBuffer(2)) as unknown as Int32Array), 'dtype', 'DataView'],
  ['text', () => tensor('12' as unknown as number), 'argument', 'tensor', "'12'"],
  ['nested text', () => tensor([['a']] as unknown as NestedArray), 'argument', 'tensor', "'a'"],
  ['null', () => tensor(null as unknown as number), 'argument', 'tensor', 'null'],
  ['record', () => tensor({} as unknown as number), 'argument', 'tensor', 'object'],
  ['unknown dtype', () => tensor([1], { dtype: 'f16' as 'f32' }), 'dtype', 'f16', 'f32, f64'],
  ['zeros', () => zeros([1.5]), 'shape', '1.5'],
  ['zeros of an unknown dtype', () => zeros([1], 'bool' as 'u8'), 'dtype', 'bool'],
  ['cast', () => x.cast('int' as 'i32'), 'dtype', 'int'],
  ['too many', () => zeros([2 ** 30, 2 ** 30]), 'shape', 'counted'],
  ['full', () => full([1], 1.5, 'i32'), 'argument', '1.5', 'i32'],
  ['arange', () => arange(-1), 'shape', '-1'],
  ['eye', () => eye(1.5), 'shape', '1.5'],
  ['linspace', () => linspace(0, 1, 0), 'argument', 'linspace', '0'],
  ['key', () => key(0.5), 'argument', 'key', '0.5'],
  ['key tensor', () => randn([1], { key: x }), 'argument', 'key', 'i32 [2]'],
  ['randint', () => randint([1], { key: 1, low: 3, high: 3 }), 'argument', 'randint', '3 and 3'],
  ['uniform shape', () => uniform([-1], { key: 1 }), 'shape', '-1'],
  ['uniform range', () => uniform([1], { key: 1, low: -3e38, high: 3e38 }), 'argument', 'uniform', '-3e+38', 'f32'],
  ['uniform type', () => uniform([1], { key: 1, dtype: 'i32' }), 'dtype', 'uniform', 'i32'],
  ['randn type', () => randn([1], { key: 1, dtype: 'i32' }), 'dtype', 'randn', 'i32'],
  ['bernoulli', () => bernoulli([1], { key: 1, p: 1.5 }), 'argument', 'bernoulli', '1.5'],
  ['permutation', () => permutation(-1, { key: 1 }), 'shape', '-1'],
  ['operand', () => x.add('1' as unknown as number), 'argument', 'add', "'1'"],
  ['missing operand', () => x.add(undefined as unknown as number), 'argument', 'add', 'undefined'],
  ['matmul number', () => x.matmul(2 as unknown as Tensor), 'argument', 'matmul', 'got 2'],
  ['backend', () => useBackend('cuda' as BackendName), 'backend', 'cuda', 'wasm, cpu, webgpu'],
  ['threads on cpu', () => useBackend('cpu', { threads: 2 } as never), 'argument', 'cpu', "no option 'threads'"],
  ['backend option', () => useBackend('wasm', { thread: 2 } as never), 'argument', 'wasm', "no option 'thread'", 'threads, deterministic'],
  ['backend, a number', () => useBackend(3 as never), 'argument', 'useBackend', 'wasm, cpu, webgpu', 'got 3'],
  ['backend, nothing', () => useBackend(undefined as never), 'argument', 'useBackend', 'undefined'],
  ['backend, half', () => useBackend({ name: 'x', dtypes: [], bytes: 0 } as never), 'argument', 'without allocate', 'prepare'],
  ['options of a backend', () => useBackend(reference, { threads: 2 } as never), 'argument', 'go with a name'],
  ['null for options', () => useBackend('wasm', null as never), 'argument', 'wasm', 'got null', 'threads, deterministic'],
  ['null for cpu', () => useBackend('cpu', null as never), 'argument', 'cpu', 'got null'],
  ['build', () => useBackend('wasm', { build: 'fast' } as never), 'argument', 'build', "'fast'", 'simd, relaxed'],
  [
    'contradiction',
    () => useBackend('wasm', { build: 'relaxed', deterministic: true }),
    'argument',
    'relaxed',
    "deterministic needs build 'simd'",
  ],
  ['winograd flag', () => useBackend('wasm', { winograd: 'no' } as never), 'argument', 'winograd', 'boolean', "'no'"],
  ['deterministic flag', () => useBackend('wasm', { deterministic: 1 } as never), 'argument', 'deterministic', 'boolean', '1'],
  ...[-1, 0, 1.5, Number.NaN, 65, '2', null].map(
    (threads) => [`${threads} threads`, () => useBackend('wasm', { threads } as never), 'argument', 'threads', `${threads}`] as const,
  ),
  ['compile', () => compile(() => x.add(zeros([7])))(), 'shape', 'add', '[7]'],
];

describe('bad input', () => {
  beforeAll(async () => {
    await useBackend(reference);
  });

  it.for(faults)('%s', async ([, action, code, ...saying]) => {
    const error = await errorOf(action);
    expect(error).toBeInstanceOf(TensegrityError);
    expect(error).toMatchObject({ name: 'TensegrityError', code });
    for (const part of saying) expect((error as TensegrityError).message).toMatch(typeof part === 'string' ? escaped(part) : part);
  });

  it.for(backends.map((backend) => [backend.name, backend] as const))('a type that %s does not compute with', async ([, backend]) => {
    await useBackend(backend);
    const error = await errorOf(() => realize(zeros([1], 'f64').add(1)));
    if (backend.dtypes.includes('f64')) expect(error).toBeNull();
    else {
      expect(error).toMatchObject({ code: 'dtype' });
      expect((error as TensegrityError).message).toMatch(/f64.*f32.*cpu/);
    }
    await useBackend(reference);
  });

  it.for(backends.map((backend) => [backend.name, backend] as const))('more than the memory of %s', async ([, backend]) => {
    await useBackend(backend);
    const error = await errorOf(() => zeros([2 ** 40]).data());
    expect(error).toMatchObject({ code: 'backend' });
    expect((error as TensegrityError).message).toMatch(/memory|batch|split the tensor/);
    expect(await zeros([2]).array()).toEqual([0, 0]);
    await useBackend(reference);
  });

  const odd = fc.oneof(
    fc.integer({ min: -4, max: 5 }),
    fc.constantFrom(0.5, -1.5, Number.NaN, Infinity, -Infinity, -0, 2 ** 31, 2 ** 53, -(2 ** 40)),
  );
  /** Not so large that what is computed on the way, for a result that is empty, does not fit in memory. */
  const moderate = odd.filter((value) => !(Math.abs(value) > 1e4));
  const list = fc.array(odd, { maxLength: 4 });
  const pair = fc.oneof(odd, fc.tuple(odd, odd));
  /** Calls that types allow, with numbers that nobody should give. */
  const calls: { readonly [name: string]: fc.Arbitrary<(x: Tensor) => Tensor> } = {
    reshape: list.map((shape) => (y) => y.reshape(shape)),
    permute: list.map((order) => (y) => y.permute(order)),
    transpose: fc.tuple(odd, odd).map(
      ([a, b]) =>
        (y) =>
          y.transpose(a, b),
    ),
    expand: list.map((shape) => (y) => y.expand(shape)),
    slice: fc
      .array(fc.oneof(odd, fc.tuple(odd, odd), fc.tuple(odd, odd, odd)), { maxLength: 4 })
      .map((ranges) => (y) => y.slice(...ranges)),
    narrow: fc.tuple(odd, odd, odd).map(
      ([a, b, c]) =>
        (y) =>
          y.narrow(a, b, c),
    ),
    flip: list.map((axes) => (y) => y.flip(axes)),
    pad: fc.tuple(list, list, odd).map(
      ([before, after, value]) =>
        (y) =>
          y.pad(before, after, value),
    ),
    squeeze: list.map((axes) => (y) => y.squeeze(axes)),
    unsqueeze: odd.map((axis) => (y) => y.unsqueeze(axis)),
    flatten: odd.map((start) => (y) => y.flatten(start)),
    sum: list.map((axes) => (y) => y.sum(axes)),
    variance: fc.tuple(list, odd).map(
      ([axes, correction]) =>
        (y) =>
          y.variance(axes, { correction }),
    ),
    cumsum: odd.map((axis) => (y) => y.cumsum(axis)),
    argmax: odd.map((axis) => (y) => y.argmax(axis)),
    softmax: odd.map((axis) => (y) => y.softmax(axis)),
    topK: fc.tuple(odd, odd).map(
      ([k, axis]) =>
        (y) =>
          topK(y, k, axis).values,
    ),
    take: fc.tuple(list, odd).map(
      ([index, axis]) =>
        (y) =>
          take(y, tensor(index, { dtype: 'i32' }), axis),
    ),
    scatterAdd: fc.tuple(odd, odd).map(
      ([axis, size]) =>
        (y) =>
          scatterAdd(y, y.cast('i32'), axis, size),
    ),
    scatter: odd.map((axis) => (y) => scatter(y, y.cast('i32'), y, axis)),
    oneHot: moderate.map((classes) => (y) => oneHot(y.cast('i32'), classes)),
    conv2d: fc.tuple(pair, pair, pair, odd).map(
      ([stride, padding, dilation, groups]) =>
        (y) =>
          conv2d(y, zeros([2, 2, 2, 1]), { stride, padding, dilation, groups }),
    ),
    maxPool2d: fc.tuple(pair, pair, pair).map(
      ([kernel, stride, padding]) =>
        (y) =>
          maxPool2d(y, kernel, { stride, padding }),
    ),
    averagePool2d: fc.tuple(pair, pair).map(
      ([kernel, stride]) =>
        (y) =>
          averagePool2d(y, kernel, { stride, countIncludePad: false }),
    ),
    concat: fc.tuple(odd).map(
      ([axis]) =>
        (y) =>
          concat([y, y], axis),
    ),
    stack: odd.map((axis) => (y) => stack([y, y], axis)),
    full: fc.tuple(list, odd).map(
      ([shape, value]) =>
        () =>
          full(shape, value, 'i32'),
    ),
    arange: odd.map((length) => () => arange(length)),
    linspace: fc.tuple(odd, odd, odd).map(
      ([start, stop, count]) =>
        () =>
          linspace(start, stop, count),
    ),
    randint: fc.tuple(list, odd, odd).map(
      ([shape, low, high]) =>
        () =>
          randint(shape, { key: 1, low, high }),
    ),
    randn: fc.tuple(list, odd).map(
      ([shape, seed]) =>
        () =>
          randn(shape, { key: seed }),
    ),
    affineGrid: fc.tuple(moderate, moderate).map(
      ([rows, columns]) =>
        () =>
          affineGrid(zeros([1, 2, 3]), [rows, columns]),
    ),
    arithmetic: odd.map((value) => (y) => y.cast('u8').add(value).mul(value).maximum(value)),
  };

  it.for(Object.entries(calls))('%s of odd numbers is a tensor that can be read, or a TensegrityError', ([, call]) =>
    property(
      [call, fc.constantFrom([], [3], [2, 3], [0, 2], [1, 2, 3, 3])],
      async (call_, shape) => {
        const error = await errorOf(async () => {
          const y = call_(full(shape, 1));
          expect(y.shape.every((size) => Number.isSafeInteger(size) && size >= 0)).toBe(true);
          // No more than a machine has.
          if (y.size <= 1e5) expect((await y.data()).length).toBe(y.size + 0);
        });
        if (error !== null) expect(error).toBeInstanceOf(TensegrityError);
      },
      { numRuns: 150 },
    ),
  );
});

function escaped(text: string): RegExp {
  return new RegExp(text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&'));
}

it('quotes names without what steers a terminal, on one line where it can, and shortened', async () => {
  const hostile = `\x1b[31m\x9b\x7f\u202e\u2066\u2028\ud800\t\r${'x'.repeat(1e6)}`;
  for (const error of [
    await errorOf(() => uniform([2], { key: 1, [`${hostile}\n`]: 1 } as { key: number })),
    await errorOf(() => uniform([2], { key: 1, low: `${hostile}\n` as unknown as number })),
    new TensegrityError('format', hostile.slice(0, 20), { hostile }),
  ]) {
    expect(error).toBeInstanceOf(TensegrityError);
    const { message } = error as TensegrityError;
    expect(message).not.toMatch(/[\p{C}\u2028\u2029]/u);
    expect(message.length).toBeLessThan(2000);
  }
  // Programs get what it was.
  expect(new TensegrityError('format', hostile, { hostile }).details).toEqual({ hostile });
  expect(new TensegrityError('data', 'a\nb').message).toBe('a\nb');
});
