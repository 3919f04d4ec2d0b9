/** What gpu.test.ts has pages do on `navigator.gpu`, from the sources. Each function is one page's work. */
import { type BackendName, compile, grad, randn, slot, type Tensor, useBackend } from '../../engine/index.ts';

export { table } from '../engine/verdicts.ts';

/** The losses of some training steps, each read before the next begins. */
async function losses(name: BackendName): Promise<number[]> {
  const backend = await useBackend(name);
  const initial = async (shape: number[], key: number) => slot({ dtype: 'f32', shape, data: await randn(shape, { key }).mul(0.3).data() });
  const weights = [await initial([12, 24], 1), await initial([24, 4], 2)];
  const step = compile((x: Tensor, y: Tensor) => {
    const [first, second] = weights.map(({ value }) => value) as [Tensor, Tensor];
    const loss = x.matmul(first).tanh().matmul(second).sub(y).square().mean();
    const gradients = grad(loss, [first, second]);
    weights.forEach((each, i) => each.assign(each.value.sub(gradients[i]!.mul(0.1))));
    return loss;
  });
  const [x, y] = [randn([16, 12], { key: 3 }), randn([16, 4], { key: 4 })];
  const read: number[] = [];
  for (let i = 0; i < 10; i++) read.push(await (await step(x, y)).item());
  step.dispose();
  backend.dispose();
  return read;
}

/** Trains in sight, and again when the page has been hidden; counts the frames that are drawn then. */
export async function hidden(): Promise<Record<string, unknown>> {
  const names = ['webgpu', 'wasm'] as const;
  const seen = [];
  for (const name of names) seen.push(await losses(name));
  const before = document.visibilityState;
  const changed = new Promise((resolve) => document.addEventListener('visibilitychange', resolve, { once: true }));
  await fetch('/hide', { method: 'POST' });
  await changed;
  let frames = 0;
  const count = (): void => {
    frames++;
    requestAnimationFrame(count);
  };
  requestAnimationFrame(count);
  const unseen = [];
  for (const name of names) unseen.push(await losses(name));
  return { visibility: [before, document.visibilityState], frames, seen, unseen };
}
