import { shown } from './arguments.ts';
import type { Backend, DeviceBuffer, Executable, Storage } from './backends/backend.ts';
import type { BackendName, BackendOptions } from './choices.ts';
import { free, freeWhenCollected } from './collect.ts';
import { buildPlan } from './compiler/compiler.ts';
import { structuralKey } from './compiler/key.ts';
import type { Plan } from './compiler/plan.ts';
import type { TypedArray } from './dtype.ts';
import { check, TensegrityError } from './errors.ts';
import { type Node, topologicalOrder } from './graph.ts';
import { automatic, keep, known, letGo, reachOf, worthKeeping } from './keep.ts';
import { currentScope, OUTSIDE, type Scope, type Update } from './scope.ts';
import { show, sizeOf } from './shape.ts';
import type { Slot } from './slot.ts';
import type { Tensor } from './tensor.ts';
import { inTurn } from './turn.ts';

/** How the backends that have a name are made; choices.ts knows them, and what is bundled for one alone is without it. */
export const factories: { [name: string]: (options: object) => Promise<Backend> } = {};

/** What tells a backend from anything else. */
const members = ['allocate', 'write', 'read', 'free', 'prepare', 'dispose'] as const satisfies (keyof Backend)[];

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

async function createBackend(name: BackendName, options: object = {}): Promise<Backend> {
  if (!Object.hasOwn(factories, name)) {
    const names = Object.keys(factories).join(', ') || 'none in tensegrity/core';
    throw new TensegrityError('backend', `useBackend: there is no backend '${name}'; there are ${names}`);
  }
  return factories[name]!(options).then((created) => {
    // What has been asked for before is served first.
    const dispose = created.dispose.bind(created);
    created.dispose = () => void inTurn(dispose);
    return created;
  });
}

async function ready(backend: Backend, options: unknown): Promise<Backend> {
  const missing = members.filter((member) => !Object(backend)[member]);
  check(
    missing.length === 0,
    'argument',
    () =>
      `useBackend: takes a name (${Object.keys(factories).join(', ')}) or a backend, got ${shown(backend)} without ${missing.join(', ')}`,
  );
  check(options === undefined, 'argument', () => 'useBackend: options go with a name');
  return backend;
}

/** The backend in use: the one chosen, else wasm, else, with a warning, cpu. */
export function backend(): Promise<Backend> {
  active ??= createBackend('wasm').catch((instead: unknown) => createBackend('cpu', { instead }));
  return active;
}

/** Plans that have been built and prepared, by structure and backend. The least recently used go first. */
const cache = new Map<
  string,
  { executable: Executable; backend: Backend; inputPositions: readonly number[]; slotPositions: readonly number[] }
>();
const CACHE_SIZE = 256;

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

/**
 * Runs `body` in its turn, with what computes tensors and, in the same plan, the updates that have been assigned when this is called. What
 * is assigned later is for plans that are asked for later.
 */
export function inTurnWithUpdates<T>(body: (compute: (...tensors: readonly Tensor[]) => Promise<void>) => Promise<T>): Promise<T> {
  const { epoch, assigned } = currentScope();
  // What is asked for while a function is traced is computed outside of it: what the function assigns is of its own plan.
  const updates = epoch === OUTSIDE ? [...assigned.values()] : [];
  return inTurn(() => body((...tensors) => compute(tensors, assigned, updates)));
}

/** Computes what is not known yet of `tensors`, together with updates, in one plan. */
async function compute(tensors: readonly Tensor[], assigned: Scope['assigned'], updates: readonly Update[]): Promise<void> {
  const pending = updates.filter(({ done }) => !done);
  // What has been assigned over meanwhile may be part of what it was assigned over with, and stands for values that are gone then.
  const replaced = pending.filter((update) => (assigned.get(update.slot) ?? update) !== update).map(({ value }) => value);
  const nodes = new Set([...tensors, ...replaced].map((x) => x.node));
  const wanted = [...nodes].filter((node) => node.storage === null);
  // What is asked for stays, whoever made it.
  for (const node of nodes) automatic.delete(node);
  checkReadable(topologicalOrder(wanted, known), OUTSIDE);
  if (wanted.length === 0 && pending.length === 0) return;
  try {
    await run(wanted, pending);
  } finally {
    // Assignments that cannot run must not stand in the way of all that is read later.
    for (const update of pending) {
      update.done = true;
      if (assigned.get(update.slot) === update) assigned.delete(update.slot);
    }
  }
  for (const { slot, value } of pending) slot.updated(value.node);
}

async function run(wanted: readonly Node[], updates: readonly Update[]): Promise<void> {
  const order = topologicalOrder([...wanted, ...updates.map(({ value }) => value.node)], known);
  checkReadable(order, OUTSIDE);
  const target = await backend();
  const reach = await reachOf(order);
  const kept = worthKeeping(order, wanted);
  const outputs = [...wanted, ...kept];
  // A cached plan was built from another graph of this structure: leaves are bound by their place in the walk.
  const sources = order.filter((node) => node.storage !== null);
  const slots = distinctSlots(
    order,
    updates.map(({ slot }) => slot),
  );
  const key = `${target.name} ${structuralKey(
    order,
    outputs,
    updates.map(({ slot, value }) => [slot, value] as const),
  )}`;
  let entry = cache.get(key);
  if (entry && entry.backend !== target) {
    entry.executable.dispose();
    cache.delete(key);
    entry = undefined;
  }
  if (!entry) {
    const build = buildPlan({
      outputs,
      updates: updates.map(({ slot, value }) => ({ slot, value: value.node })),
      isConstant: () => false,
      ...bindingsOf(target),
    });
    checkDTypes(build.plan, target);
    entry = {
      executable: await inMemoryOf(target, () => target.prepare(build.plan, [])),
      backend: target,
      inputPositions: positionsOf(build.inputs, sources),
      slotPositions: positionsOf(build.slots, slots),
    };
  }
  cache.delete(key);
  cache.set(key, entry);
  evict(CACHE_SIZE);

  const { executable, inputPositions, slotPositions } = entry;
  const needed = slotPositions.map((position) => slots[position]!);
  const buffers = await buffersOn(target, needed, executable);
  const inputs = await Promise.all(inputPositions.map((position) => storageOn(target, sources[position]!)));
  const results = await runOn(target, executable, inputs, buffers);
  for (const node of order) if (!known(node)) node.computed++;
  outputs.forEach((node, i) => {
    settle(node, results[i]!);
    node.reach = reach;
  });
  for (const node of kept) keep(node);
}

/** Where each is among `all`. */
function positionsOf<T>(some: readonly T[], all: readonly T[]): number[] {
  const positions = new Map(all.map((each, position) => [each, position]));
  return some.map((each) => positions.get(each)!);
}

/**
 * Runs what allocates on a backend, again if memory ran out and some could be had back: what nobody holds, and plans that can be built anew.
 * @param spared a plan that is needed.
 * @param changes whether it may have changed slots when an array is too large for JavaScript: then it is not done twice.
 * @throws TensegrityError `backend` where memory runs out all the same.
 */
export async function inMemoryOf<T>(target: Backend, action: () => T | Promise<T>, spared?: Executable, changes = false): Promise<T> {
  try {
    return await action();
  } catch (error) {
    // By name, since it may be of another realm.
    const range = Object(error).name === 'RangeError';
    if (range ? !changes : error instanceof TensegrityError && error.details['exhausted']) {
      const before = target.bytes;
      evict(0, spared);
      await (await import('./reclaim.ts')).reclaim(target);
      if (target.bytes < before) return inMemoryOf(target, action, spared, changes);
    }
    if (!range) throw error;
    const message = `backend ${target.name} has too little memory for this (${(error as Error).message}); use smaller batches, and let go of what is not needed`;
    throw new TensegrityError('backend', message, {}, error);
  }
}

/** Bytes of a backend at which to look for what nobody holds any more. The garbage collector does not see them. */
const FIRST_CEILING = 2 ** 30;
let ceiling = FIRST_CEILING;

/** The memory of slots on a backend. */
export async function buffersOn(target: Backend, slots: readonly Slot[], spared: Executable): Promise<DeviceBuffer[]> {
  if (target.bytes > ceiling) {
    await (await import('./reclaim.ts')).reclaim(target);
    ceiling = Infinity;
  }
  ceiling = Math.min(ceiling, Math.max(FIRST_CEILING, 2 * target.bytes));
  const buffers: DeviceBuffer[] = [];
  for (const slot of slots) buffers.push(await inMemoryOf(target, () => slot.bufferOn(target), spared));
  return buffers;
}

/** Runs a plan. */
export function runOn(
  target: Backend,
  executable: Executable,
  inputs: readonly Storage[],
  buffers: readonly DeviceBuffer[],
): Promise<Storage[]> {
  return inMemoryOf(target, () => executable.run(inputs, buffers), executable, true);
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

export function checkDTypes({ buffers }: Plan, target: Backend): void {
  for (const { dtype } of buffers) {
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

function evict(most: number, spared?: Executable): void {
  for (const [key, { executable }] of cache) {
    if (cache.size <= most) break;
    if (executable === spared) continue;
    executable.dispose();
    cache.delete(key);
  }
}

/** The elements of a tensor, computed if they must be. */
export async function read(tensor: Tensor): Promise<TypedArray> {
  // In an array, so that the turn ends when the data has been asked for: a GPU goes on with later plans until it is here.
  const [data] = await inTurnWithUpdates(async (compute) => {
    await compute(tensor);
    // It has been computed.
    const storage = tensor.node.storage!;
    const { dtype, shape } = tensor.node;
    return [ArrayBuffer.isView(storage) ? storage.slice() : storage.backend.read(storage, dtype, sizeOf(shape))];
  });
  return data!;
}

/** Gives a tensor's memory back, after what has been asked for before. */
export function release({ node }: Tensor): void {
  void inTurn(() => {
    letGo(node);
    node.disposed = true;
  });
  if (!node.is('slot')) return;
  // The slot has its value still.
  const { leaves } = currentScope();
  if (leaves.get(node.attributes.slot)?.node === node) leaves.delete(node.attributes.slot);
}

/** Memory of the engine now: the backend's bytes (slots, arenas, plans). */
export function memoryBytes(): Promise<number> {
  return inTurn(async () => (await backend()).bytes);
}
