/** Whether saved functions give the bits of the compiled ones. */
import fc from 'fast-check';
import type { Backend } from '../../../engine/backends/backend.ts';
import { dtypes, type HostArray, type TypedArray } from '../../../engine/dtype.ts';
import { compile, type Slot, type Tensor, tensor, useBackend } from '../../../engine/index.ts';
import { loadPlan } from '../../../engine/plan/load.ts';
import { draws } from '../agreement.ts';
import type { OpCase } from '../cases/index.ts';
import { asSlots, build, type RandomProgram, valuesOf } from '../compiler/randomPrograms.ts';
import { place } from '../draws.ts';

/** The bits of an array, as numbers: −0 differs from 0, and all NaN are one. */
const bits = ({ dtype, shape, data }: HostArray): object => ({ dtype, shape, data: [...data] });

/** Calls a function compiled and saved, several times, and gives what came of both: outputs, then slots. */
export async function both(
  fn: (...args: Tensor[]) => readonly Tensor[],
  args: readonly HostArray[],
  slots: readonly Slot[],
  backend: Backend,
  calls = 2,
): Promise<{ compiled: object[]; saved: object[] }> {
  await useBackend(backend);
  const step = compile(fn);
  const loaded = await loadPlan<readonly HostArray[]>(await step.save([args.map((x) => tensor(x))]), { backend });
  const [compiled, saved]: [object[], object[]] = [[], []];
  for (let call = 0; call < calls; call++) {
    for (const output of await step(...args.map((x) => tensor(x)))) compiled.push(bits(await output.toHost()));
    for (const output of await loaded(...args)) saved.push(bits(output));
    // Those that the plan has nothing to do with are not in it.
    for (const each of slots) {
      const held = loaded.slots.get(each.name);
      if (held) saved.push(bits(await held.toHost()));
      if (held) compiled.push(bits(await each.toHost()));
    }
  }
  loaded.dispose();
  step.dispose();
  return { compiled, saved };
}

/** The same of a random program, and of the slots that it moves. */
export function bothOfProgram(program: RandomProgram, backend: Backend): ReturnType<typeof both> {
  const slots = asSlots(program);
  const run = (...args: Tensor[]): readonly Tensor[] => {
    const { outputs, updates } = build(program, args, valuesOf(slots));
    slots.forEach((each, i) => each.assign(updates[i]!));
    return outputs;
  };
  return both(run, program.leaves, slots, backend);
}

/** A draw of a case as a function of its operands in f32, some of which are constants from outside. */
export function drawn(entry: OpCase, seed: number): { fn: (...args: Tensor[]) => readonly Tensor[]; args: HostArray[] } {
  const [[draw, placement] = []] = fc.sample(fc.tuple(...draws(entry, 'any')), { seed, numRuns: 1 });
  const placed = place(draw!.inputs, placement!, 'f32', { specials: entry.specials });
  const outside = placed.map(({ base }) => tensor(base));
  const inside = placed.map((_, k) => (seed + k) % 3 > 0);
  return {
    args: placed.flatMap(({ base }, k) => (inside[k] ? [base] : [])),
    fn: (...args) => {
      let next = 0;
      return [draw!.compute(...placed.map(({ view }, k) => view(inside[k] ? args[next++]! : outside[k]!)))].flat();
    },
  };
}

/** An array of numbers, rounded to its type. */
export function array(dtype: HostArray['dtype'], shape: readonly number[], values: ArrayLike<number>): HostArray {
  const data: TypedArray = dtypes[dtype].allocate(values.length);
  data.set(values);
  return { dtype, shape, data };
}
