import type { KernelKind, KernelOf, View } from '../../compiler/plan.ts';
import type { DType } from '../../dtype.ts';
import { check } from '../../errors.ts';
import { type Shape, sizeOf } from '../../shape.ts';
import { wgslType } from './expressions.ts';
import { coordinateStatements, placeOf } from './indices.ts';
import type { MatrixUnit } from './tile.ts';

/** What a kernel, or one stage of it, has workgroups do. Several may become one dispatch: see merge.ts. */
export interface Shader {
  /** The kernel's kind, or its stage: a name for its function in WGSL. */
  readonly name: string;
  /** What stands at module scope, by the name that it declares: workgroup memory, structures, functions. Equal ones are written once. */
  readonly declarations: Readonly<Record<string, string>>;
  /** Statements of a function of `group`, which of the workgroups this is, and `thread`, which of its threads, both i32, and if it is mentioned `subgroup`, which of its subgroups, a u32. They may return. */
  readonly body: string;
  /** How many threads a workgroup has. */
  readonly threads: number;
  /** How many workgroups run. */
  readonly groups: number;
  /** Bytes of workgroup memory that it declares. */
  readonly workgroupBytes: number;
  /** Whether it writes other elements than the stage of its kernel before it, so that neither waits for the other. */
  readonly besides: boolean;
  /** What `b0`, `b1`, … are in `body` and `declarations`. */
  readonly bindings: readonly Binding[];
  /** The buffers that it reads and writes: what it must wait for, and what waits for it. */
  readonly reads: ReadonlySet<number>;
  readonly writes: ReadonlySet<number>;
}

/** An array in a buffer's memory; of a buffer that is written there is one at most. */
export interface Binding {
  readonly memory: number;
  readonly element: string;
  readonly written: boolean;
}

/** What emitters know of where their shaders will run. */
export interface Gpu {
  /** Workgroup memory that one workgroup may have, in bytes. */
  readonly workgroupBytes: number;
  /** Threads that one workgroup may have. */
  readonly threads: number;
  /** Threads that should run at once. */
  readonly parallelism: number;
  /** Elements that one output is folded of at once: counters are i32, and go on beyond the end by what threads take together. */
  readonly mostFolded: number;
  /** Whether a CPU plays the GPU. */
  readonly software: boolean;
  /** Threads that can exchange values without workgroup memory; 1 where none can. */
  readonly subgroupSize: number;
  /** See {@link DeviceOptions}. */
  readonly f16: boolean;
  /** The matrix unit that products may use. */
  readonly unit: MatrixUnit | null;
}

/** What emitters write their shaders for. */
export interface Context {
  readonly gpu: Gpu;
  /** A new buffer for what one stage of a kernel leaves to the next, as a view of all of it: with any values in it. */
  temporary(dtype: DType, shape: Shape): View;
  /** Where a buffer lies: small ones share memory. The offset is in elements; `half` ones are 16-bit floats. */
  placeOf(buffer: number): { readonly memory: number; readonly offset: number; readonly half: boolean };
}

/** The stages of a kernel that has something to write, in the order in which they run. */
export type Emitter<K extends KernelKind> = (kernel: KernelOf<K>, context: Context) => Shader[];

export const THREADS = 64;

/** Whatever else is counted is at most this, so that what a last workgroup counts beyond it is an i32 too. */
const MOST_COUNT = 2 ** 31 - 2 ** 16;

/** @throws TensegrityError `backend` for more elements than WGSL's i32 counts. */
export function checkCounts(what: string, counts: readonly number[]): void {
  const count = counts.reduce((largest, one) => Math.max(largest, one), 0);
  check(
    count <= MOST_COUNT,
    'backend',
    () => `the webgpu backend counts at most ${MOST_COUNT} elements in a ${what}, and this one has ${count}; split the tensor`,
  );
}

/** How many buffers a kernel, and a dispatch, may touch: what every WebGPU has. */
export const BINDINGS = 8;

export function range(length: number): number[] {
  return [...Array(length).keys()];
}

/** The least power of 2 that is no less. */
export function powerOf2(n: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(1, n)));
}

const bytesOf: Readonly<Record<string, number>> = { f16: 2, 'vec4<f32>': 16 };

/** Variables in workgroup memory, by their names: one of a type, or an array of so many. Of a structure, it is to be said how many bytes one has. */
export function workgroupMemory(
  variables: Readonly<Record<string, readonly [type: string, length?: number, bytes?: number]>>,
): Pick<Shader, 'declarations' | 'workgroupBytes'> {
  const entries = Object.entries(variables);
  return {
    declarations: Object.fromEntries(
      entries.map(([name, [type, length]]) => [
        name,
        `var<workgroup> ${name}: ${length === undefined ? type : `array<${type}, ${length}>`};`,
      ]),
    ),
    workgroupBytes: entries.reduce((sum, [, [type, length = 1, bytes = bytesOf[type] ?? 4]]) => sum + bytes * length, 0),
  };
}

/** Statements about each `e` below `count`, in which the threads of a workgroup take turns. */
export function inTurns(count: string, threads: number, statements: string): string {
  return `for (var e = thread; e < ${count}; e += ${threads}) {\n${statements}\n}`;
}

/** Statements that bring `low` to the first place below `high` of which `before` does not hold, an expression about `middle` and what `look` declares; else to `high`. */
export function bisect(look: string, before: string): string {
  return `while (low < high) {
let middle = (low + high) / 2;
${look}
if (${before}) { low = middle + 1; } else { high = middle; }
}`;
}

/** Whole numbers that a shader's text calls by name. */
export function constants(numbers: Readonly<Record<string, number>>): Shader['declarations'] {
  return Object.fromEntries(Object.entries(numbers).map(([name, value]) => [name, `const ${name} = ${value};`]));
}

/** The buffers behind a kernel's views, as arrays `b0`, `b1`, …, and how to load from and store to them. */
export class Views {
  readonly bindings: readonly Binding[];
  readonly reads: ReadonlySet<number>;
  readonly writes: ReadonlySet<number>;
  readonly #context: Context;

  constructor(context: Context, inputs: readonly View[], outputs: readonly View[]) {
    this.#context = context;
    this.reads = new Set(inputs.map(({ buffer }) => buffer));
    this.writes = new Set(outputs.map(({ buffer }) => buffer));
    const memoryOf = ({ buffer }: View): number => context.placeOf(buffer).memory;
    const written = new Set(outputs.map(memoryOf));
    const views = new Map([...inputs, ...outputs].map((view) => [memoryOf(view), view]));
    this.bindings = [...views].map(([memory, { buffer, dtype }]) => ({
      memory,
      element: context.placeOf(buffer).half ? 'f16' : elementTypes[dtype](written.has(memory)),
      written: written.has(memory),
    }));
  }

  /** A shader of `groups` workgroups over these views; `parts` may say more of it, or otherwise. */
  shader(parts: Pick<Shader, 'name' | 'groups' | 'body'> & Partial<Shader>): Shader {
    const { bindings, reads, writes } = this;
    return { declarations: {}, threads: THREADS, workgroupBytes: 0, besides: false, bindings, reads, writes, ...parts };
  }

  /** A shader with a thread for each element of this shape: `body` is about its row-major position `i`, and its coordinates by these names. */
  forEach(shape: Shape, coordinates: readonly string[], { body, ...parts }: Pick<Shader, 'name' | 'body'> & Partial<Shader>): Shader {
    const size = sizeOf(shape);
    return this.shader({
      ...parts,
      groups: Math.ceil(size / THREADS),
      body: `let i = group * ${THREADS} + thread;
if (i >= ${size}) { return; }
${coordinateStatements('i', shape, coordinates)}
${body}`,
    });
  }

  /** An expression for the element at a place, or of these coordinates: a f32, or a i32. */
  load(view: View, place: Place): string {
    const { element, word, shift, written, half } = this.#locate(view, place);
    if (half) return `f32(${element})`;
    if (view.dtype !== 'u8') return element;
    return `i32(((${written ? `atomicLoad(&${word})` : word}) >> ${shift}) & 255u)`;
  }

  /** Bytes share a word with those that other threads write: theirs are kept by clearing and setting ours atomically. */
  store(view: View, place: Place, value: string): string {
    const { element, word, shift, half } = this.#locate(view, place);
    if (half) return `${element} = f16(${value});`;
    if (view.dtype !== 'u8') return `${element} = ${value};`;
    return `atomicAnd(&${word}, ~(255u << ${shift}));\natomicOr(&${word}, (u32(${value}) & 255u) << ${shift});`;
  }

  /** An element; or, of bytes, the word that it is in and how far it is shifted there. */
  #locate(view: View, place: Place): { element: string; word: string; shift: string; written: boolean; half: boolean } {
    const { memory, offset, half } = this.#context.placeOf(view.buffer);
    const binding = this.bindings.findIndex((each) => each.memory === memory);
    const at = `${typeof place === 'string' ? place : placeOf(view, place)}${offset === 0 ? '' : ` + ${offset}`}`;
    const [element, word] = [at, `(${at}) >> 2u`].map((index) => `b${binding}[${index}]`) as [string, string];
    return { element, word, shift: `(u32((${at}) & 3) * 8u)`, written: this.bindings[binding]!.written, half };
  }
}

/** An expression for where an element is in its buffer, or such for its coordinates. */
type Place = string | readonly string[];

/** Bytes are packed, four to a word. */
const elementTypes: { readonly [D in DType]: (written: boolean) => string } = {
  f32: () => 'f32',
  f64: () => wgslType('f64'),
  i32: () => 'i32',
  u8: (written) => (written ? 'atomic<u32>' : 'u32'),
};
