import { loadModule } from '#wasm-module';
import { encodePlan, extraBuffers } from '../../../../engine/backends/wasm/encode.ts';
import { LinearMemory } from '../../../../engine/backends/wasm/memory.ts';
import type { Plan } from '../../../../engine/compiler/plan.ts';
import { dtypes, type TypedArray } from '../../../../engine/dtype.ts';

interface Kernels {
  readonly heapBase: WebAssembly.Global;
  run(commands: number, end: number, bases: number, workspace: number, thread: number, threads: number, barrier: number): void;
}

const memory = new WebAssembly.Memory({ initial: 64, maximum: 65536 });
const kernels = (await WebAssembly.instantiate(await loadModule('simd', false), { env: { memory } })).exports as unknown as Kernels;

/** Runs a plan of inputs and outputs as `threads` threads would, each taking its share of a command in turn, the last first. */
export function runOn(threads: number, plan: Plan, inputs: readonly TypedArray[]): TypedArray[] {
  const linear = new LinearMemory(memory, kernels.heapBase.value as number);
  const { words, workspaceBytes, partialBytes } = encodePlan(plan);
  const commands = linear.allocate(4 * (words.length + plan.buffers.length + extraBuffers));
  const bases = commands + 4 * words.length;
  const places = plan.buffers.map(({ dtype, length }) => linear.allocate(length * dtypes[dtype].bytes));
  const workspace = linear.allocate(workspaceBytes);
  const view = (number: number) => dtypes[plan.buffers[number]!.dtype].over(memory.buffer, places[number]!, plan.buffers[number]!.length);
  linear.words.set([...words, ...places, 0, linear.allocate(partialBytes)], commands / 4);
  plan.inputs.forEach((number, k) => view(number).set(inputs[k]!));
  for (const number of plan.outputs) view(number).fill(0);
  for (let at = 0; at < words.length; at += words[at + 1]!) {
    const [from, to] = [commands + 4 * at, commands + 4 * (at + words[at + 1]!)];
    for (let thread = threads - 1; thread >= 0; thread--) kernels.run(from, to, bases, workspace, thread, threads, 0);
  }
  return plan.outputs.map((number) => view(number).slice());
}
