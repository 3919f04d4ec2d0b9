import { checkNames, shown } from './arguments.ts';
import type { Backend, Executable, Storage } from './backends/backend.ts';
import type { WasmOptions } from './backends/wasm/index.ts';
import type { WebGpuOptions } from './backends/webgpu/index.ts';
import { free, freeWhenCollected } from './collect.ts';
import { type Build, buildPlan } from './compiler/compiler.ts';
import { structuralKey } from './compiler/key.ts';
import type { TypedArray } from './dtype.ts';
import { check, TensegrityError } from './errors.ts';
import { type Node, topologicalOrder } from './graph.ts';
import { checkTensors } from './ops/rule.ts';
import { show, sizeOf } from './shape.ts';
import { currentScope, type Scope, type Slot } from './slot.ts';
import type { Tensor } from './tensor.ts';
import { inTurn } from './turn.ts';

/** Options of the backends, by name. */
export interface BackendOptions {
  readonly wasm: WasmOptions;
  readonly cpu: Record<never, never>;
  readonly webgpu: WebGpuOptions;
}
export type BackendName = keyof BackendOptions;

const factories: { readonly [Name in BackendName]: (options: BackendOptions[Name]) => Promise<Backend> } = {
  wasm: async (given) => (await import('./backends/wasm/index.ts')).createWasmBackend(given),
  cpu: async (given) => {
    checkNames('useBackend: cpu', given, {});
    return (await import('./backends/cpu/index.ts')).createCpuBackend();
  },
  webgpu: async (given) => (await import('./backends/webgpu/index.ts')).createWebGpuBackend(given),
};

/** What tells a backend from anything else. */
const members = ['name', 'dtypes', 'bytes', 'allocate', 'write', 'read', 'free', 'prepare', 'dispose'] as const satisfies (keyof Backend)[];

let active: Promise<Backend> | null = null;

/**
 * Chooses where plans run: a name, or a backend of your own making. Slots move to it when they are next used.
 * @param options those of the backend that is named; one of your own making has its already.
 * @throws TensegrityError `backend` saying why it does not work here, `argument` for options that make no sense.
 */
export async function useBackend<Name extends BackendName>(name: Name | Backend, options?: BackendOptions[Name]): Promise<Backend> {
  const created = typeof name === 'string' ? createBackend(name, options) : ready(name, options);
  const backend = await created;
  active = created;
  return backend;
}

function createBackend<Name extends BackendName>(name: Name, options: BackendOptions[Name] = {}): Promise<Backend> {
  if (!Object.hasOwn(factories, name))
    throw new TensegrityError('backend', `useBackend: there is no backend '${name}'; there are ${Object.keys(factories).join(', ')}`);
  return factories[name](options);
}

async function ready(backend: Backend, options: unknown): Promise<Backend> {
  const missing = members.filter((member) => !(typeof backend === 'object' && backend !== null && member in backend));
  check(
    missing.length === 0,
    'argument',
    () =>
      `useBackend: takes a name (${Object.keys(factories).join(', ')}) or a backend, got ${shown(backend)} without ${missing.join(', ')}`,
  );
  check(options === undefined, 'argument', () => 'useBackend: options go with a name; a backend of your own making has its already');
  return backend;
}

/** The backend in use: the one chosen, else wasm, else cpu. */
export function backend(): Promise<Backend> {
  active ??= createBackend('wasm', {}).catch(() => createBackend('cpu', {}));
  return active;
}

/** Plans that have been built and prepared, by structure and backend. The least recently used go first. */
const cache = new Map<
  string,
  { executable: Executable; backend: Backend; inputPositions: readonly number[]; slotPositions: readonly number[] }
>();
const CACHE_SIZE = 256;

function known(node: Node): boolean {
  return node.storage !== null || node.op === 'slot';
}

/** @throws TensegrityError for nodes whose value cannot be had: disposed, stale, or of a trace. */
export function checkReadable(order: readonly Node[], epoch: number): void {
  for (const node of order) {
    if (node.disposed)
      throw new TensegrityError(
        'disposed',
        `a tensor of shape ${show(node.shape)} was disposed and is needed again; keep it until its last use`,
      );
    if (node.is('placeholder') && node.attributes.epoch !== epoch) {
      throw new TensegrityError(
        'stale',
        `argument ${node.attributes.position} of a compiled function was used outside of it; return what you need from the function`,
      );
    }
    if (!node.is('slot') || node.storage !== null) continue;
    const { slot, version, epoch: built } = node.attributes;
    if (built !== epoch) {
      throw new TensegrityError(
        'stale',
        `an expression of slot ${slot.name} crosses the border of a compiled function; read slot.value inside the function that uses it`,
      );
    }
    if (version !== slot.version) {
      throw new TensegrityError(
        'stale',
        `slot ${slot.name} has been updated since this expression was built (version ${version}, now ${slot.version}); build it anew from slot.value, or read it before the update`,
      );
    }
  }
}

/** Computes what is not known yet of `tensors`, together with every pending assignment, in one plan. To be called in its turn. */
export async function compute(tensors: readonly Tensor[]): Promise<void> {
  const scope = currentScope();
  const nodes = [...new Set(tensors.map((x) => x.node))];
  const wanted = nodes.filter((node) => node.storage === null);
  checkReadable(topologicalOrder(wanted, known), scope.epoch);
  const updates = [...scope.assigned];
  if (wanted.length === 0 && updates.length === 0) return;
  try {
    await run(wanted, updates, scope.epoch);
  } catch (error) {
    // Assignments that cannot run must not stand in the way of all that is read later.
    forget(scope, updates);
    throw error;
  }
  forget(scope, updates);
  for (const [slot] of updates) slot.updated();
}

/** Takes updates off the list, but not those that have been assigned anew in the meantime. */
function forget({ assigned }: Scope, updates: readonly (readonly [Slot, Tensor])[]): void {
  for (const [slot, value] of updates) if (assigned.get(slot) === value) assigned.delete(slot);
}

async function run(wanted: readonly Node[], updates: readonly (readonly [Slot, Tensor])[], epoch: number): Promise<void> {
  const order = topologicalOrder([...wanted, ...updates.map(([, value]) => value.node)], known);
  checkReadable(order, epoch);
  const target = await backend();
  // A cached plan was built from another graph of this structure: leaves are bound by their place in the walk.
  const sources = order.filter((node) => node.storage !== null);
  const slots = distinctSlots(
    order,
    updates.map(([slot]) => slot),
  );
  const key = `${target.name} ${structuralKey(order, wanted, updates)}`;
  let entry = cache.get(key);
  if (entry && entry.backend !== target) {
    entry.executable.dispose();
    cache.delete(key);
    entry = undefined;
  }
  if (!entry) {
    const build = buildPlan({
      outputs: wanted,
      updates: updates.map(([slot, value]) => ({ slot, value: value.node })),
      isConstant: () => false,
      ...bindingsOf(target),
    });
    checkDTypes(build, target);
    entry = {
      executable: await inMemoryOf(target, () => target.prepare(build.plan, [])),
      backend: target,
      inputPositions: positionsOf(build.inputs, sources),
      slotPositions: positionsOf(build.slots, slots),
    };
  }
  cache.delete(key);
  cache.set(key, entry);
  evict();

  const inputs = await Promise.all(entry.inputPositions.map((position) => storageOn(target, sources[position]!)));
  const buffers = await Promise.all(entry.slotPositions.map((position) => slots[position]!.bufferOn(target)));
  const { executable } = entry;
  const outputs = await inMemoryOf(target, () => executable.run(inputs, buffers));
  wanted.forEach((node, i) => settle(node, outputs[i]!));
}

/** Where each is among `all`. */
function positionsOf<T>(some: readonly T[], all: readonly T[]): number[] {
  const positions = new Map(all.map((each, position) => [each, position]));
  return some.map((each) => positions.get(each)!);
}

/** Runs what allocates on a backend. @throws TensegrityError `backend` where memory runs out. */
export async function inMemoryOf<T>({ name }: Backend, action: () => T | Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    // What JavaScript throws when an array is larger than memory.
    const { name: kind, message: detail } = Object(error) as Partial<Error>;
    if (kind !== 'RangeError') throw error;
    const message = `backend ${name} has too little memory for this (${detail}); use smaller batches, and let go of what is not needed`;
    throw new TensegrityError('backend', message, {}, error);
  }
}

/** A node's value where a backend can read it: what another backend made is brought to ordinary memory, once. */
export async function storageOn(target: Backend, node: Node): Promise<Storage> {
  const { storage, dtype, shape } = node;
  check(storage, 'disposed', () => `a tensor of shape ${show(shape)} was disposed and is needed again; keep it until its last use`);
  if (ArrayBuffer.isView(storage) || storage.backend === target) return storage;
  node.storage = await storage.backend.read(storage, dtype, sizeOf(shape));
  free(storage);
  return node.storage;
}

/** Gives a node its value. Device memory goes back when the node is collected. */
export function settle(node: Node, storage: Storage): void {
  node.storage = storage;
  if (!ArrayBuffer.isView(storage)) freeWhenCollected(node, storage);
}

/** Slots in the order in which a walk meets them, then those that are only written. */
function distinctSlots(order: readonly Node[], written: readonly Slot[]): Slot[] {
  const slots = new Set<Slot>();
  for (const node of order) if (node.is('slot') && node.storage === null) slots.add(node.attributes.slot);
  for (const slot of written) slots.add(slot);
  return [...slots];
}

export function checkDTypes(build: Build, target: Backend): void {
  for (const { dtype } of build.plan.buffers) {
    if (!target.dtypes.includes(dtype)) {
      throw new TensegrityError(
        'dtype',
        `backend ${target.name} does not compute with ${dtype}; it has ${target.dtypes.join(', ')}. Use .cast('f32'), or useBackend('cpu')`,
      );
    }
  }
}

/** How many buffers a kernel may touch on a backend. */
export function bindingsOf({ maxBindings }: Backend): { bindings?: number } {
  return maxBindings === undefined ? {} : { bindings: maxBindings };
}

function evict(): void {
  for (const [key, entry] of cache) {
    if (cache.size <= CACHE_SIZE) break;
    entry.executable.dispose();
    cache.delete(key);
  }
}

/**
 * Computes tensors and runs pending assignments of slots, all in one plan. What it computes becomes a constant: graph that led there is
 * let go, so gradients do not reach behind it.
 */
export async function realize(...tensors: readonly Tensor[]): Promise<void> {
  checkTensors('realize', ...tensors);
  await inTurn(() => compute(tensors));
  for (const { node } of tensors) if (node.op !== 'slot') node.forgetHistory();
}

/** The elements of a tensor, computed if they must be. */
export async function read(tensor: Tensor): Promise<TypedArray> {
  // In an array, so that the turn ends when the data has been asked for: a GPU goes on with later plans until it is here.
  const [data] = await inTurn(async () => {
    await compute([tensor]);
    const { storage, dtype, shape } = tensor.node;
    check(storage, 'disposed', () => `a tensor of shape ${show(shape)} was disposed while it was read`);
    return [ArrayBuffer.isView(storage) ? storage.slice() : storage.backend.read(storage, dtype, sizeOf(shape))];
  });
  return data!;
}

/** Gives a tensor's memory back. */
export function release(tensor: Tensor): void {
  const { node } = tensor;
  if (node.storage && !ArrayBuffer.isView(node.storage)) free(node.storage);
  node.storage = null;
  node.disposed = true;
}

/** Memory of the engine now: the backend's bytes (slots, arenas, plans). */
export function memoryBytes(): Promise<number> {
  return inTurn(async () => (await backend()).bytes);
}
