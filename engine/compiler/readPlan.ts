/** The structure of a plan, field by field, read from any value whatever: a file, another process, a careless hand. */
import { type DType, dtypes } from '../dtype.ts';
import { type ScalarName, scalars } from '../scalar.ts';
import type {
  BufferKind,
  BufferSpec,
  Constant,
  ConvKernel,
  GridSampleKernel,
  Instruction,
  Kernel,
  KernelKind,
  KernelOf,
  Plan,
  PoolKernel,
  Program,
  Reduction,
  ScanKernel,
  View,
} from './plan.ts';

/** Reads a value of the type it promises. What does not fit is a fault, and what is returned then is nobody's: see {@link readAs}. */
export type Field<T> = (value: unknown, reader: Reader) => T;
type Fields<T> = { readonly [Name in keyof T]-?: Field<T[Name]> };

/** So many faults tell what is wrong. */
const MOST_FAULTS = 20;
/** A plan of a hundred thousand kernels has some millions; a list that never ends has more. */
const MOST_VALUES = 2 ** 24;
/** What kernels take as a parameter, in 32 bits. */
const MOST = 2 ** 31 - 1;

class Enough extends Error {}

class Reader {
  readonly faults: string[] = [];
  readonly #path: (string | number)[] = [];
  #values = 0;

  /** @throws Enough where there is no use in reading on. */
  fault(what: string): void {
    this.faults.push(`${this.#where()} ${what}`);
    if (this.faults.length >= MOST_FAULTS) throw new Enough();
  }

  at<T>(name: string | number, value: unknown, field: Field<T>): T {
    this.#path.push(name);
    if (++this.#values > MOST_VALUES) {
      this.fault('is one value too many');
      throw new Enough();
    }
    const read = field(value, this);
    this.#path.pop();
    return read;
  }

  #where(): string {
    return ['plan', ...this.#path].reduce<string>(
      (text, name, k) => text + (k && typeof name === 'string' ? `.${name}` : k ? `[${name}]` : name),
      '',
    );
  }
}

/**
 * A copy of the value that holds what the field says and nothing else, or what keeps it from being one. Whatever the value does afterwards, or when
 * it is read once more, the copy stays.
 */
export function readAs<T>(
  field: Field<T>,
  value: unknown,
): { readonly read: T; readonly faults: readonly [] } | { readonly read: null; readonly faults: readonly string[] } {
  const reader = new Reader();
  try {
    const read = field(value, reader);
    return reader.faults.length === 0 ? { read, faults: [] } : { read: null, faults: reader.faults };
  } catch (error) {
    // Getters and proxies may throw whatever they like.
    const faults = error instanceof Enough ? reader.faults : [...reader.faults, 'the plan threw while it was read; a plan is plain data'];
    return { read: null, faults };
  }
}

/** A value as faults show it: short, and on one line. */
function brief(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value);
  if (typeof value === 'number') return Object.is(value, -0) ? '-0' : String(value);
  if (value === null || value === undefined || typeof value === 'boolean') return String(value);
  return Array.isArray(value) ? 'an array' : `${typeof value === 'object' ? 'an' : 'a'} ${typeof value}`;
}

function fieldOf<T>(what: string, fits: (value: unknown) => boolean, read = (value: unknown): T => value as T): Field<T> {
  return (value, reader) => {
    if (!fits(value)) reader.fault(`is ${brief(value)}, not ${what}`);
    return read(value);
  };
}

/** Without the sign of zero, which a flipped stride may have and nothing means. */
export function whole(least: number, most = Number.MAX_SAFE_INTEGER): Field<number> {
  const range = least < 0 ? 'a whole number' : `a whole number ≥ ${least}`;
  const fits = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most;
  return fieldOf(
    most === MOST ? `${range} of 31 bits` : range,
    fits,
    // A number, or a fault.
    (value) => (typeof value === 'number' ? value + 0 : 0),
  );
}

export function choice<Name extends string>(table: { readonly [N in Name]: unknown }): Field<Name> {
  return fieldOf(`one of ${Object.keys(table).join(', ')}`, (value) => typeof value === 'string' && Object.hasOwn(table, value));
}

export function list<T>(item: Field<T>, length?: number): Field<readonly T[]> {
  return (value, reader) => {
    const items: T[] = [];
    if (!Array.isArray(value) || (length === undefined ? value.length > MOST_VALUES : value.length !== length)) {
      reader.fault(
        `is ${Array.isArray(value) ? `${value.length} values` : brief(value)}, not a list${length === undefined ? '' : ` of ${length}`}`,
      );
      return items;
    }
    for (let k = 0; k < value.length; k++) items.push(reader.at(k, value[k], item));
    return items;
  };
}

/** @param open whether there may be other fields. */
export function record<T>(fields: Fields<T>, open = false): Field<T> {
  const names = Object.keys(fields) as (keyof T & string)[];
  return (value, reader) => {
    const copy: Partial<T> = {};
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      reader.fault(`is ${brief(value)}, not a record { ${names.join(', ')} }`);
      return copy as T;
    }
    for (const name of names) {
      // Each is read once, and its own: what a prototype has does not count.
      if (Object.hasOwn(value, name)) copy[name] = reader.at(name, (value as Record<string, unknown>)[name], fields[name]);
      else reader.fault(`has no ${name}`);
    }
    for (const name of open ? [] : Object.keys(value))
      if (!Object.hasOwn(fields, name)) reader.fault(`has ${brief(name)}, which is no field of it`);
    return copy as T;
  };
}

function orNull<T>(field: Field<T>): Field<T | null> {
  return (value, reader) => (value === null ? null : field(value, reader));
}

const number = fieldOf<number>('a number', (value) => typeof value === 'number');
export const text = fieldOf<string>('a text', (value) => typeof value === 'string');
const flag = fieldOf<boolean>('true or false', (value) => typeof value === 'boolean');
export const count = whole(0);
export const counts = list(count);
const integer = whole(-Infinity);
// As long as it is checked to be.
const pair = (least: number) => list(whole(least, MOST), 2) as Field<readonly [number, number]>;

export const dtype = choice<DType>(dtypes);
const lane = choice<Instruction['lane']>({ f32: 1, f64: 1, i32: 1 });

const view = record<View>({ buffer: count, dtype, shape: counts, strides: list(integer), offset: integer });
const views = list(view);

const program = record<Program>({
  inputs: count,
  constants: list(record<Constant>({ value: number, lane })),
  instructions: list(record<Instruction>({ op: choice<ScalarName>(scalars), lane, operands: counts, register: count })),
  registers: count,
  results: counts,
});

const kindOf = <K extends KernelKind>(kind: K): Field<K> => choice<K>({ [kind]: 1 } as { readonly [N in K]: unknown });
const base = <K extends KernelKind>(kind: K) => ({ kind: kindOf(kind), inputs: views, outputs: views });
const product = { epilogue: orNull(program) };

const kernels: { readonly [K in KernelKind]: Field<KernelOf<K>> } = {
  map: record({ ...base('map'), shape: counts, program }),
  reduce: record({
    ...base('reduce'),
    shape: counts,
    reduced: count,
    program,
    reductions: list(choice<Reduction>({ sum: 1, prod: 1, max: 1, min: 1, argmax: 1, argmin: 1 })),
  }),
  scan: record({ ...base('scan'), fn: choice<ScanKernel['fn']>({ sum: 1, prod: 1 }) }),
  matmul: record({ ...base('matmul'), ...product }),
  conv: record({
    ...base('conv'),
    ...product,
    direction: choice<ConvKernel['direction']>({ forward: 1, input: 1, weight: 1 }),
    stride: pair(1),
    padding: pair(0),
    dilation: pair(1),
    groups: whole(1, MOST),
  }),
  pool: record({
    ...base('pool'),
    mode: choice<PoolKernel['mode']>({ max: 1, argmax: 1, sum: 1, sumTranspose: 1 }),
    kernel: pair(1),
    stride: pair(1),
    padding: pair(0),
  }),
  gather: record(base('gather')),
  scatterAdd: record(base('scatterAdd')),
  scatter: record(base('scatter')),
  gridSample: record({ ...base('gridSample'), padding: choice<GridSampleKernel['padding']>({ zeros: 1, border: 1 }), alignCorners: flag }),
  cholesky: record(base('cholesky')),
  triangularSolve: record({ ...base('triangularSolve'), lower: flag, transpose: flag }),
  eigh: record(base('eigh')),
  argsort: record({ ...base('argsort'), descending: flag }),
  copy: record(base('copy')),
  pad: record({ ...base('pad'), before: counts, value: number }),
  concat: record({ ...base('concat'), axis: count }),
};

/** Every kind of kernel. */
export const kernelKinds = Object.keys(kernels) as readonly KernelKind[];

const anyKernel = record({ kind: choice(kernels) }, true);

/** Which kind a kernel is says which other fields it has. */
const kernel: Field<Kernel> = (value, reader) => {
  const { kind } = anyKernel(value, reader);
  // Only a fault names a kind that the table has not.
  const field: Field<Kernel> = kind !== undefined && Object.hasOwn(kernels, kind) ? kernels[kind] : () => value as Kernel;
  return field(value, reader);
};

export const plan = record<Plan>({
  buffers: list(
    record<BufferSpec>({
      kind: choice<BufferKind>({ input: 1, constant: 1, slot: 1, output: 1, scratch: 1 }),
      dtype,
      length: count,
      offset: count,
      name: text,
    }),
  ),
  kernels: list(kernel),
  inputs: counts,
  constants: counts,
  slots: counts,
  outputs: counts,
  arenaBytes: count,
  fused: count,
});
