import { loadModule } from '#wasm-module';
import { extraBuffers } from '../../../../engine/backends/wasm/command.ts';
import { encodePlan } from '../../../../engine/backends/wasm/encode.ts';
import type { Build } from '../../../../engine/backends/wasm/index.ts';
import { LinearMemory, MOST_PAGES, padded } from '../../../../engine/backends/wasm/memory.ts';
import { type Call, createTeam, type Team } from '../../../../engine/backends/wasm/team.ts';
import type { Plan } from '../../../../engine/compiler/plan.ts';
import { dtypes, type TypedArray } from '../../../../engine/dtype.ts';

interface Kernels {
  readonly heapBase: WebAssembly.Global;
  run(commands: number, end: number, bases: number, workspace: number, thread: number, threads: number, barrier: number): void;
}

/** A module on a memory of its own, which real threads can share. */
interface Machine {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly kernels: Kernels;
  readonly teams: Map<number, Promise<Team>>;
}

async function machine(build: Build): Promise<Machine | null> {
  try {
    const module = await loadModule(build, true);
    const memory = new WebAssembly.Memory({ initial: 64, maximum: MOST_PAGES, shared: true });
    // The module's exports are those of wasm/index.ts.
    const kernels = (await WebAssembly.instantiate(module, { env: { memory } })).exports as unknown as Kernels;
    return { module, memory, kernels, teams: new Map() };
  } catch {
    return null;
  }
}
const machines = { simd: await machine('simd'), relaxed: await machine('relaxed') } as const;

function machineOf(build: Build): Machine {
  const found = machines[build];
  if (!found) throw new Error(`the ${build} build does not run here`);
  return found;
}

/** The builds that this platform runs. */
export const sharedBuilds: readonly Build[] = (['simd', 'relaxed'] as const).filter((build) => machines[build] !== null);

/** The order in which `threads` threads come to a command: their numbers. */
export type Order = (threads: number) => readonly number[];

export const lastFirst: Order = (threads) => Array.from({ length: threads }, (_, i) => threads - 1 - i);

/** Orders that have no pattern: shuffles by a linear congruence. */
export function anyOrder(seed: number): Order {
  let state = seed;
  const below = (count: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return (state >>> 8) % count;
  };
  return (threads) => {
    const left = Array.from({ length: threads }, (_, i) => i);
    return Array.from({ length: threads }, () => left.splice(below(left.length), 1)[0]!);
  };
}

interface Placed {
  readonly call: Call;
  readonly words: Int32Array;
  /** Copies of the outputs, then of the slots. @throws Error naming what was written behind, or which input was written. */
  read(): TypedArray[];
}

const bytesOf = ({ buffer, byteOffset, byteLength }: TypedArray): Buffer => Buffer.from(buffer, byteOffset, byteLength);

/** Bytes behind each place that nobody may write. */
const GUARD = 4096;

/**
 * Lays a plan out as the backend does: scratch in an arena by the plan's own offsets, everything else in a place of its own, a workspace for each
 * thread, and guard bytes behind each of these. What nobody has written holds bytes of 255, which are NaN.
 */
function place(
  { memory, kernels }: Machine,
  threads: number,
  plan: Plan,
  inputs: readonly TypedArray[],
  slots: readonly TypedArray[],
  constants: readonly TypedArray[],
): Placed {
  const linear = new LinearMemory(memory, kernels.heapBase.value as number);
  const { words, workspaceBytes, partialBytes } = encodePlan(plan);
  const guards: { readonly name: string; readonly at: number; readonly size: number }[] = [];
  const guarded = (name: string, bytes: number): number => {
    const address = linear.allocate(bytes + GUARD);
    // The allocator's own padding is guarded too: it lies before the next place.
    const size = padded(bytes + GUARD);
    new Uint8Array(memory.buffer, address, size).fill(255);
    guards.push({ name, at: address + bytes, size: size - bytes });
    return address;
  };
  const commands = guarded('the commands', 4 * (words.length + plan.buffers.length + extraBuffers));
  const bases = commands + 4 * words.length;
  const arena = guarded('the arena', plan.arenaBytes);
  const places = plan.buffers.map(({ kind, dtype, length, offset }, number) =>
    kind === 'scratch' ? arena + offset : guarded(`buffer ${number}`, length * dtypes[dtype].bytes),
  );
  const workspaces = Array.from({ length: threads }, (_, thread) => guarded(`the workspace of thread ${thread}`, workspaceBytes));
  const partials = guarded('the partial results', partialBytes);
  const barrier = linear.allocate(16);
  const view = (number: number): TypedArray => {
    const { dtype, length } = plan.buffers[number]!;
    return dtypes[dtype].over(memory.buffer, places[number]!, length);
  };
  linear.words.fill(0, barrier / 4, barrier / 4 + 4);
  linear.words.set([...words, ...places, 0, partials], commands / 4);
  const read = [...plan.inputs, ...plan.constants].map((number, k) => ({ number, given: [...inputs, ...constants][k]! }));
  for (const { number, given } of read) view(number).set(given);
  plan.slots.forEach((number, k) => view(number).set(slots[k] ?? []));
  for (const number of plan.outputs) view(number).fill(0);
  return {
    call: { commands, end: bases, bases, workspaces, barrier },
    words,
    read: () => {
      for (const { name, at, size } of guards) {
        const written = new Uint8Array(memory.buffer, at, size).findIndex((byte) => byte !== 255);
        if (written >= 0) throw new Error(`byte ${written} behind ${name} was written`);
      }
      for (const { number, given } of read)
        if (!bytesOf(view(number)).equals(bytesOf(given))) throw new Error(`buffer ${number} was written, which is only read`);
      return [...plan.outputs, ...plan.slots].map((number) => view(number).slice());
    },
  };
}

export interface SharesOptions {
  readonly slots?: readonly TypedArray[];
  readonly constants?: readonly TypedArray[];
  /** In which order threads take their shares of each command. */
  readonly order?: Order;
  readonly build?: Build;
}

/**
 * Runs a plan as `threads` threads would, each taking its share of a command in turn. Gives outputs, then slots. Shares that do
 * not depend on each other give the same in any order.
 */
export function runOn(
  threads: number,
  plan: Plan,
  inputs: readonly TypedArray[],
  { slots = [], constants = [], order = lastFirst, build = 'simd' }: SharesOptions = {},
): TypedArray[] {
  const host = machineOf(build);
  const { call, words, read } = place(host, threads, plan, inputs, slots, constants);
  for (let at = 0; at < words.length; at += words[at + 1]!) {
    const [from, to] = [call.commands + 4 * at, call.commands + 4 * (at + words[at + 1]!)];
    for (const thread of order(threads)) host.kernels.run(from, to, call.bases, call.workspaces[thread]!, thread, threads, 0);
  }
  return read();
}

/** Runs a plan on real threads, which stay for the next. */
export async function runOnTeam(
  threads: number,
  plan: Plan,
  inputs: readonly TypedArray[],
  { slots = [], constants = [], build = 'simd' }: Omit<SharesOptions, 'order'> = {},
): Promise<TypedArray[]> {
  const host = machineOf(build);
  const team = host.teams.get(threads) ?? createTeam(host.module, host.memory, threads);
  host.teams.set(threads, team);
  const { call, read } = place(host, threads, plan, inputs, slots, constants);
  await (await team).run(call);
  return read();
}

/** Ends the threads that {@link runOnTeam} started. */
export async function endTeams(): Promise<void> {
  for (const { teams } of Object.values(machines).filter((each) => each !== null)) {
    for (const team of teams.values()) (await team).dispose();
    teams.clear();
  }
}

/** The bytes of arrays. Which NaN a NaN is may depend on how far the platform has optimised the code, and on nothing that is ours. */
export function bitsOf(arrays: readonly TypedArray[]): string[] {
  return arrays.map((array) => {
    const words = array instanceof Float32Array ? array.map((value) => (Number.isNaN(value) ? Number.NaN : value)) : array;
    return bytesOf(words).toString('latin1');
  });
}
