/** Graphs of any size, of the forms that programs grow to: what compiles in time and memory in proportion to them, for tests and benchmarks. */
import { concat, grad, type Slot, slot, type Tensor, tensor } from '../../../engine/index.ts';
import { host } from '../values.ts';

export interface LargeGraph {
  readonly outputs: readonly Tensor[];
  readonly updates: readonly (readonly [Slot, Tensor])[];
}

const WIDTH = 4;
const values = (seed: number, size: number): number[] => Array.from({ length: size }, (_, i) => Math.sin(seed + i) / 2);
const leaf = (shape: readonly number[], seed = 0): Tensor =>
  tensor(
    host(
      [...shape],
      values(
        seed,
        shape.reduce((a, b) => a * b, 1),
      ),
      'f32',
    ),
  );
const vector = (seed = 0): Tensor => leaf([WIDTH], seed);
const range = (length: number): number[] => [...Array(Math.max(1, Math.floor(length))).keys()];
const only = (...outputs: readonly Tensor[]): LargeGraph => ({ outputs, updates: [] });
/** The sum of the whole and its gradients. */
const withGradients = (y: Tensor, variables: readonly Tensor[]): LargeGraph => only(y.sum(), ...grad(y.sum(), variables));

const chain = (x: Tensor, length: number): Tensor => range(length).reduce((y, i) => (i % 2 === 0 ? y.add((i % 7) / 8) : y.mul(0.875)), x);
const fan = (x: Tensor, length: number): Tensor[] => range(length).map((i) => x.mul(i / length));
const line = (terms: readonly Tensor[]): Tensor => terms.reduce((sum, term) => sum.add(term));
const tree = (terms: readonly Tensor[]): Tensor =>
  terms.length === 1
    ? terms[0]!
    : tree(
        range(terms.length / 2 + (terms.length % 2) / 2).map((i) =>
          terms[2 * i + 1] ? terms[2 * i]!.add(terms[2 * i + 1]!) : terms[2 * i]!,
        ),
      );
const grid = (x: Tensor, side: number): Tensor => {
  let row = range(side).map(() => x);
  for (const _ of range(side)) {
    let left = x;
    row = row.map((above) => {
      left = above.add(left).mul(0.5);
      return left;
    });
  }
  return row.at(-1)!;
};
const recurrent = (weight: Tensor, x: Tensor, steps: number): Tensor =>
  range(steps).reduce((state) => state.matmul(weight).add(x).tanh(), x);
const reshaped = (x: Tensor, length: number): Tensor =>
  range(length).reduce((y, i) => y.reshape(i % 2 === 0 ? [2, WIDTH / 2] : [WIDTH]).add(0.5), x);
/** Movements none of which undoes the one before: strides express some, the others are copies. */
const movements: readonly ((y: Tensor) => Tensor)[] = [
  (y) => y.transpose(),
  (y) => y.flip(0),
  (y) => y.reshape([2, (WIDTH * WIDTH) / 2]),
  (y) => y.narrow(0, 0, 2),
  (y) => y.reshape([WIDTH, WIDTH]),
];
const moved = (x: Tensor, length: number): Tensor => range(length).reduce((y, i) => movements[i % movements.length]!(y), x);

/** By name, each of about `size` nodes. */
export const largeGraphs = {
  chain: (size) => only(chain(vector(), size)),
  'chain, gradient': (size) => {
    const x = vector();
    return withGradients(chain(x, size / 3), [x]);
  },
  'fan out': (size) => only(...fan(vector(), size)),
  'fan out and in': (size) => only(line(fan(vector(), size / 2))),
  'fan, gradient': (size) => {
    const x = vector();
    return withGradients(line(fan(x, size / 5)), [x]);
  },
  'sum of many': (size) => only(line(range(size / 2).map(vector))),
  tree: (size) => only(tree(range(size / 2).map(vector))),
  'tree, gradient': (size) => {
    const terms = range(size / 5).map(vector);
    return withGradients(tree(terms.map((x) => x.mul(x))), terms);
  },
  'kept until the end': (size) => {
    const rows = range(size / 4).map((i) => leaf([WIDTH, WIDTH], i).sum(0));
    return only(line(rows.map((row, i) => row.mul(rows[rows.length - 1 - i]!))));
  },
  grid: (size) => only(grid(vector(), Math.sqrt(size / 2))),
  'grid, gradient': (size) => {
    const x = vector();
    return withGradients(grid(x, Math.sqrt(size / 8)), [x]);
  },
  recurrent: (size) => only(recurrent(leaf([WIDTH, WIDTH]), leaf([2, WIDTH]), size / 3)),
  'recurrent, gradient': (size) => {
    const [weight, x] = [leaf([WIDTH, WIDTH]), leaf([2, WIDTH])];
    return withGradients(recurrent(weight, x, size / 14), [weight, x]);
  },
  layers: (size) => {
    // Each of a width of its own, with a bias and momentum.
    const layers = range(size / 40).map((i) => ({
      weight: slot(host([WIDTH + (i % 5), WIDTH + ((i + 1) % 5)], values(i, (WIDTH + (i % 5)) * (WIDTH + ((i + 1) % 5))), 'f32')),
      velocity: slot(host([WIDTH + (i % 5), WIDTH + ((i + 1) % 5)], [], 'f32')),
    }));
    const loss = layers.reduce((x, { weight }) => x.matmul(weight.value).relu(), leaf([2, WIDTH])).sum();
    const gradients = grad(
      loss,
      layers.map(({ weight }) => weight),
    );
    const updates = layers.flatMap(({ weight, velocity }, i): (readonly [Slot, Tensor])[] => {
      const speed = velocity.value.mul(0.875).add(gradients[i]!);
      return [
        [velocity, speed],
        [weight, weight.value.sub(speed.mul(0.125))],
      ];
    });
    return { outputs: [loss], updates };
  },
  concatenation: (size) => only(concat(range(size).map(vector)).mul(2)),
  'concatenation, gradient': (size) => {
    const parts = range(size / 6).map(vector);
    return withGradients(concat(parts).square(), parts);
  },
  slots: (size) => {
    const slots = range(size / 4).map((i) => slot(host([WIDTH], values(i, WIDTH), 'f32')));
    // Each reads its neighbour's old value.
    return { outputs: [], updates: slots.map((each, i) => [each, each.value.add(slots.at(i - 1)!.value.mul(0.5))]) };
  },
  'slots in a ring': (size) => {
    const slots = range(size).map((i) => slot(host([WIDTH], values(i, WIDTH), 'f32')));
    return { outputs: [], updates: slots.map((each, i) => [each, slots.at(i - 1)!.value]) };
  },
  reshapes: (size) => only(reshaped(vector(), size / 2)),
  'reshapes, gradient': (size) => {
    const x = vector();
    return withGradients(reshaped(x, size / 5), [x]);
  },
  'reshape behind a chain': (size) =>
    only(
      chain(vector(), size)
        .reshape([2, WIDTH / 2])
        .mul(2),
    ),
  movements: (size) => only(moved(leaf([WIDTH, WIDTH]), size).mul(2)),
  'movements, gradient': (size) => {
    const x = leaf([WIDTH, WIDTH]);
    return withGradients(moved(x, size / 3).square(), [x]);
  },
} satisfies Record<string, (size: number) => LargeGraph>;
