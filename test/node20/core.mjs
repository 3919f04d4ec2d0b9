/** The core of the suite on the oldest Node that is supported, and on the built package: a product, its gradient, and the gradient of that. */
import assert from 'node:assert/strict';
import { grad, tensor, useBackend } from '../../dist/engine/index.js';

function close(actual, expected, what) {
  const flat = actual.flat(Number.POSITIVE_INFINITY);
  assert.equal(flat.length, expected.length, what);
  for (const [index, value] of flat.entries())
    assert.ok(Math.abs(value - expected[index]) <= 1e-5, `${what}[${index}]: ${value}, expected ${expected[index]}`);
}

for (const backend of ['cpu', 'wasm']) {
  await useBackend(backend);
  const x = tensor([
    [1, 2],
    [3, 4],
  ]);
  const w = tensor([
    [0.5, -1, 2],
    [1, 0.25, -0.5],
  ]);
  const y = x.matmul(w);
  close(await y.array(), [2.5, -0.5, 1, 5.5, -2, 4], `${backend}: product`);

  const loss = y.square().mean();
  close([await loss.item()], [57.75 / 6], `${backend}: loss`);

  const [first] = grad(loss, [w]);
  close(await first.array(), [19 / 3, -6.5 / 3, 13 / 3, 9, -3, 6], `${backend}: gradient`);

  const [second] = grad(first.square().sum(), [w]);
  const expected = [1136 / 9, -382 / 9, 764 / 9, 1612 / 9, -542 / 9, 1084 / 9];
  close(await second.array(), expected, `${backend}: gradient of the gradient`);
}
console.log(`core passed on Node ${process.versions.node}`);
