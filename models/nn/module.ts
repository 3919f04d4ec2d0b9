import { checkList, checkNames, shown } from '../../engine/arguments.ts';
import { check } from '../../engine/errors.ts';
import { foldIn, type HostArray, type Key, Slot, type Tensor } from '../../engine/index.ts';
import { type LoadOptions, readSlots, type StateDict, writeSlots } from './state.ts';

/** How a module is run. Evaluation is the default: nothing is updated and nothing is random. */
export interface Mode {
  /** Batch statistics instead of running ones, which are updated; dropout drops. */
  readonly train?: boolean;
  /** What random layers draw from, in training. */
  readonly key?: Key;
}

/** A slot that is trained. A module's other slots are buffers: state that is saved, and not trained. */
export class Parameter extends Slot {}

/**
 * A function of tensors with state. Its slots and the modules inside it are its properties, and their names in a state dict are PyTorch's:
 * the properties' names in snake case, joined by dots ('layer1.0.conv1.weight', 'bn1.running_mean').
 */
export abstract class Module {
  abstract forward(x: Tensor, mode?: Mode): Tensor;

  /** What the module is made of, by name; anything that is neither slot nor module is passed over. */
  protected members(): readonly (readonly [name: string, member: unknown])[] {
    return Object.entries(this);
  }

  /** Every slot, parameters and buffers, with its name in a state dict. */
  *namedSlots(prefix = ''): Generator<[name: string, slot: Slot]> {
    for (const [property, member] of this.members()) {
      const name = prefix + property.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
      if (member instanceof Slot) yield [name, member];
      else if (member instanceof Module) yield* member.namedSlots(`${name}.`);
    }
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

  /** The values of all slots now, by PyTorch's names and in its layouts (NCHW, OIHW, [out, in]). */
  stateDict(): Promise<Map<string, HostArray>> {
    return readSlots(this.namedSlots());
  }

  /**
   * Takes values by PyTorch's names. `num_batches_tracked`, which nothing here needs, is passed over.
   * @throws TensegrityError `format` naming what is missing, left over or of the wrong shape; nothing has been changed then.
   */
  loadStateDict(state: StateDict, options?: LoadOptions): void {
    writeSlots(this.namedSlots(), state, this.constructor.name, options);
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
    this.layers = layers;
  }

  protected override members(): readonly (readonly [string, unknown])[] {
    return Object.entries(this.layers);
  }

  override forward(x: Tensor, mode: Mode = {}): Tensor {
    checkNames('Sequential: the mode', mode, { train: false, key: undefined });
    return this.layers.reduce((input, layer, i) => {
      const own = mode.key === undefined ? mode : { ...mode, key: foldIn(mode.key, i) };
      return layer instanceof Module ? layer.forward(input, own) : layer(input, own);
    }, x);
  }
}
