/**
 * What Node and a page both compute, from the package by its own name: compiled training steps of a small network, with products and a convolution
 * that are worth sharing among threads. Gives the bits of every number.
 */
import { compile, conv2d, grad, randn, slot, useBackend } from 'tensegrity';

const learningRate = 0.01;

/** Runs the steps with these options of the backend. */
export async function train(options) {
  const backend = await useBackend('wasm', { deterministic: true, ...options });
  const drawn = async (shape, key, scale, name) => slot({ dtype: 'f32', shape, data: await randn(shape, { key }).mul(scale).data() }, name);
  const slots = [
    await drawn([8, 3, 3, 3], 1, 0.3, 'filters'),
    await drawn([8 * 12 * 12, 96], 2, 0.03, 'weights'),
    await drawn([96], 3, 0.1, 'bias'),
  ];
  const step = compile((images, targets) => {
    const [filters, weights, bias] = slots.map(({ value }) => value);
    const features = conv2d(images, filters, { padding: 1 }).relu();
    const loss = features.reshape([images.shape[0], -1]).matmul(weights).add(bias).tanh().sub(targets).square().mean();
    const gradients = grad(loss, [filters, weights, bias]);
    slots.forEach((each, i) => each.assign(slots[i].value.sub(gradients[i].mul(learningRate))));
    return loss;
  });
  const [images, targets] = [randn([24, 3, 12, 12], { key: 4 }), randn([24, 96], { key: 5 })];
  const bits = [];
  for (let i = 0; i < 3; i++) bits.push(bitsOf(await (await step(images, targets)).data()));
  for (const each of slots) bits.push(bitsOf(await each.data()));
  step.dispose();
  backend.dispose();
  return bits;
}

/** The words of short arrays; of long ones a sum that no two differing words leave as it is. */
function bitsOf(data) {
  const words = new Uint32Array(data.buffer, data.byteOffset, data.length);
  let sum = 0;
  for (const word of words) sum = (Math.imul(sum, 16777619) ^ word) >>> 0;
  return `${words.length}:${Array.from(words.subarray(0, 8), (word) => word.toString(16)).join(' ')}:${sum.toString(16)}`;
}
