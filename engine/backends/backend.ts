import type { Plan } from '../compiler/plan.ts';
import type { DType, TypedArray } from '../dtype.ts';

/** Memory that a backend owns; only the backend that made it knows what it is. Zeroed when allocated. */
export interface DeviceBuffer {
  readonly backend: Backend;
  readonly bytes: number;
}

/** Where values are: in ordinary memory, or in a backend's. */
export type Storage = TypedArray | DeviceBuffer;

/** A plan made ready to run, any number of times. */
export interface Executable {
  /**
   * Runs the plan once. `inputs` and `slots` are in the plan's order; slots are updated in place, and each is a buffer of its own, which no input is. Arrays among the inputs are to stay as they are until it resolves: a run may have to wait for others. Resolves to the outputs, in the
   * plan's order, in memory that is the caller's.
   */
  run(inputs: readonly Storage[], slots: readonly DeviceBuffer[]): Promise<Storage[]>;
  /** What the plan became, on a backend that writes WGSL: a text for each dispatch. */
  wgsl?(): readonly string[];
  /** Milliseconds that each kernel of the plan took, in the median of its last runs, on a backend that was asked to measure. */
  times?(): Promise<readonly number[]>;
  /** Gives its memory back. Running it afterwards is an error. */
  dispose(): void;
}

/** What the engine asks of a backend: memory, and the running of plans. */
export interface Backend {
  readonly name: string;
  /** The element types it computes with. */
  readonly dtypes: readonly DType[];
  /** How many buffers one kernel may touch, if that is limited: the compiler makes none that touches more. Nothing else of a kernel has a limit: not its views, constants, values, axes or depth. */
  readonly maxBindings?: number;
  /** Bytes it holds now: slots, arenas, constants, encoded plans. */
  readonly bytes: number;
  allocate(bytes: number): DeviceBuffer;
  write(buffer: DeviceBuffer, data: TypedArray): void;
  /** Reads `length` elements from the start of `buffer`. */
  read(buffer: DeviceBuffer, dtype: DType, length: number): Promise<TypedArray>;
  free(buffer: DeviceBuffer): void;
  /**
   * A plan that `compile` made is trusted; any other is copied and checked, as `validatePlan` does.
   * @param constants in the plan's order; copied before the promise resolves.
   * @throws TensegrityError `format` for what is no sound plan.
   */
  prepare(plan: Plan, constants: readonly Storage[]): Executable | Promise<Executable>;
  /** Gives everything back; the backend cannot be used afterwards. */
  dispose(): void;
}
