/**
 * `npm run bench:attention`: scaled-dot-product attention beside one square matrix product of as many multiplications, in turns, forward and with
 * gradients. See README.md.
 */
import { compile, grad, realize, randn, type Tensor, useBackend } from '../engine/index.ts';
import { scaledDotProductAttention } from '../models/nn/functional.ts';
import { median } from './statistics.ts';

/** Images, heads, tokens, width of a head: DeiT-Ti on 28×28 and 32×32 in patches of 4, and on 224×224 in patches of 16. */
const sizes = [
  [128, 3, 49, 64],
  [64, 3, 64, 64],
  [16, 3, 196, 64],
  [4, 3, 1024, 64],
] as const;
const ROUNDS = 9;

await useBackend('wasm');

async function timed(call: () => Promise<Tensor>): Promise<number> {
  const before = performance.now();
  (await call()).dispose();
  return performance.now() - before;
}

/** The call, and the call with the gradients of all of its operands; each gives one number, so that reading costs nothing. */
function both(f: (...operands: Tensor[]) => Tensor, operands: readonly Tensor[]): [forward: () => Promise<Tensor>, backward: () => Promise<Tensor>] {
  const forward = compile((...given: Tensor[]) => f(...given));
  const backward = compile((...given: Tensor[]) => {
    const y = f(...given);
    const gradients = grad(y.square().sum(), given);
    return gradients.map((gradient) => gradient.square().sum()).reduce((sum, part) => sum.add(part));
  });
  return [() => forward(...operands), () => backward(...operands)];
}

console.log('| images × heads × tokens × width | multiplications | attention, ms | one product, ms | share of its speed | with gradients, ms | one product, ms | share |');
console.log('|---|---|---|---|---|---|---|---|');
for (const [images, heads, tokens, width] of sizes) {
  const multiplications = 2 * images * heads * tokens * tokens * width;
  const side = Math.round(Math.cbrt(multiplications));
  const drawn = (...shape: number[]): Tensor[] => [1, 2, 3].map((key) => randn(shape, { key }));
  const [parts, [a, b]] = [drawn(images, heads, tokens, width), drawn(side, side) as [Tensor, Tensor, Tensor]];
  await realize(...parts, a, b);
  const calls = [...both(scaledDotProductAttention as (...operands: Tensor[]) => Tensor, parts), ...both((x, y) => x!.matmul(y!), [a, b])];
  const times: number[][] = calls.map(() => []);
  for (let round = -2; round < ROUNDS; round++)
    for (const [i, call] of calls.entries()) {
      const time = await timed(call);
      if (round >= 0) times[i]!.push(time);
    }
  const [forward, backward, product, productBackward] = times.map(median) as [number, number, number, number];
  console.log(
    `| ${images} × ${heads} × ${tokens} × ${width} | ${(multiplications / 1e6).toFixed(0)} M | ${forward.toFixed(1)} | ${product.toFixed(1)} | ${(product / forward).toFixed(2)} | ${backward.toFixed(1)} | ${productBackward.toFixed(1)} | ${(productBackward / backward).toFixed(2)} |`,
  );
}
