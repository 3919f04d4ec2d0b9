/**
 * The core of the suite without its tools, which need a newer Node than the library does: the built package, by its own name, on the oldest Node
 * that is supported and on any other. Numbers are known, or recomputed here by plain loops.
 */
import assert from 'node:assert/strict';
import { compile, conv2d, grad, randn, randomBits, slot, TensegrityError, tensor, uniform, useBackend } from 'tensegrity';

const tolerance = 1e-5;

/** Numbers in [−1, 1) that have no pattern: a linear congruence. */
function numbers(length, seed) {
  let state = seed;
  return Float32Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return state / 2 ** 31;
  });
}

const drawn = (shape, seed) =>
  tensor(
    numbers(
      shape.reduce((a, b) => a * b, 1),
      seed,
    ),
    { shape },
  );

function close(actual, expected, what) {
  assert.equal(actual.length, expected.length, `${what}: length`);
  for (const [i, value] of actual.entries()) {
    const error = Math.abs(value - expected[i]);
    assert.ok(error <= tolerance * Math.max(1, Math.abs(expected[i])), `${what}[${i}]: ${value}, expected ${expected[i]}`);
  }
}

const dot = (a, b) => a.reduce((sum, value, i) => sum + value * b[i], 0);

function matmulByLoops(a, b, m, k, n) {
  return Float64Array.from({ length: m * n }, (_, at) => {
    const [row, column] = [Math.floor(at / n), at % n];
    let sum = 0;
    for (let i = 0; i < k; i++) sum += a[row * k + i] * b[i * n + column];
    return sum;
  });
}

function convolutionByLoops(x, w, [n, c, size], [o, , kernel], stride, padding) {
  const out = Math.floor((size + 2 * padding - kernel) / stride) + 1;
  const result = [];
  for (let image = 0; image < n; image++)
    for (let channel = 0; channel < o; channel++)
      for (let row = 0; row < out; row++)
        for (let column = 0; column < out; column++) {
          let sum = 0;
          for (let from = 0; from < c; from++)
            for (let u = 0; u < kernel; u++)
              for (let v = 0; v < kernel; v++) {
                const [i, j] = [row * stride - padding + u, column * stride - padding + v];
                if (i < 0 || j < 0 || i >= size || j >= size) continue;
                sum += x[((image * c + from) * size + i) * size + j] * w[((channel * c + from) * kernel + u) * kernel + v];
              }
          result.push(sum);
        }
  return result;
}

const checks = {
  async product() {
    for (const [m, k, n] of [
      [2, 2, 3],
      [17, 33, 9],
      [64, 128, 70],
      [1, 50, 1],
    ]) {
      const [a, b] = [numbers(m * k, 1), numbers(k * n, 2)];
      const expected = matmulByLoops(a, b, m, k, n);
      const left = tensor(a, { shape: [m, k] });
      const right = tensor(b, { shape: [k, n] });
      close(await left.matmul(right).data(), expected, `${m}×${k}×${n}`);
      const transposed = tensor(await right.transpose().data(), { shape: [n, k] });
      close(await left.matmul(transposed.transpose()).data(), expected, `${m}×${k}×${n}, transposed`);
    }
  },

  async convolution() {
    for (const [stride, padding] of [
      [1, 1],
      [2, 1],
      [2, 0],
    ]) {
      const [shapeX, shapeW] = [
        [2, 3, 7, 7],
        [4, 3, 3, 3],
      ];
      const [x, w] = [drawn(shapeX, 3), drawn(shapeW, 4)];
      const y = conv2d(x, w, { stride, padding });
      const values = await y.data();
      close(values, convolutionByLoops(await x.data(), await w.data(), shapeX, shapeW, stride, padding), `stride ${stride}`);
      // Convolution is linear in each operand: ⟨y, g⟩ = ⟨x, ∂⟨y, g⟩/∂x⟩ = ⟨w, ∂⟨y, g⟩/∂w⟩.
      const g = drawn(y.shape, 5);
      const [dx, dw] = grad(y.mul(g).sum(), [x, w]);
      const expected = dot(values, await g.data());
      close([dot(await x.data(), await dx.data()), dot(await w.data(), await dw.data())], [expected, expected], 'gradients');
    }
  },

  async gradient() {
    const x = tensor([
      [1, 2],
      [3, 4],
    ]);
    const w = tensor([
      [0.5, -1, 2],
      [1, 0.25, -0.5],
    ]);
    const loss = x.matmul(w).square().mean();
    close([await loss.item()], [57.75 / 6], 'loss');
    const [first] = grad(loss, [w]);
    close(await first.data(), [19 / 3, -6.5 / 3, 13 / 3, 9, -3, 6], 'first');
    const [second] = grad(first.square().sum(), [w]);
    close(await second.data(), [1136 / 9, -382 / 9, 764 / 9, 1612 / 9, -542 / 9, 1084 / 9], 'second');
  },

  async elementwise() {
    const x = tensor([-2, -0.5, 0, 0.5, 3]);
    const values = [-2, -0.5, 0, 0.5, 3];
    const functions = { exp: Math.exp, tanh: Math.tanh, abs: Math.abs, floor: Math.floor, sin: Math.sin, expm1: Math.expm1 };
    for (const [name, reference] of Object.entries(functions)) close(await x[name]().data(), values.map(reference), name);
    close(await x.relu().data(), [0, 0, 0, 0.5, 3], 'relu');
    close(await x.mul(2).sub(1).maximum(0).data(), [0, 0, 0, 0, 5], 'chain');
    assert.deepEqual([...(await x.div(0).data())], [-Infinity, -Infinity, Number.NaN, Infinity, Infinity]);
  },

  async reductions() {
    const shape = [5, 37, 3];
    const x = drawn(shape, 6);
    const values = await x.data();
    const rows = Array.from({ length: 15 }, (_, at) => {
      const [i, j] = [Math.floor(at / 3), at % 3];
      return Array.from({ length: 37 }, (_, k) => values[(i * 37 + k) * 3 + j]);
    });
    const mean = (row) => row.reduce((a, b) => a + b) / row.length;
    const variance = (row) => row.reduce((sum, value) => sum + (value - mean(row)) ** 2, 0) / (row.length - 1);
    close(
      await x.sum(1).data(),
      rows.map((row) => mean(row) * 37),
      'sum',
    );
    close(await x.mean(1).data(), rows.map(mean), 'mean');
    close(await x.variance(1).data(), rows.map(variance), 'variance');
    close(
      await x.max(1).data(),
      rows.map((row) => Math.max(...row)),
      'max',
    );
    assert.deepEqual(
      [...(await x.argmax(1).data())],
      rows.map((row) => row.indexOf(Math.max(...row))),
    );
    close(
      await x.logsumexp(1).data(),
      rows.map((row) => Math.log(row.reduce((sum, value) => sum + Math.exp(value), 0))),
      'logsumexp',
    );
    close([await x.sum().item()], [values.reduce((a, b) => a + b)], 'total');
    assert.ok(Number.isNaN(await tensor([1, Number.NaN, 3]).max().item()), 'max of NaN');
  },

  async slots() {
    const w = slot({ dtype: 'f32', shape: [3], data: Float32Array.of(1, -2, 0.5) }, 'w');
    const momentum = slot({ dtype: 'f32', shape: [3], data: new Float32Array(3) }, 'momentum');
    const target = tensor([0.5, 0.25, -1]);
    const step = compile((aim) => {
      const loss = w.value.sub(aim).square().sum();
      const [g] = grad(loss, [w]);
      const next = momentum.value.mul(0.9).add(g);
      momentum.assign(next);
      w.assign(w.value.sub(next.mul(0.1)));
      return loss;
    });
    const stale = w.value.mul(2);
    const expected = { w: [1, -2, 0.5], momentum: [0, 0, 0] };
    for (let i = 0; i < 5; i++) {
      const loss = await step(target);
      const differences = expected.w.map((value, at) => value - [0.5, 0.25, -1][at]);
      close([await loss.item()], [differences.reduce((sum, value) => sum + value ** 2, 0)], `loss ${i}`);
      expected.momentum = expected.momentum.map((value, at) => 0.9 * value + 2 * differences[at]);
      expected.w = expected.w.map((value, at) => value - 0.1 * expected.momentum[at]);
      close(await w.data(), expected.w, `parameters ${i}`);
    }
    await assert.rejects(() => stale.data(), { name: 'TensegrityError', code: 'stale' });
    step.dispose();
  },

  async random() {
    // Threefry-2x32 with 20 rounds of key (0, 0) and counters (0, 0) … (0, 3), the words of each combined by xor. The first is published (Random123).
    const pairs = [
      [0x6b200159, 0x99ba4efe],
      [0x375f238f, 0xcddb151d],
      [0xf71f4ea9, 0xa20e4081],
      [0x9312778b, 0xe4e8dfbe],
    ];
    const words = await randomBits(0, [4]).data();
    assert.deepEqual(
      [...words],
      pairs.map(([high, low]) => high ^ low),
    );
    // Its float is the first 24 bits.
    close(
      await uniform([4], { key: 0 }).data(),
      pairs.map(([high, low]) => ((high ^ low) >>> 8) * 2 ** -24),
      'uniform',
    );
    const normal = await randn([10_000], { key: 7 }).data();
    const mean = normal.reduce((a, b) => a + b) / normal.length;
    const variance = normal.reduce((sum, value) => sum + (value - mean) ** 2, 0) / normal.length;
    assert.ok(Math.abs(mean) < 0.04 && Math.abs(variance - 1) < 0.06, `normal: mean ${mean}, variance ${variance}`);
  },

  async errors() {
    assert.throws(
      () => tensor([[1, 2]]).matmul(tensor([[1, 2]])),
      (error) => error instanceof TensegrityError && error.code === 'shape' && error.message.includes('[1, 2]'),
    );
    const disposed = tensor([1, 2]).mul(2);
    disposed.dispose();
    await assert.rejects(() => disposed.data(), { code: 'disposed' });
  },
};

for (const backend of ['cpu', 'wasm']) {
  await useBackend(backend);
  for (const [name, check] of Object.entries(checks)) {
    try {
      await check();
    } catch (error) {
      error.message = `${name} on ${backend}, Node ${process.versions.node}: ${error.message}`;
      throw error;
    }
  }
}
console.log(`core passed on Node ${process.versions.node}: ${Object.keys(checks).length} checks on each of cpu and wasm`);
