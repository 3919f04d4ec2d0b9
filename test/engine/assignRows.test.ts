/** Rows of slots written in place: the values of plain arrays, whatever else the plan reads and writes, and the cost of what is written. */
import fc from 'fast-check';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import type { Backend } from '../../engine/backends/backend.ts';
import { planFaults } from '../../engine/compiler/validate.ts';
import { workOf } from '../../engine/compiler/work.ts';
import {
  arange,
  compile,
  grad,
  type Plan,
  realize,
  type Slot,
  slot,
  TensegrityError,
  type Tensor,
  tensor,
  useBackend,
} from '../../engine/index.ts';
import { property } from '../support/property.ts';
import { gpu } from './backends/webgpu/gpu.ts';
import { backends, reference } from './support.ts';
import { host } from './values.ts';

const WIDTH = 2;
/** Rows of each slot. */
const COUNTS = [5, 3];

type Rows = readonly (readonly number[])[];

/** One thing that a step does. Numbers choose among what there is: slots, and values that have been read or made. */
type Action =
  | { readonly do: 'read'; readonly isOld: boolean; readonly slot: number }
  | { readonly do: 'sum'; readonly a: number; readonly b: number }
  | { readonly do: 'map'; readonly isFlip: boolean; readonly a: number }
  | { readonly do: 'assign'; readonly slot: number; readonly a: number }
  | { readonly do: 'assignRows'; readonly slot: number; readonly a: number; readonly places: readonly number[]; readonly counted: boolean };

interface Program {
  readonly actions: readonly Action[];
  /** Which values are given back. */
  readonly kept: readonly number[];
}

const choice = fc.nat(20);
const aSlot = fc.nat(COUNTS.length - 1);
const action: fc.Arbitrary<Action> = fc.oneof(
  fc.record({ do: fc.constant('read' as const), isOld: fc.constantFrom(false, false, true), slot: aSlot }),
  fc.record({ do: fc.constant('sum' as const), a: choice, b: choice }),
  fc.record({ do: fc.constant('map' as const), isFlip: fc.boolean(), a: choice }),
  fc.record({ do: fc.constant('assign' as const), slot: aSlot, a: choice }),
  fc.record({
    do: fc.constant('assignRows' as const),
    slot: aSlot,
    a: choice,
    places: fc.array(fc.nat(9), { maxLength: 4 }),
    counted: fc.boolean(),
  }),
);
const programs: fc.Arbitrary<Program> = fc.record({
  actions: fc.array(action, { minLength: 1, maxLength: 10 }),
  kept: fc.array(choice, { maxLength: 4 }),
});

/** What a program is made of: tensors, or plain rows. */
interface Machine<Value> {
  /** The argument: `WIDTH` numbers in each of five rows. */
  readonly argument: Value;
  read(slot: number): Value;
  held(slot: number): Value;
  assign(slot: number, value: Value): void;
  assignRows(slot: number, places: readonly number[], counted: boolean, rows: Value): void;
  sum(a: Value, b: Value): Value;
  flip(a: Value): Value;
  double(a: Value): Value;
  /** So many rows, from the first on, over and over. */
  fit(a: Value, count: number): Value;
  count(a: Value): number;
}

/** Runs a program, and gives back the values that it keeps. */
function run<Value>({ actions, kept }: Program, machine: Machine<Value>): Value[] {
  const values = [machine.argument];
  const at = (number: number): Value => values[number % values.length]!;
  for (const each of actions) {
    if (each.do === 'read') values.push(machine[each.isOld ? 'held' : 'read'](each.slot));
    else if (each.do === 'map') values.push(machine[each.isFlip ? 'flip' : 'double'](at(each.a)));
    else if (each.do === 'sum') values.push(machine.sum(at(each.a), machine.fit(at(each.b), machine.count(at(each.a)))));
    else if (each.do === 'assign') machine.assign(each.slot, machine.fit(at(each.a), COUNTS[each.slot]!));
    else {
      const rows = machine.fit(at(each.a), each.places.length);
      // From either end.
      const extent = COUNTS[each.slot]!;
      const places = each.places.map((place) => (place % (2 * extent)) - extent);
      machine.assignRows(each.slot, places, each.counted, rows);
    }
  }
  return kept.map(at);
}

class Model implements Machine<Rows> {
  readonly argument: Rows;
  readonly before: Rows[];
  readonly after: Rows[];
  readonly counter: number;

  constructor(slots: readonly Rows[], counter: number, argument: Rows) {
    this.argument = argument;
    this.before = [...slots];
    this.after = [...slots];
    this.counter = counter;
  }
  read(at: number): Rows {
    return this.after[at]!;
  }
  held(at: number): Rows {
    return this.before[at]!;
  }
  assign(at: number, value: Rows): void {
    this.after[at] = value;
  }
  assignRows(at: number, places: readonly number[], counted: boolean, rows: Rows): void {
    const count = COUNTS[at]!;
    const next = [...this.after[at]!];
    for (const [k, place] of places.entries()) next[(place + count + (counted ? this.counter : 0)) % count] = rows[k]!;
    this.after[at] = next;
  }
  sum(a: Rows, b: Rows): Rows {
    return a.map((row, i) => row.map((value, j) => value + b[i]![j]!));
  }
  flip(a: Rows): Rows {
    return a.toReversed();
  }
  double(a: Rows): Rows {
    return a.map((row) => row.map((value) => 2 * value));
  }
  fit(a: Rows, count: number): Rows {
    return Array.from({ length: count }, (_, i) => a[i % a.length]!);
  }
  count(a: Rows): number {
    return a.length;
  }
}

class Graph implements Machine<Tensor> {
  readonly argument: Tensor;
  readonly slots: readonly Slot[];
  readonly counter: Slot;

  constructor(slots: readonly Slot[], counter: Slot, argument: Tensor) {
    this.argument = argument;
    this.slots = slots;
    this.counter = counter;
  }
  read(at: number): Tensor {
    return this.slots[at]!.value;
  }
  held(at: number): Tensor {
    return this.slots[at]!.held;
  }
  assign(at: number, value: Tensor): void {
    this.slots[at]!.assign(value);
  }
  assignRows(at: number, places: readonly number[], counted: boolean, rows: Tensor): void {
    const index = tensor(places, { dtype: 'i32', shape: [places.length] });
    this.slots[at]!.assignRows(counted ? index.add(this.counter.held).remainder(COUNTS[at]!) : index, rows);
  }
  sum(a: Tensor, b: Tensor): Tensor {
    return a.add(b);
  }
  flip(a: Tensor): Tensor {
    return a.flip(0);
  }
  double(a: Tensor): Tensor {
    return a.mul(2);
  }
  fit(a: Tensor, count: number): Tensor {
    const [own] = a.shape;
    if (count <= own!) return a.slice([0, count]);
    return a.take(arange(count).remainder(own!));
  }
  count(a: Tensor): number {
    return a.shape[0]!;
  }
}

const start: readonly Rows[] = COUNTS.map((count, k) => Array.from({ length: count }, (_, i) => [10 * k + i, -i]));
const argument: Rows = Array.from({ length: 5 }, (_, i) => [100 + i, 200 + i]);

function madeSlots(): { slots: Slot[]; counter: Slot } {
  const slots = start.map((rows, k) => slot(host([rows.length, WIDTH], rows.flat(), 'f32'), `slot${k}`));
  return { slots, counter: slot(host([], [0], 'i32'), 'counter') };
}

/** What a program gives, step by step, and leaves in its slots. */
async function stepsOf(program: Program, isCompiled: boolean): Promise<unknown[]> {
  const { slots, counter } = madeSlots();
  const step = (x: Tensor): Tensor[] => {
    const values = run(program, new Graph(slots, counter, x));
    counter.assign(counter.held.add(1));
    return values;
  };
  const x = tensor(argument);
  const compiled = compile(step);
  if (isCompiled) expect(planFaults(await compiled.plan(x))).toEqual([]);
  const found: unknown[] = [];
  for (let k = 0; k < 3; k++) {
    const values = isCompiled ? await compiled(x) : step(x);
    if (!isCompiled) await realize(...values);
    found.push(await Promise.all(values.map((value) => value.array())));
  }
  found.push(await Promise.all([...slots, counter].map(async (each) => [...(await each.data())])));
  compiled.dispose();
  for (const each of [...slots, counter]) each.dispose();
  return found;
}

function stepsOfModel(program: Program): unknown[] {
  let slots = start;
  const found: unknown[] = [];
  for (let k = 0; k < 3; k++) {
    const model = new Model(slots, k, argument);
    found.push(run(program, model));
    slots = model.after;
  }
  return [...found, [...slots.map((rows) => rows.flat()), [3]]];
}

const bytesOf = (plan: Plan): number => plan.kernels.reduce((sum, kernel) => sum + workOf(kernel).bytes, 0);
const kindsOf = (plan: Plan): string[] => plan.kernels.map(({ kind }) => kind);
const everywhere: readonly Backend[] = [...backends, ...(gpu ? [gpu] : [])];
afterAll(() => gpu?.dispose());

describe.for(everywhere.map((backend) => [backend.name, backend] as const))('rows of slots on %s', ([, backend]) => {
  beforeEach(async () => {
    await useBackend(backend);
  });

  const check = async (program: Program): Promise<void> => {
    const expected = stepsOfModel(program);
    for (const isCompiled of [true, false]) expect(await stepsOf(program, isCompiled), isCompiled ? 'compiled' : 'eager').toEqual(expected);
  };

  // A shader takes a CPU that plays GPU 20 to 300 ms to compile.
  it('are those of plain arrays, in any program of reads, sums, assignments and updates of rows', () =>
    backend === gpu ? fc.assert(fc.asyncProperty(programs, check), { numRuns: 6 }) : property([programs], check));

  it('keep what is not replaced, of every type, shape and index', async () => {
    for (const dtype of ['f32', 'i32', 'u8'] as const) {
      const q = slot(host([3, 1, 2], [1, 2, 3, 4, 5, 6], dtype));
      q.assignRows(tensor([[2], [1]], { dtype: 'u8' }).sub(1), tensor([[[[7, 8]]], [[[9, 10]]]], { dtype }));
      await realize();
      expect([...(await q.data())], dtype).toEqual([9, 10, 7, 8, 5, 6]);
      // One row, at one position; and none.
      q.assignRows(tensor(-1, { dtype: 'i32' }), tensor([[0, 1]], { dtype }));
      q.assignRows(tensor([], { dtype: 'i32' }), tensor([], { dtype, shape: [0, 1, 2] }));
      await realize();
      expect([...(await q.data())], dtype).toEqual([9, 10, 7, 8, 0, 1]);
    }
    const numbers = slot(host([4], [1, 2, 3, 4], 'f32'));
    numbers.assignRows(tensor([2, 0, 2], { dtype: 'i32' }), tensor([7, Number.NaN, -0]));
    await realize();
    expect([...(await numbers.data())]).toEqual([Number.NaN, 2, -0, 4]);
  });

  it('of equal positions have the last, however many there are', async () => {
    const [count, many, width] = [7, 3000, 3];
    const q = slot(host([count, width], new Float32Array(count * width), 'f32'));
    const places = Array.from({ length: many }, (_, k) => ((k * k) % (2 * count)) - count);
    const step = compile((index: Tensor, rows: Tensor) => {
      q.assignRows(index, rows);
      return [];
    });
    await step(tensor(places, { dtype: 'i32' }), arange(many).cast('f32').unsqueeze(1).expand([many, width]));
    const last = Array.from({ length: count }, (_, n) => places.findLastIndex((place) => (place + count) % count === n));
    expect([...(await q.data())]).toEqual(last.flatMap((k) => Array<number>(width).fill(Math.max(0, k))));
  });

  it('outside make all of the slot NaN, where only the plan can know; of integers they are dropped', async () => {
    for (const dtype of ['f32', 'i32'] as const) {
      const q = slot(host([3, 2], [1, 2, 3, 4, 5, 6], dtype));
      q.assignRows(
        tensor([0, 3, -4], { dtype: 'i32' }).bitwiseXor(0),
        tensor(
          [
            [7, 7],
            [8, 8],
            [9, 9],
          ],
          { dtype },
        ),
      );
      await realize();
      expect([...(await q.data())]).toEqual(dtype === 'f32' ? Array(6).fill(Number.NaN) : [7, 7, 3, 4, 5, 6]);
    }
  });

  it('leave gradients of the old rows right, and let them through to new ones that are read', async () => {
    const q = slot(host([3, 2], [1, 2, 3, 4, 5, 6], 'f32'), 'queue');
    const step = compile((x: Tensor) => {
      const loss = x.matmul(q.value.transpose()).square().sum();
      const gradients = grad(loss, [x, q.value]);
      const before = q.value;
      q.assignRows(tensor([1], { dtype: 'i32' }), x);
      return [...gradients, ...grad(q.value.square().sum(), [x, before])];
    });
    const found = await step(tensor([[1, -1]]));
    // x·qᵢ is −1 for each row, so ∂x = −2·Σqᵢ and ∂qᵢ = −2·x.
    expect(await Promise.all(found.map((each) => each.array()))).toEqual([
      [[-18, -24]],
      [
        [-2, 2],
        [-2, 2],
        [-2, 2],
      ],
      [[2, -2]],
      [
        [2, 4],
        [0, 0],
        [10, 12],
      ],
    ]);
    expect([...(await q.data())]).toEqual([1, 2, 1, -1, 5, 6]);
  });
});

describe('an update of rows', () => {
  beforeEach(async () => {
    await useBackend(reference);
  });
  const zeros = (...shape: number[]) => host(shape, new Float32Array(shape.reduce((a, b) => a * b, 1)), 'f32');
  const LARGE = 4 * 4096 * 8;
  const queue = (): { q: Slot; at: Slot } => ({ q: slot(zeros(4096, 8), 'queue'), at: slot(host([], [0], 'i32'), 'at') });
  const rows = tensor(zeros(16, 8));

  it('costs what it writes, after others have read the old ones', async () => {
    const { q, at } = queue();
    const step = compile((x: Tensor) => {
      q.assignRows(arange(16).add(at.value), x);
      at.assign(at.value.add(16).remainder(4096));
      return q.held.sum();
    });
    const plan = await step.plan(rows);
    expect(kindsOf(plan).filter((kind) => kind === 'scatter' || kind === 'copy')).toEqual(['scatter']);
    expect(bytesOf(plan)).toBeLessThan(LARGE + 4096);
    expect(plan.arenaBytes).toBeLessThan(4096);
    expect(await step.explain([rows])).toMatch(/scatter +queue:f32\[1,4096,8\] +← %\d+:i32\[1,16,8\] in0:f32\[1,16,8\] +0 FLOP +1\.09 KB/);
  });

  it('costs no more where several follow each other, or new rows are read, or all are computed before', async () => {
    const { q } = queue();
    const index = arange(16);
    const replace = (x: Tensor, from = 0): void => q.assignRows(index.add(from), x);
    const decay = (): void => q.assign(q.value.mul(0.5));
    const steps: readonly (readonly [string, number, (x: Tensor) => void, () => Tensor[]])[] = [
      ['twice', 0, (x) => [replace(x), replace(x.mul(2), 5)], () => []],
      ['read', 1, (x) => replace(x), () => [q.value.sum()]],
      ['read before and after', 2, (x) => replace(x), () => [q.held.sum(), q.value.sum()]],
      ['decayed', 2, (x) => [decay(), replace(x)], () => []],
    ];
    for (const [name, passes, update, read] of steps) {
      const step = compile((x: Tensor) => {
        update(x);
        return read();
      });
      const plan = await step.plan(rows);
      expect(kindsOf(plan), name).not.toContain('copy');
      expect(bytesOf(plan), name).toBeLessThan(passes * LARGE + 8192);
    }
  });

  it('copies where old rows are needed when new ones are there', async () => {
    const { q } = queue();
    // Between old and new ones none can run first.
    const between = compile((x: Tensor) => {
      q.assignRows(arange(16), x);
      return q.held.flip(0).mul(q.value).sum();
    });
    const shifted = compile(() => {
      q.assignRows(arange(16), q.value.slice([8, 24]));
      return q.value.slice([0, 32]).sum();
    });
    for (const step of [await between.plan(rows), await shifted.plan()]) {
      expect(planFaults(step)).toEqual([]);
      expect(kindsOf(step)).toContain('copy');
    }
  });

  it('refuses what does not fit, by the name of the slot', () => {
    const { q } = queue();
    const code = (action: () => unknown): string => {
      try {
        action();
      } catch (error) {
        if (error instanceof TensegrityError) return `${error.code}: ${error.message}`;
      }
      return 'nothing';
    };
    const index = tensor([0, 1], { dtype: 'i32' });
    const two = tensor(zeros(2, 8));
    expect(code(() => q.assignRows(index, two))).toBe('nothing');
    expect(code(() => q.assignRows(index, rows))).toMatch(/^shape: assignRows: slot queue .*\[2, 8\].*\[16, 8\]/);
    expect(code(() => q.assignRows(index, two.cast('i32')))).toMatch(/^dtype: assignRows: slot queue .*cast/);
    expect(code(() => q.assignRows(index.cast('f32'), two))).toMatch(/^dtype: assignRows: slot queue: positions must be integers/);
    expect(code(() => q.assignRows(index.add(0), two))).toBe('nothing');
    expect(code(() => q.assignRows(tensor([0, 4096], { dtype: 'i32' }), two))).toMatch(/^argument: assignRows: slot queue: index 4096/);
    expect(code(() => q.assignRows(index, 2 as unknown as Tensor))).toMatch(/^argument: assignRows: slot queue/);
    expect(code(() => slot(zeros(), 'number').assignRows(index, two))).toMatch(/^shape: assignRows: slot number has no rows/);
  });
});
