/** What every platform computes, from the package by its own names: a loss, its gradient, and a compiled function. The bits are Node's. */
import { compile, grad, randn, useBackend } from 'tensegrity';
import { vicreg } from 'tensegrity/models';

export async function compute(options = {}) {
  const { name } = await useBackend('wasm', { build: 'simd', ...options });
  const [za, zb] = [randn([16, 8], { key: 1 }), randn([16, 8], { key: 2 })];
  const { loss } = vicreg(za, zb);
  const [gradient] = grad(loss, [za]);
  const gram = compile((x) => x.matmul(x.transpose()).sum());
  const values = [await loss.data(), await gradient.data(), await (await gram(za)).data()];
  return { name, bits: values.map(bitsOf).join(' ') };
}

function bitsOf({ buffer, byteOffset, length }) {
  return Array.from(new Uint32Array(buffer, byteOffset, length), (word) => word.toString(16)).join('');
}
