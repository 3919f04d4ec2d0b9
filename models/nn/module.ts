import { foldIn, type HostArray, type Key, Slot, type Tensor } from '../../engine/core.ts';
import { check, checkList, checkNames, isForeign, mark, show, shown } from '../../engine/internal.ts';
import { type LoadOptions, readSlots, type StateDict, writeSlots } from './state.ts';

/** How a module is run. Evaluation is the default: nothing is updated and nothing is random. */
export interface Mode {
  /** Batch statistics instead of running ones, which are updated; dropout drops. */
  readonly train?: boolean;
  /** What random layers draw from, in training. */
  readonly key?: Key;
}

/** The module whose method was called from outside of all modules; null between such calls. */
let running: Module | null = null;

/** What modules list, as far as it has been asked for. */
const listed = new WeakMap<Module, ReadonlySet<Slot>>();

/** A slot of a module, and of no other state. */
export class ModuleSlot extends Slot {
  /** As a slot's. @throws TensegrityError `argument` while a module runs that does not list it, since it would be neither trained nor saved. */
  override get value(): Tensor {
    const root = running;
    if (root && !listed.get(root)?.has(this)) {
      const all = new Set([...root.namedSlots()].map(([, slot]) => slot));
      listed.set(root, all);
      check(
        all.has(this),
        'argument',
        () =>
          `${root.constructor.name}: it computes with ${this.name} ${show(this.shape)}, which is not among its parameters and buffers, so it would be neither trained nor saved. A private field (#x), a closure, and an object that is no module cannot be looked into: make the layer a property, or name it in members()`,
      );
    }
    return super.value;
  }
}

/** A slot that is trained. A module's other slots are buffers: state that is saved, and not trained. */
export class Parameter extends ModuleSlot {}

/** The methods that {@link watch} put in the place of others. */
const watching = new WeakSet();

/** Has a method of a module, of its class or its own, refuse slots of modules that this one does not list. @internal */
export function watch(module: Module, name: string): void {
  const own: unknown = Object.getOwnPropertyDescriptor(module, name)?.value;
  const method = (): unknown => own ?? Reflect.get(Object.getPrototypeOf(module), name);
  if (typeof method() !== 'function' || (typeof own === 'function' && watching.has(own))) return;
  const value = (...args: readonly unknown[]): unknown => {
    const outer = running;
    running ??= module;
    try {
      return Reflect.apply(method() as () => unknown, module, args);
    } finally {
      running = outer;
    }
  };
  watching.add(value);
  Object.defineProperty(module, name, { value, configurable: true, writable: true });
}

type Member = readonly [name: string, member: unknown];

/** What is inside an array, a set, a map or a plain record, of any realm; nothing of anything else. */
function contentsOf(value: object): readonly Member[] {
  const type = Object.prototype.toString.call(value);
  if (Array.isArray(value) || type === '[object Set]') return [...(value as Iterable<unknown>)].map((member, i) => [String(i), member]);
  if (type === '[object Map]') return [...(value as Map<unknown, unknown>)].map(([key, member]) => [String(key), member]);
  const prototype: unknown = Object.getPrototypeOf(value);
  const plain = prototype === null || Object.getPrototypeOf(prototype) === null;
  return plain ? Object.entries(value).map(([key, member]) => [snakeCase(key), member]) : [];
}

function snakeCase(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/**
 * A function of tensors with state. Its slots and the modules inside it are its properties, or in arrays, maps, sets and plain records that are
 * its properties, to any depth. Their names in a state dict are PyTorch's: the properties' names in snake case and the places in arrays, joined
 * by dots ('layer1.0.conv1.weight', 'bn1.running_mean'). What JavaScript hides, private fields (#x) and closures, is not found; that `forward`
 * computes with parameters or running statistics from there is an error.
 */
export abstract class Module {
  static {
    mark(Module, 'Module');
  }

  constructor() {
    watch(this, 'forward');
  }

  abstract forward(x: Tensor, mode?: Mode): Tensor;

  /** What the module is made of, by name: all properties, unless a class says otherwise. */
  protected members(): readonly (readonly [name: string, member: unknown])[] {
    return Reflect.ownKeys(this).map((key) => [typeof key === 'symbol' ? (key.description ?? '') : key, Reflect.get(this, key)]);
  }

  /**
   * The slots inside `member`.
   * @param once each by its first name alone; else by all that it has, as where a layer is in two places.
   * @param seen what is not walked into again.
   * @returns whether the walk was given up at a module, or an array, that holds itself: the names by way of it have no end.
   */
  static *#slots(member: unknown, name: string, once: boolean, seen = new Set<unknown>()): Generator<[name: string, slot: Slot], boolean> {
    if (typeof member !== 'object' || member === null) return false;
    if (seen.has(member)) return !once;
    check(!isForeign(member), 'argument', () => `${name}: is ${shown(member)}`);
    seen.add(member);
    if (member instanceof Slot) yield [name, member];
    else {
      const parts =
        member instanceof Module ? member.members().map(([property, part]) => [snakeCase(property), part] as const) : contentsOf(member);
      for (const [part, inner] of parts) if (yield* Module.#slots(inner, name === '' ? part : `${name}.${part}`, once, seen)) return true;
    }
    if (!once) seen.delete(member);
    return false;
  }

  /** Every slot by every name; by the first alone where modules hold each other in a circle. */
  static #everyName(module: Module): [name: string, slot: Slot][] {
    const walk = Module.#slots(module, '', false);
    const all: [name: string, slot: Slot][] = [];
    let next = walk.next();
    for (; next.done !== true; next = walk.next()) all.push(next.value);
    return next.value ? [...module.namedSlots()] : all;
  }

  /** Every slot, parameters and buffers, with its name in a state dict; one that is in several places, once, by the name of the first. */
  *namedSlots(prefix = ''): Generator<[name: string, slot: Slot]> {
    // Once more: a field may have come in its place, as in `forward = (x) => …`.
    watch(this, 'forward');
    for (const [name, slot] of Module.#slots(this, '', true)) yield [prefix + name, slot];
  }

  /** What is trained, with names; the order is PyTorch's. */
  namedParameters(): [name: string, parameter: Parameter][] {
    return [...this.namedSlots()].filter(([, slot]) => slot instanceof Parameter);
  }

  /** What is trained. */
  parameters(): Parameter[] {
    return this.namedParameters().map(([, parameter]) => parameter);
  }

  /** What is kept and not trained, with names: running statistics. */
  namedBuffers(): [name: string, buffer: Slot][] {
    return [...this.namedSlots()].filter(([, slot]) => !(slot instanceof Parameter));
  }

  /** The values of all slots now, by PyTorch's names and in its layouts (NCHW, OIHW, [out, in]); as there, a shared one by each of its names. */
  stateDict(): Promise<Map<string, HostArray>> {
    return readSlots(Module.#everyName(this));
  }

  /**
   * Takes values by PyTorch's names. `num_batches_tracked`, which nothing here needs, is passed over; of a shared slot any of its names will do.
   * @throws TensegrityError `format` naming what is missing, left over or of the wrong shape; nothing has been changed then.
   */
  loadStateDict(state: StateDict, options?: LoadOptions): void {
    writeSlots(Module.#everyName(this), state, this.constructor.name, options);
  }

  /** Gives the memory of all slots back; not needed in ordinary code. */
  dispose(): void {
    for (const [, slot] of this.namedSlots()) slot.dispose();
  }
}

/** A module, or a function where there is no state. */
export type Layer = Module | ((x: Tensor, mode: Mode) => Tensor);

/** Layers one after the other, named '0', '1', … as PyTorch's; functions count, so that its names fit. Each layer draws from a key of its own. */
export class Sequential extends Module {
  readonly layers: readonly Layer[];

  constructor(layers: readonly Layer[]) {
    super();
    checkList('Sequential: the layers', layers);
    for (const layer of layers) {
      const right = layer instanceof Module || typeof layer === 'function';
      check(right, 'argument', () => `Sequential: a layer must be a Module or a function, got ${shown(layer)}`);
    }
    this.layers = [...layers];
  }

  protected override members(): readonly (readonly [string, unknown])[] {
    return [...Object.entries(this.layers), ...super.members().filter(([name]) => name !== 'layers')];
  }

  override forward(x: Tensor, mode: Mode = {}): Tensor {
    checkNames('Sequential: the mode', mode, { train: false, key: undefined });
    return this.layers.reduce((input, layer, i) => {
      const own = mode.key === undefined ? mode : { ...mode, key: foldIn(mode.key, i) };
      return layer instanceof Module ? layer.forward(input, own) : layer(input, own);
    }, x);
  }
}
