import { compile, grad, randn, type Tensor, tensor, useBackend } from 'tensegrity';
import { createWasmBackend } from 'tensegrity/backends/wasm';
import { MLP, SGD, vicreg } from 'tensegrity/models';

export async function train(): Promise<number> {
  await useBackend('wasm', { threads: 1 });
  const head = new MLP([4, 8], { key: 1 });
  const optimizer = new SGD(head.parameters(), { learningRate: 0.1 });
  const step = compile((x: Tensor) => {
    const { loss } = vicreg(head.forward(x), head.forward(x.mul(1.1)));
    optimizer.step(grad(loss, head.parameters()));
    return loss;
  });
  const w = randn([2, 3], { key: 1 });
  const [gradient] = grad(
    tensor([[1, 2]])
      .matmul(w)
      .sum(),
    [w],
  );
  const shape: readonly number[] = gradient.shape;
  const loss = await (await step(randn([8, 4], { key: 2 }))).item();
  return loss + shape.length + (await createWasmBackend()).bytes;
}
