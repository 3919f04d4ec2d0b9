import type { Node } from '../graph.ts';
import { sizeOf } from '../shape.ts';
import type { Slot } from '../slot.ts';
import { contiguous } from './layout.ts';
import type { Located } from './locate.ts';
import type { BufferKind, BufferSpec, Kernel, View } from './plan.ts';

/** Which buffer each value is in. Until kernels are in order a buffer holds one value; of several in one memory each comes over the one before. */
export class Buffers {
  readonly specs: BufferSpec[] = [];
  /** Which buffer one comes over: all that read that must be done by then. */
  readonly over = new Map<number, number>();
  readonly outputs: number[] = [];
  /** What the buffers of each kind stand for, in order. */
  readonly inputs: Node[] = [];
  readonly constants: Node[] = [];
  readonly slots: Slot[] = [];
  readonly #locate: (node: Node) => Located;
  readonly #numbers = new Map<Node | Slot, number>();

  constructor(locate: (node: Node) => Located) {
    this.#locate = locate;
  }

  /** A new buffer, of a value's type and extents. */
  add(kind: BufferKind, { dtype, shape }: Pick<Node, 'dtype' | 'shape'>, name = ''): number {
    return this.specs.push({ kind, dtype, length: sizeOf(shape), offset: 0, name }) - 1;
  }

  /** Puts a value into a buffer. */
  put(value: Node | Slot, buffer: number): number {
    this.#numbers.set(value, buffer);
    return buffer;
  }

  /** Puts a value into the memory of a buffer, over what that holds. */
  putOver(value: Node, before: number): void {
    const { kind, name } = this.specs[before]!;
    this.over.set(this.put(value, this.add(kind, value, name)), before);
  }

  /** Puts what is in memory before the plan runs. */
  putSource(node: Node, isConstant: boolean): void {
    if (node.is('slot')) this.put(node, this.ofSlot(node.attributes.slot));
    else if (isConstant) this.put(node, this.add('constant', node, `const${this.constants.push(node) - 1}`));
    else this.put(node, this.add('input', node, `in${this.inputs.push(node) - 1}`));
  }

  has(node: Node): boolean {
    return this.#numbers.has(node);
  }

  /** The buffer of a stored value; a scratch one, unless it has been put elsewhere. */
  of(node: Node): number {
    return this.#numbers.get(node) ?? this.put(node, this.add('scratch', node));
  }

  ofSlot(slot: Slot): number {
    const known = this.#numbers.get(slot);
    if (known !== undefined) return known;
    this.slots.push(slot);
    return this.put(slot, this.add('slot', slot, slot.name));
  }

  /** A value as it lies where it is stored. */
  view(node: Node): View {
    const { base, layout } = this.#locate(node);
    return { buffer: this.of(base), dtype: node.dtype, shape: layout.shape, strides: layout.strides, offset: layout.offset };
  }

  /** That value copied to another buffer, of which it is the whole. */
  copy(node: Node, buffer: number): Kernel {
    return { kind: 'copy', inputs: [this.view(node)], outputs: [{ buffer, dtype: node.dtype, ...contiguous(node.shape) }] };
  }

  /** The buffers that there are when those in one memory are one, and the number of each among them. */
  merged(): { readonly specs: readonly BufferSpec[]; readonly numbers: readonly number[] } {
    const specs: BufferSpec[] = [];
    const numbers: number[] = [];
    for (const [buffer, spec] of this.specs.entries()) {
      const before = this.over.get(buffer);
      numbers.push(before === undefined ? specs.push(spec) - 1 : numbers[before]!);
    }
    return { specs, numbers };
  }
}
