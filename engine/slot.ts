import { mark, shown } from './arguments.ts';
import type { Backend, DeviceBuffer } from './backends/backend.ts';
import { free, freeWhenCollected } from './collect.ts';
import { checkHostArray, copied, type DType, elementsOf, type HostArray, type NumericArray, type TypedArray } from './dtype.ts';
import { check } from './errors.ts';
import { Node } from './graph.ts';
import { checkIndex, scatter, spread } from './ops/indexing.ts';
import { checkTensors } from './ops/rule.ts';
import { currentScope, OUTSIDE } from './scope.ts';
import { type Shape, sameShape, show, sizeOf } from './shape.ts';
import { Tensor } from './tensor.ts';
import { inTurn } from './turn.ts';

/**
 * Mutable state: a parameter, an optimiser's moment, a running statistic, a counter. `value` is its value as an expression, `assign`
 * gives it a new one, which takes effect with the next plan that runs (`realize`, reading a tensor, or a call of a compiled function).
 * An expression built from a slot means the value the slot had then; once the slot is updated, reading the expression is an error.
 */
export class Slot {
  static {
    mark(Slot, 'Slot');
  }
  /** For messages and listings. */
  name: string;
  readonly shape: Shape;
  readonly dtype: DType;
  /** Which update the value is of that plans see now, in their turn. */
  version = 0;
  /** The update that an expression built now means: of the last `set`, whose turn may not have come. */
  #latest = 0;
  #updates = 0;
  /** Values that have been set and whose turn has not come. */
  #coming = 0;
  /** The expression that its value was assigned as, if it was. */
  given: WeakRef<Node> | null = null;
  #itself: readonly WeakRef<Slot>[] | null = null;
  #disposed = false;
  #host: TypedArray | null;
  #device: DeviceBuffer | null = null;

  constructor(initial: HostArray, name = 'slot') {
    checkHostArray(initial, `slot ${name}`);
    this.name = name;
    this.shape = Object.freeze([...initial.shape]);
    this.dtype = initial.dtype;
    this.#host = copied(initial.data, initial.dtype);
  }

  get size(): number {
    return sizeOf(this.shape);
  }

  /** A reference that keeps nothing alive, as a list of slots. */
  get itself(): readonly WeakRef<Slot>[] {
    this.#itself ??= [new WeakRef(this)];
    return this.#itself;
  }

  /** The slot's value as an expression; after `assign`, the assigned one. */
  get value(): Tensor {
    return currentScope().assigned.get(this)?.value ?? this.held;
  }

  /** The value that the slot holds, as an expression, whatever has been assigned since. */
  get held(): Tensor {
    const scope = currentScope();
    let leaf = scope.leaves.get(this);
    if (!leaf || leaf.node.disposed) {
      // A trace is made in its turn.
      const version = scope.epoch === OUTSIDE ? this.#latest : this.version;
      leaf = new Tensor(new Node('slot', [], { slot: this, version, epoch: scope.epoch }, this.shape, this.dtype));
      scope.leaves.set(this, leaf);
    }
    return leaf;
  }

  /** The slot's next value: an expression of its shape and type. @throws TensegrityError `shape`, `dtype`. */
  assign(value: Tensor): void {
    check(value instanceof Tensor, 'argument', () => `assign: slot ${this.name} takes a tensor, got ${shown(value)}`);
    check(
      sameShape(value.shape, this.shape),
      'shape',
      () => `assign: slot ${this.name} has shape ${show(this.shape)}, the value ${show(value.shape)}`,
    );
    check(
      value.dtype === this.dtype,
      'dtype',
      () => `assign: slot ${this.name} is ${this.dtype}, the value ${value.dtype}; convert with .cast('${this.dtype}')`,
    );
    currentScope().assigned.set(this, { slot: this, value, done: false });
  }

  /**
   * Replaces rows of the slot's next value, and writes no others: as `assign(scatter(value, …))`, PyTorch's `index_copy_`. An expression built before means the
   * value before, one built from `value` afterwards the new one; several such updates, and `assign`, act one after the other. Positions and what becomes of
   * those that are equal, negative or outside are as in `scatter`: the last wins.
   * @param index integers of any shape: positions on the slot's first axis.
   * @param rows the index's shape, then the slot's other axes.
   * @throws TensegrityError `shape`, `dtype`, and `argument` for an index outside that is known before a plan runs.
   */
  assignRows(index: Tensor, rows: Tensor): void {
    const op = `assignRows: slot ${this.name}`;
    checkTensors(op, index, rows);
    check(this.shape.length > 0, 'shape', () => `${op} has no rows, its shape is []; use assign`);
    const [count, ...rest] = this.shape;
    checkIndex(index, op, count!, 0);
    check(
      sameShape(rows.shape, [...index.shape, ...rest]),
      'shape',
      () => `${op} takes rows of shape ${show([...index.shape, ...rest])} at an index of ${show(index.shape)}, got ${show(rows.shape)}`,
    );
    check(rows.dtype === this.dtype, 'dtype', () => `${op} is ${this.dtype}, the rows ${rows.dtype}; convert with .cast('${this.dtype}')`);
    const updates = rows.reshape([index.size, ...rest]);
    this.assign(scatter(this.value, spread(index, this.shape, 0), updates, 0));
  }

  /** As that of its value, a tensor: `slot + 1` is an error. */
  [Symbol.toPrimitive](hint: string): string {
    return this.value[Symbol.toPrimitive](hint);
  }

  /**
   * Replaces the value, from ordinary memory, and with it an assignment that no plan has run. What was asked for before (plans under way
   * among it) sees the old value, everything after the new one.
   * @param data any typed array; floats become integers towards zero.
   * @throws TensegrityError `shape`, `disposed`, `dtype` for a value that the slot's type does not have, and `argument` inside a compiled
   * function, whose plan could not repeat it.
   */
  set(data: NumericArray): void {
    check(ArrayBuffer.isView(data), 'argument', () => `set: takes a typed array of ${this.size} elements, got ${shown(data)}`);
    check(data.length === this.size, 'shape', () => `set: slot ${this.name} has ${this.size} elements, got ${data.length}`);
    check(!this.#disposed, 'disposed', () => `set: slot ${this.name} has been disposed`);
    const scope = currentScope();
    check(
      scope.epoch === OUTSIDE,
      'argument',
      () => `set: slot ${this.name} cannot be set inside a compiled function; use assign, or an argument`,
    );
    const copy = elementsOf(data, `set: slot ${this.name}`, this.dtype);
    scope.assigned.delete(this);
    const version = this.#newVersion();
    this.#coming++;
    void inTurn(() => {
      this.#coming--;
      this.version = version;
      this.given = null;
      this.#freeDevice();
      this.#host = copy;
    });
  }

  /** Expressions built from now on mean another value. */
  #newVersion(): number {
    currentScope().leaves.delete(this);
    this.#latest = ++this.#updates;
    return this.#latest;
  }

  /** The value after the plans asked for before, in ordinary memory of the caller's. Assignments that no plan has run do not count. */
  data(): Promise<TypedArray> {
    return inTurn(() => this.#current());
  }

  async #current(): Promise<TypedArray> {
    if (this.#device) return this.#device.backend.read(this.#device, this.dtype, this.size);
    check(this.#host, 'disposed', () => `slot ${this.name} has been disposed`);
    return this.#host.slice();
  }

  async toHost(): Promise<HostArray> {
    return { dtype: this.dtype, shape: [...this.shape], data: await this.data() };
  }

  /** The slot's memory on a backend; moves it there if it is elsewhere. Called by the runtime, in its turn. */
  async bufferOn(backend: Backend): Promise<DeviceBuffer> {
    if (this.#device?.backend === backend) return this.#device;
    const data = await this.#current();
    const buffer = backend.allocate(data.byteLength);
    backend.write(buffer, data);
    this.#freeDevice();
    freeWhenCollected(this, buffer);
    this.#device = buffer;
    this.#host = null;
    return buffer;
  }

  /** Brings the value back to ordinary memory, so that its backend can be disposed. */
  toOrdinaryMemory(): Promise<void> {
    return inTurn(async () => {
      if (!this.#device) return;
      this.#host = await this.#current();
      this.#freeDevice();
    });
  }

  /** Expressions built before no longer mean the slot's value. Called by the runtime after a plan that wrote the slot. */
  updated(value?: Node): void {
    this.given = value ? new WeakRef(value) : null;
    // What has been built since a `set` means the value that is to come, and holds.
    this.version = this.#coming > 0 ? ++this.#updates : this.#newVersion();
  }

  /** Gives the memory back, after what has been asked for before; reading the slot afterwards is an error. */
  dispose(): void {
    this.#disposed = true;
    void inTurn(() => {
      this.#freeDevice();
      this.#host = null;
    });
  }

  #freeDevice(): void {
    if (this.#device) free(this.#device);
    this.#device = null;
  }
}

/** A slot that holds a copy of `initial`. */
export function slot(initial: HostArray, name?: string): Slot {
  return new Slot(initial, name);
}
