import { type FileBytes, fileBytes, named, options, shown } from '../arguments.ts';
import type { Backend, DeviceBuffer, Executable, Storage } from '../backends/backend.ts';
import { checkHostArray, elementsOf, type HostArray, type NumericArray } from '../dtype.ts';
import { check, TensegrityError } from '../errors.ts';
import { sameShape, show, sizeOf } from '../shape.ts';
import { inTurn } from '../turn.ts';
import type { ArraySpec, Result, SavedPlan } from './format.ts';
import { type HeldSlot, open } from './open.ts';

export type { Backend } from '../backends/backend.ts';
export type { DType, HostArray } from '../dtype.ts';
export type { ArraySpec } from './format.ts';

/** What a saved function returns: arrays in ordinary memory, in arrays and records of any depth. */
export type HostTree = HostArray | readonly HostTree[] | { readonly [name: string]: HostTree };

export interface LoadOptions {
  /** Where it runs: one thread of WebAssembly, unless given; what `tensegrity/backends/…` make. It stays the caller's to dispose of. */
  readonly backend?: Backend;
}

/** State of a saved function, which its plans may update: as a slot of the engine. */
export interface SavedSlot extends ArraySpec {
  /** Its value after the calls made before. */
  toHost(): Promise<HostArray>;
  /**
   * Replaces the value, after the calls made before.
   * @param data any typed array; floats become integers towards zero.
   * @throws TensegrityError `shape`, `dtype`, `argument` for what does not fit.
   */
  set(data: NumericArray): Promise<void>;
}

export interface LoadedPlan<Returned extends HostTree = HostTree> {
  /**
   * Runs the plan for arguments of these shapes and types. Calls run one after the other.
   * @throws TensegrityError `argument`, `shape`, `dtype` for arguments that no plan was saved for, naming those that are.
   */
  (...args: readonly HostArray[]): Promise<Returned>;
  /** The arguments that it takes: a list for each plan. */
  readonly signatures: readonly (readonly ArraySpec[])[];
  /** By the names that they were saved with. */
  readonly slots: ReadonlyMap<string, SavedSlot>;
  readonly backend: Backend;
  /** Gives its memory back, and the backend where none was given, after the calls made before. */
  dispose(): void;
}

/** What there is of a plan on a backend. */
interface Ready {
  readonly saved: SavedPlan;
  readonly executable: Executable;
}

/**
 * Makes what `compile(f).save()` gave ready to run, with a backend and nothing else of the engine.
 * @typeParam Returned what the function returned; nothing checks that it did.
 * @throws TensegrityError `format` for what is no saved plan, is damaged, or is of another version; `backend` where there is too little memory, or
 * no WebAssembly; `dtype` for f64, which runs on the cpu backend alone.
 */
export async function loadPlan<Returned extends HostTree = HostTree>(
  bytes: FileBytes,
  given: LoadOptions = {},
): Promise<LoadedPlan<Returned>> {
  const { backend: own } = options('loadPlan', given, { backend: undefined });
  const file = fileBytes('loadPlan', bytes);
  const { plans, slots, constants } = open(file);
  const backend = own ?? (await createBackend());
  const release: (() => void)[] = own ? [] : [() => backend.dispose()];
  const dispose = (): void => {
    for (const each of release.splice(0).reverse()) each();
  };
  try {
    checkTypes(plans, backend);
    const ready: Ready[] = [];
    for (const saved of plans) {
      const executable = await inMemory(() =>
        backend.prepare(
          saved.plan,
          saved.constants.map((k) => constants[k]!.data),
        ),
      );
      release.push(() => executable.dispose());
      ready.push({ saved, executable });
    }
    const buffers = slots.map(({ data }) => {
      const buffer = backend.allocate(data.byteLength);
      release.push(() => backend.free(buffer));
      backend.write(buffer, data);
      return buffer;
    });
    const call = (...args: readonly HostArray[]): Promise<HostTree> =>
      inTurn(() => {
        checkOpen(release);
        return run(chosen(ready, args), args, buffers, backend);
      });
    const access = (buffer: DeviceBuffer, { name, dtype, shape }: HeldSlot): SavedSlot => ({
      dtype,
      shape,
      toHost: () =>
        inTurn(async () => {
          checkOpen(release);
          return { dtype, shape: [...shape], data: await backend.read(buffer, dtype, sizeOf(shape)) };
        }),
      set: (data) => {
        check(ArrayBuffer.isView(data), 'argument', () => `set: takes a typed array of ${sizeOf(shape)} elements, got ${shown(data)}`);
        check(data.length === sizeOf(shape), 'shape', () => `set: slot ${named(name)} has ${sizeOf(shape)} elements, got ${data.length}`);
        const copy = elementsOf(data, `set: slot ${named(name)}`, dtype);
        return inTurn(() => {
          checkOpen(release);
          backend.write(buffer, copy);
        });
      },
    });
    return Object.assign(call as (...args: readonly HostArray[]) => Promise<Returned>, {
      signatures: plans.map((plan) => plan.arguments),
      slots: new Map(slots.map((slot, k) => [slot.name, access(buffers[k]!, slot)])),
      backend,
      dispose: () => void inTurn(dispose),
    });
  } catch (error) {
    dispose();
    throw error;
  }
}

async function createBackend(): Promise<Backend> {
  const { bestBuild, loadBackend, notLoaded } = await import('../backends/wasm/backend.ts');
  const build = bestBuild();
  return loadBackend({ build }).catch((cause: unknown) => {
    throw notLoaded(build, '; give { backend: createCpuBackend() },', cause);
  });
}

function checkOpen(release: readonly unknown[]): void {
  check(release.length > 0, 'disposed', () => 'this plan was disposed of; load it again to run it');
}

/** @throws TensegrityError `dtype` naming an element type that the backend lacks. */
function checkTypes(plans: readonly SavedPlan[], { name, dtypes: own }: Backend): void {
  const lacking = plans.flatMap(({ plan }) => plan.buffers).find(({ dtype }) => !own.includes(dtype));
  check(
    !lacking,
    'dtype',
    () => `backend ${name} does not compute with ${lacking?.dtype}; it has ${own.join(', ')}. Load it with { backend: createCpuBackend() }`,
  );
}

/** @throws TensegrityError `backend` where memory runs out, which JavaScript calls a RangeError. */
async function inMemory<T>(action: () => T | Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (cause) {
    if (Object(cause).name !== 'RangeError') throw cause;
    throw new TensegrityError(
      'backend',
      `there is too little memory for this plan (${(cause as Error).message}); save it for smaller batches`,
      {},
      cause,
    );
  }
}

/** The plan for these arguments. */
function chosen(ready: readonly Ready[], args: readonly HostArray[]): Ready {
  args.forEach((array, k) => checkHostArray(array, `argument ${k}`));
  const fits = ({ saved }: Ready): boolean =>
    saved.arguments.length === args.length &&
    saved.arguments.every(({ dtype, shape }, k) => args[k]!.dtype === dtype && sameShape(args[k]!.shape, shape));
  const found = ready.find(fits);
  if (found) return found;
  const text = (specs: readonly ArraySpec[]): string => `(${specs.map(({ dtype, shape }) => `${dtype}${show(shape)}`).join(', ')})`;
  const types = (specs: readonly ArraySpec[]): string => specs.map(({ dtype }) => dtype).join();
  const sameTypes = ready.some(({ saved }) => types(saved.arguments) === types(args));
  const sameCount = ready.some(({ saved }) => saved.arguments.length === args.length);
  throw new TensegrityError(
    sameTypes ? 'shape' : sameCount ? 'dtype' : 'argument',
    `this plan was saved for ${ready.map(({ saved }) => text(saved.arguments)).join(' or ')}, and got ${text(args)}; save it with arguments like these too`,
  );
}

async function run(
  { saved, executable }: Ready,
  args: readonly HostArray[],
  buffers: readonly DeviceBuffer[],
  backend: Backend,
): Promise<HostTree> {
  const inputs = saved.inputs.map((position) => args[position]!.data);
  const outputs = await inMemory(() =>
    executable.run(
      inputs,
      saved.slots.map((k) => buffers[k]!),
    ),
  );
  const arrays = await Promise.all(outputs.map((storage, k) => hostOf(storage, saved.outputs[k]!, backend)));
  return treeOf(saved.result, arrays);
}

async function hostOf(storage: Storage, { dtype, shape }: ArraySpec, backend: Backend): Promise<HostArray> {
  if (ArrayBuffer.isView(storage)) return { dtype, shape: [...shape], data: storage };
  try {
    return { dtype, shape: [...shape], data: await backend.read(storage, dtype, sizeOf(shape)) };
  } finally {
    backend.free(storage);
  }
}

function treeOf(result: Result, arrays: readonly HostArray[]): HostTree {
  if (typeof result === 'number') return arrays[result]!;
  if (isList(result)) return result.map((part) => treeOf(part, arrays));
  return Object.fromEntries(Object.entries(result).map(([name, part]) => [name, treeOf(part, arrays)]));
}

function isList(result: Result): result is readonly Result[] {
  return Array.isArray(result);
}
