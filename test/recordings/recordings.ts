import { readFileSync } from 'node:fs';
import type { HostArray } from '../../engine/dtype.ts';
import { parseSafetensors } from '../../models/io/safetensors.ts';

/** One recorded computation; README.md says what each field holds. Families add fields of their own. */
export interface Case {
  readonly name: string;
  readonly op: string;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Per output; null where the output is not differentiated. Absent where nothing is. */
  readonly cotangents?: readonly (string | null)[];
  /** Per input; null where the input is not differentiated. Absent where nothing is. */
  readonly gradients?: readonly (string | null)[];
  readonly inputNames?: readonly string[];
  readonly outputNames?: readonly string[];
  /** PyTorch's choice at a kink or among equals. */
  readonly tie?: boolean;
  /** NaN, infinities, signed zeros; forward only. */
  readonly special?: boolean;
  /** The gradient of a symmetric matrix is recorded as (g + gᵀ) / 2. */
  readonly symmetric?: boolean;
  /** Only the triangle that is read has a gradient. */
  readonly triangularGradient?: boolean;
  /** max|a−b| / max|b| of PyTorch's own float32 on this case. */
  readonly torchFloat32Error?: { readonly outputs: readonly number[]; readonly gradients?: readonly (number | null)[] };
}

export interface Recording<C = Case> {
  readonly cases: readonly C[];
  readonly tensors: ReadonlyMap<string, HostArray>;
  /** The tensor of that name, or an error that names it. */
  tensor(name: string): HostArray;
}

/** Reads `<family>.safetensors` of this folder. */
export function readRecording<C = Case>(family: string): Recording<C> {
  const { tensors, metadata } = parseSafetensors(readFileSync(new URL(`./${family}.safetensors`, import.meta.url)));
  const tensor = (name: string): HostArray => {
    const found = tensors.get(name);
    if (found === undefined) throw new Error(`${family}.safetensors holds no '${name}'`);
    return found;
  };
  return { cases: JSON.parse(metadata.get('cases') ?? '[]') as C[], tensors, tensor };
}

/** u[i] in [0, 1): MurmurHash3's finaliser over i + stream · 0x9e3779b9, ÷ 2³². `uniform` of record.py, bit for bit. */
export function uniformAt(stream: number, i: number): number {
  let h = (i + Math.imul(stream, 0x9e3779b9)) | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return ((h ^ (h >>> 16)) >>> 0) / 4294967296;
}

/** amplitude · (2u − 1), rounded to f32: the images (amplitude 2) and cotangents (1) of networks.safetensors. */
export function signed(stream: number, length: number, amplitude = 1): Float64Array {
  return Float64Array.from({ length }, (_, i) => Math.fround(amplitude * (2 * uniformAt(stream, i) - 1)));
}

/** The value that record.py gives to a network's parameter or buffer, from the description in the case. */
export function formulaWeights({ name, shape, stream }: { name: string; shape: readonly number[]; stream: number }): Float64Array {
  const length = shape.reduce((a, b) => a * b, 1);
  const bound = Math.sqrt(6 / shape.slice(1).reduce((a, b) => a * b, 1));
  const value = (s: number): number => {
    if (shape.length >= 2) return bound * s;
    return name.endsWith('weight') || name.endsWith('running_var') ? 1 + 0.5 * s : s / 5;
  };
  return Float64Array.from({ length }, (_, i) => Math.fround(value(2 * uniformAt(stream, i) - 1)));
}

/** [sum, L2 norm, dot with 2·uniform(stream) − 1, L1 norm] and the first eight values: how large gradients are recorded. */
export function digest(values: ArrayLike<number>, stream: number): { stats: [number, number, number, number]; head: number[] } {
  let [sum, squares, dot, absolute] = [0, 0, 0, 0];
  for (let i = 0; i < values.length; i++) {
    const v = values[i]!;
    sum += v;
    squares += v * v;
    dot += v * (2 * uniformAt(stream, i) - 1);
    absolute += Math.abs(v);
  }
  return {
    stats: [sum, Math.sqrt(squares), dot, absolute],
    head: Array.from({ length: Math.min(8, values.length) }, (_, i) => values[i]!),
  };
}

/** One batch of views [batch, 1, size, size] for the trajectory: `textures` of record.py, bit for bit. */
export function textures(step: number, view: number, batch = 32, size = 14): Float64Array {
  const out = new Float64Array(batch * size * size);
  const place = (at: number): number => (at + 0.5) * (28 / size) - 0.5;
  const triangle = (t: number): number => Math.abs(2 * (t - Math.floor(t)) - 1);
  for (let i = 0; i < batch; i++) {
    const g = batch * step + i;
    const u = (k: number): number => uniformAt(10, 16 * g + k);
    const w = (k: number): number => uniformAt(11 + view, 16 * g + k);
    const zoom = 0.6 + 0.4 * w(2);
    const flipped = w(3) < 0.5;
    const [shiftX, shiftY] = [8 * (w(0) - 0.5), 8 * (w(1) - 0.5)];
    const [fx, fy, fc] = [0.5 + 2.5 * u(0), 0.5 + 2.5 * u(1), 0.5 + 3 * u(7)];
    const [phase, crossPhase] = [u(2), u(8)];
    const [centreX, centreY, r, bright] = [28 * u(3), 28 * u(4), 4 + 8 * u(5), 2 * u(6)];
    const [contrast, offset] = [0.6 + 0.8 * w(4), 0.4 * (w(5) - 0.5)];
    for (let row = 0; row < size; row++) {
      for (let column = 0; column < size; column++) {
        const [x, y] = [place(column), place(row)];
        const px = 13.5 + zoom * ((flipped ? 27 - x : x) - 13.5) + shiftX;
        const py = 13.5 + zoom * (y - 13.5) + shiftY;
        const wave = triangle((fx * px) / 28 + (fy * py) / 28 + phase);
        const cross = triangle((fc * (px - py)) / 28 + crossPhase);
        const [dx, dy] = [px - centreX, py - centreY];
        const blob = Math.max(0, 1 - (dx * dx + dy * dy) / (r * r));
        out[(i * size + row) * size + column] = Math.fround(contrast * (1.2 * wave + 0.8 * cross + bright * blob - 1.2) + offset);
      }
    }
  }
  return out;
}
