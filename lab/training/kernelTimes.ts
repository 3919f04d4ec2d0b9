import type { Backend, BufferSpec, DeviceBuffer, Kernel, Plan } from 'tensegrity';

/** How often a kernel is run; the least time counts, since whatever else the machine does only adds to it. */
const ROUNDS = 3;

/** A plan of one kernel, whose buffers are all slots: nothing is copied in or out when it runs. */
function alone({ buffers }: Plan, kernel: Kernel): { readonly plan: Plan; readonly lengths: readonly BufferSpec[] } {
  const used = [...new Set([...kernel.inputs, ...kernel.outputs].map(({ buffer }) => buffer))];
  const renumbered = <Views extends Kernel['inputs']>(views: Views): Views =>
    // The same views of the same buffers, by other numbers.
    views.map((view) => ({ ...view, buffer: used.indexOf(view.buffer) })) as unknown as Views;
  const specs = used.map((number, i): BufferSpec => ({ ...buffers[number]!, kind: 'slot', offset: 0, name: String(i) }));
  return {
    lengths: specs,
    plan: {
      buffers: specs,
      kernels: [{ ...kernel, inputs: renumbered(kernel.inputs), outputs: renumbered(kernel.outputs) }],
      inputs: [],
      constants: [],
      slots: specs.map((_, i) => i),
      outputs: [],
      arenaBytes: 0,
      fused: 0,
    },
  };
}

const WIDTH: Readonly<Record<BufferSpec['dtype'], number>> = { f32: 4, f64: 8, i32: 4, u8: 1 };

/**
 * Milliseconds that each kernel of a plan takes by itself, on zeros, where a backend runs a plan as a whole and times none of it.
 * What it needs is allocated for one kernel at a time.
 */
export async function kernelTimes(backend: Backend, plan: Plan): Promise<readonly number[]> {
  const times: number[] = [];
  for (const kernel of plan.kernels) {
    const { plan: single, lengths } = alone(plan, kernel);
    const slots: DeviceBuffer[] = [];
    const executable = await backend.prepare(single, []);
    try {
      for (const { length, dtype } of lengths) slots.push(backend.allocate(length * WIDTH[dtype]));
      let least = Infinity;
      for (let round = 0; round < ROUNDS; round++) {
        const start = performance.now();
        await executable.run([], slots);
        least = Math.min(least, performance.now() - start);
      }
      times.push(least);
    } finally {
      executable.dispose();
      for (const slot of slots) backend.free(slot);
    }
  }
  return times;
}
