import type { KernelKind, KernelOf, Plan, View } from '../../compiler/plan.ts';
import type { DType } from '../../dtype.ts';
import { contiguousStrides, sameShape } from '../../shape.ts';
import { wgslType } from './expressions.ts';
import { functionsCalledIn } from './functions.ts';

/** One dispatch: its WGSL, the plan's buffers behind bindings 0, 1, …, and how many workgroups run. */
export interface Shader {
  readonly code: string;
  readonly buffers: readonly number[];
  readonly workgroups: readonly [number, number, number];
}

/** The dispatches that make up a kernel. */
export type Emitter<K extends KernelKind> = (kernel: KernelOf<K>, plan: Plan) => Shader[];

export const THREADS = 64;
/** How many workgroups WebGPU allows along one axis; larger grids go on in the next row. */
const ROW = 65535;

/**
 * A shader of `groups` workgroups of 64 threads over some views. In `body`, `group` and `thread` are its place, as i32.
 * A buffer is bound once, read-write if any view writes it, since WebGPU forbids binding one both ways.
 */
export function linearShader(groups: number, views: Views, declarations: string, body: string): Shader {
  const code = `${declarations}
@compute @workgroup_size(${THREADS})
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) local: u32) {
let group = i32(workgroup.x + workgroup.y * ${ROW}u);
let thread = i32(local);
${body}
}`;
  return assemble(code, views, [Math.min(groups, ROW), Math.ceil(groups / ROW), 1]);
}

/** Adds to a shader its bindings and the functions that it calls. */
export function assemble(code: string, views: Views, workgroups: Shader['workgroups']): Shader {
  return { code: [views.declarations, functionsCalledIn(code), code].filter(Boolean).join('\n'), buffers: views.buffers, workgroups };
}

/** The buffers behind a kernel's views, as bindings `b0`, `b1`, …, and how to load from and store to them. */
export class Views {
  readonly buffers: readonly number[];
  readonly declarations: string;
  readonly #written: ReadonlySet<number>;

  constructor(inputs: readonly View[], outputs: readonly View[]) {
    const views = [...inputs, ...outputs];
    this.#written = new Set(outputs.map(({ buffer }) => buffer));
    this.buffers = [...new Set(views.map(({ buffer }) => buffer))];
    this.declarations = this.buffers
      .map((buffer, binding) => {
        const written = this.#written.has(buffer);
        const element = elementTypes[views.find((view) => view.buffer === buffer)!.dtype];
        return `@group(0) @binding(${binding}) var<storage, ${written ? 'read_write' : 'read'}> b${binding}: array<${element(written)}>;`;
      })
      .join('\n');
  }

  /** An expression for the element at `place`: a f32, or a i32. */
  load(view: View, place: string): string {
    if (view.dtype !== 'u8') return `${this.#name(view)}[${place}]`;
    const word = `${this.#name(view)}[(${place}) >> 2u]`;
    return `i32(((${this.#written.has(view.buffer) ? `atomicLoad(&${word})` : word}) >> (u32((${place}) & 3) * 8u)) & 255u)`;
  }

  /** Bytes share a word with those that other threads write: theirs are kept by clearing and setting ours atomically. */
  store(view: View, place: string, value: string): string {
    if (view.dtype !== 'u8') return `${this.#name(view)}[${place}] = ${value};`;
    const [word, shift] = [`&${this.#name(view)}[(${place}) >> 2u]`, `(u32((${place}) & 3) * 8u)`];
    return `atomicAnd(${word}, ~(255u << ${shift}));\natomicOr(${word}, (u32(${value}) & 255u) << ${shift});`;
  }

  #name({ buffer }: View): string {
    return `b${this.buffers.indexOf(buffer)}`;
  }
}

/** Bytes are packed, four to a word. */
const elementTypes: { readonly [D in DType]: (written: boolean) => string } = {
  f32: () => 'f32',
  f64: () => wgslType('f64'),
  i32: () => 'i32',
  u8: (written) => (written ? 'atomic<u32>' : 'u32'),
};

/** Where an element is in its buffer, by its coordinates. */
export function placeOf({ shape, strides, offset }: View, coordinates: readonly string[]): string {
  const terms = strides.flatMap((stride, axis) => (shape[axis] === 1 || stride === 0 ? [] : [`${coordinates[axis]} * ${stride}`]));
  return [offset, ...terms].join(' + ');
}

/** Statements that name the coordinates of row-major position `i`, and from them the place of each view as `${name}0`, `${name}1`, …. */
export function placeStatements(index: string, views: readonly View[], name: string): string {
  const shape = views[0]?.shape ?? [];
  const strides = contiguousStrides(shape);
  // An empty shape has strides of 0, by which even code that never runs may not divide.
  const coordinates = shape.map((extent, axis) => `((${index} / ${strides[axis] || 1}) % ${extent || 1})`);
  return views
    .map((view, k) => `let ${name}${k} = ${sameShape(view.strides, strides) ? `${view.offset} + ${index}` : placeOf(view, coordinates)};`)
    .join('\n');
}
