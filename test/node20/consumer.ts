/** A program of someone who installed the package: it must type-check by what the package ships, and run on the oldest Node. */
import { compile, grad, randn, type Slot, slot, TensegrityError, type Tensor, tensor, useBackend } from 'tensegrity';
import { createWasmBackend } from 'tensegrity/backends/wasm';
import { MLP, vicreg } from 'tensegrity/models';

await useBackend(await createWasmBackend({ deterministic: true }));

const w: Slot = slot({ dtype: 'f32', shape: [2], data: Float32Array.of(1, 2) });
const step = compile((x: Tensor): Tensor => {
  const loss = w.value.sub(x).square().sum();
  const [g] = grad(loss, [w]);
  w.assign(w.value.sub(g!.mul(0.5)));
  return loss;
});
const first: number = await (await step(tensor([3, 2]))).item();
const second: number = await (await step(tensor([3, 2]))).item();
if (first !== 4 || second !== 0) throw new Error(`losses ${first} and ${second}, expected 4 and 0`);

const encoder = new MLP([4, 8, 6], { key: 1, normalize: true });
const views = [2, 3].map((key) => encoder.forward(randn([12, 4], { key }), { train: true }));
const { loss, invariance, variance, covariance } = vicreg(views[0]!, views[1]!, { invariance: 25, variance: 25, covariance: 1 });
const gradients: readonly Tensor[] = grad(loss, encoder.parameters());
const total = await Promise.all([loss, invariance, variance, covariance, ...gradients].map((x) => x.abs().sum().item()));
if (!total.every(Number.isFinite)) throw new Error(`the loss or a gradient is not finite: ${total.join(', ')}`);

try {
  tensor([[1, 2]]).matmul(tensor([[1, 2]]));
} catch (error) {
  if (!(error instanceof TensegrityError) || error.code !== 'shape') throw error;
}

// @ts-expect-error: a backend that there is not
useBackend('cuda').catch(() => {});

console.log('consumer passed');
