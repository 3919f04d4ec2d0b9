/**
 * What Node and workerd both compute, from the package by its own names: a forward pass of a convolution and an MLP, the gradients of VICReg, and
 * three compiled training steps, and the same as a saved plan. Gives the bits of every number, so that the two can be compared for equality.
 */
import { backend, compile, conv2d, grad, randn, tensor, useBackend } from 'tensegrity';
import { MLP, SGD, vicreg } from 'tensegrity/models';
import { loadPlan } from 'tensegrity/plan';

const learningRate = 0.05;

export async function compute(build) {
  await useBackend('wasm', { build });
  const views = [1, 2].map((key) => randn([16, 1, 6, 6], { key }));
  const kernels = randn([4, 1, 3, 3], { key: 3 });
  const head = new MLP([4, 12, 8], { key: 4, normalize: true });
  const embed = (images) => head.forward(conv2d(images, kernels, { padding: 1 }).relu().mean([2, 3]), { train: true });

  const parameters = head.parameters();
  const { loss } = vicreg(embed(views[0]), embed(views[1]));
  const gradients = grad(loss, [kernels, ...parameters]);

  const optimizer = new SGD(parameters, { learningRate, momentum: 0.9 });
  const step = compile((a, b) => {
    const terms = vicreg(embed(a), embed(b));
    optimizer.step(grad(terms.loss, parameters));
    return terms.loss;
  });

  const results = {
    product: tensor([
      [1, 2],
      [3, 4],
    ]).matmul(tensor([[5], [6]])),
    loss,
    ...gradients,
  };
  const bits = {};
  for (const [name, result] of Object.entries(results)) bits[name] = bitsOf(await result.data());
  const saved = await loadPlan(await step.save([views]), { backend: await backend() });
  const arrays = await Promise.all(views.map((view) => view.toHost()));
  bits.saved = [];
  for (let i = 0; i < 3; i++) bits.saved.push(bitsOf((await saved(...arrays)).data));
  bits.losses = [];
  for (let i = 0; i < 3; i++) bits.losses.push(bitsOf(await (await step(...views)).data()));
  for (const [name, parameter] of head.namedParameters()) bits[`trained ${name}`] = bitsOf(await parameter.data());
  return bits;
}

function bitsOf(data) {
  return Array.from(new Uint32Array(data.buffer, data.byteOffset, data.length), (word) => word.toString(16).padStart(8, '0')).join('');
}
