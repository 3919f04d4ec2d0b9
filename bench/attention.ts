/**
 * `npm run bench:attention`: scaled-dot-product attention beside its two products without the softmax, and one square matrix product of as many
 * multiplications, in turns, forward and with gradients. See README.md.
 */
import { compile, grad, realize, randn, type Tensor, useBackend } from '../engine/index.ts';
import { scaledDotProductAttention } from '../models/nn/functional.ts';

/** Images, heads, tokens, width of a head: DeiT-Ti on 28×28 and 32×32 in patches of 4, and on 224×224 in patches of 16. */
const sizes = [
  [128, 3, 49, 64],
  [64, 3, 64, 64],
  [16, 3, 196, 64],
  [4, 3, 1024, 64],
] as const;
const ROUNDS = 11;

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

const forms: Readonly<Record<string, (...operands: Tensor[]) => Tensor>> = {
  attention: (query, key, value) => scaledDotProductAttention(query!, key!, value!),
  'its products': (query, key, value) => query!.matmul(key!.transpose()).matmul(value!),
  'one product': (a, b) => a!.matmul(b!),
};
const columns = Object.keys(forms).map((name) => `${name}, ms`);
console.log(`| images × heads × tokens × width | multiplications | ${[...columns, 'share', ...columns.map((name) => `${name}, with gradients`), 'share'].join(' | ')} |`);
console.log(`|${'---|'.repeat(2 * columns.length + 4)}`);
for (const [images, heads, tokens, width] of sizes) {
  const multiplications = 2 * images * heads * tokens * tokens * width;
  const side = Math.round(Math.cbrt(multiplications));
  const drawn = (...shape: number[]): Tensor[] => [1, 2, 3].map((key) => randn(shape, { key }));
  const [parts, [a, b]] = [drawn(images, heads, tokens, width), drawn(side, side) as [Tensor, Tensor, Tensor]];
  await realize(...parts, a, b);
  const calls = Object.entries(forms).map(([name, f]) => both(f, name === 'one product' ? [a, b] : parts));
  // The least of several: what else the machine does makes a time longer, never shorter.
  const times = calls.map(() => [Infinity, Infinity]);
  for (let round = 0; round < ROUNDS; round++)
    for (const [i, pair] of calls.entries()) for (const [j, call] of pair.entries()) times[i]![j] = Math.min(times[i]![j]!, await timed(call));
  const cells = [0, 1].flatMap((j) => {
    const own = times.map((pair) => pair[j]!);
    return [...own.map((time) => time.toFixed(1)), (own.at(-1)! / own[0]!).toFixed(2)];
  });
  console.log(`| ${images} × ${heads} × ${tokens} × ${width} | ${(multiplications / 1e6).toFixed(0)} M | ${cells.join(' | ')} |`);
}
