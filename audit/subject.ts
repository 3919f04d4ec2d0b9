import { grad, type HostArray, Tensor, tensor } from '../engine/index.ts';
import { isForeign, shown } from '../engine/internal.ts';
import type { StateArray } from '../models/methods/arrayLoss.ts';
import { at, type Matrix } from './arithmetic.ts';
import type { Batch, Precision } from './batch.ts';

/** In which form a loss takes its arrays. */
export type InputForm = 'arrays' | 'typed' | 'tensors';
export const inputForms: readonly InputForm[] = ['arrays', 'typed', 'tensors'];

/** An array as a loss is given it in the form `typed`. */
export interface FlatArray {
  readonly data: Float64Array | Float32Array | Int32Array;
  readonly shape: readonly number[];
}

/** What is asked of a loss: arrays by name, with their shapes, and options. */
export interface Question {
  readonly embeddings: readonly NamedArray[];
  readonly state: readonly NamedArray[];
  readonly options: Batch['options'];
  /** Whether gradients are asked for, too. */
  readonly gradients: boolean;
}

export interface NamedArray extends FlatArray {
  readonly name: string;
}

export interface Answer {
  readonly loss: number;
  /** One for each embedding, where the loss gives them; an embedding that has none, has zeros. */
  readonly gradients: readonly Matrix[] | null;
  /** Arrays of state for the next batch, where the loss gives them, by name. */
  readonly next: Readonly<Record<string, readonly number[]>>;
  /** Arguments that the call changed. */
  readonly changed: readonly string[];
}

/** A loss that threw; that is an answer as well. */
export class LossError extends Error {
  override readonly name = 'LossError';
}

/** Why nothing more can be asked: the loss answers with something that is no loss, hangs, or is gone. */
export class Unauditable extends Error {
  override readonly name = 'Unauditable';
}

/** What can be asked: a function, or a program that answers for one. */
export interface Subject {
  readonly title: string;
  /** How many parameters its function has; 0 where that says nothing. */
  readonly parameters: number;
  /** @throws LossError, Unauditable */
  ask(question: Question): Promise<Answer>;
  /** What it did beside answering, as printing. */
  readonly remarks?: () => readonly string[];
  readonly close?: () => Promise<void> | void;
}

/** A loss: embeddings, then one object of what else it is given. */
export type Loss = (...given: never[]) => unknown;

export function questionOf(
  batch: Batch,
  names: readonly string[],
  state: Readonly<Record<string, StateArray>>,
  precision: Precision,
  gradients: boolean,
): Question {
  const floats = (data: Float64Array): Float64Array | Float32Array => (precision === 'f32' ? Float32Array.from(data) : data.slice());
  return {
    embeddings: batch.embeddings.map(({ rows, columns, data }, i) => ({ name: names[i]!, shape: [rows, columns], data: floats(data) })),
    state: Object.entries(batch.state).map(([name, { rows, columns, data }]) => {
      const { integers, shape } = state[name]!;
      return { name, shape: shape.includes(',') ? [rows, columns] : [columns], data: integers ? Int32Array.from(data) : floats(data) };
    }),
    options: batch.options,
    gradients,
  };
}

const nested = ({ data, shape: [rows, columns] }: FlatArray): number[] | number[][] =>
  columns === undefined
    ? Array.from(data)
    : Array.from({ length: rows! }, (_, i) => Array.from(data.subarray(i * columns, (i + 1) * columns)));

const dtypeOf = (data: FlatArray['data']): HostArray['dtype'] =>
  data instanceof Float64Array ? 'f64' : data instanceof Float32Array ? 'f32' : 'i32';

const forms: Readonly<Record<InputForm, (array: FlatArray) => unknown>> = {
  arrays: nested,
  typed: ({ data, shape }) => ({ data: data.slice(), shape: [...shape] }),
  tensors: ({ data, shape }) => tensor({ dtype: dtypeOf(data), shape, data: data.slice() }),
};

/** The elements of anything that a loss may give for an array, or null. */
function elementsOf(value: unknown): number[] | null {
  if (typeof value === 'number') return [value];
  if (ArrayBuffer.isView(value) && !(value instanceof DataView)) return Array.from(value as unknown as ArrayLike<number>, Number);
  if (Array.isArray(value)) {
    const parts = value.map(elementsOf);
    return parts.every((part) => part !== null) ? parts.flat() : null;
  }
  return typeof value === 'object' && value !== null && 'data' in value && typeof value.data !== 'function' ? elementsOf(value.data) : null;
}

const isTensor = (value: unknown): value is Tensor => value instanceof Tensor;

async function elements(value: unknown): Promise<number[] | null> {
  if (isTensor(value)) return Array.from(await value.data());
  if (Array.isArray(value) && value.some(isTensor)) return null;
  return elementsOf(value);
}

/** What came in the place of a loss, in words. */
function described(value: unknown): string {
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (value instanceof Promise) return 'a promise';
  if (isTensor(value)) return `a tensor of shape [${value.shape.join(', ')}]`;
  if (typeof value === 'object' && value !== null) return `an object with ${Object.keys(value).join(', ') || 'nothing in it'}`;
  return `${typeof value === 'undefined' ? '' : `${typeof value === 'string' ? 'the string' : `the ${typeof value}`} `}${shown(value)}`;
}

/** The number that a loss came to. @throws Unauditable for what is no number. */
async function numberOf(value: unknown): Promise<number> {
  if (typeof value === 'number') return value;
  if (isTensor(value) && value.size === 1) return value.item();
  if (isForeign(value))
    throw new Unauditable('the loss returns a tensor of another copy of tensegrity than the auditor; let both import one');
  throw new Unauditable(`the loss returns ${described(value)}; it must return a number, a tensor of one element, or { loss, gradients? }`);
}

function partsOf(result: unknown): { readonly loss: unknown; readonly gradients: unknown } {
  if (typeof result === 'object' && result !== null && !isTensor(result) && 'loss' in result)
    return { loss: result.loss, gradients: 'gradients' in result ? result.gradients : undefined };
  return { loss: result, gradients: undefined };
}

/** Gradients as matrices. @throws Unauditable for arrays that do not fit the embeddings. */
async function gradientsOf(given: unknown, embeddings: readonly NamedArray[]): Promise<readonly Matrix[] | null> {
  if (given === undefined || given === null) return null;
  const byName = typeof given === 'object' && Object.keys(given).every((key) => embeddings.some(({ name }) => name === key));
  const listed: unknown =
    byName && !Array.isArray(given) ? embeddings.map(({ name }) => (given as Readonly<Record<string, unknown>>)[name]) : given;
  if (!Array.isArray(listed) || listed.length !== embeddings.length)
    throw new Unauditable(
      `gradients must be a list of ${embeddings.length} arrays, as the embeddings are, or an object with ${embeddings.map(({ name }) => name).join(', ')}; got ${described(given)}`,
    );
  const read: Matrix[] = [];
  for (const [i, { name, shape }] of embeddings.entries()) {
    const [rows, columns] = shape as readonly [number, number];
    const data =
      listed[i] === null || listed[i] === undefined ? Array.from({ length: rows * columns }, () => 0) : await elements(listed[i]);
    if (!data || data.length !== rows * columns)
      throw new Unauditable(`the gradient of ${name} must be [${shape.join(', ')}], got ${described(listed[i])}`);
    read.push({ rows, columns, data: Float64Array.from(data) });
  }
  return read;
}

/** A time limit for what is awaited. (A loop that never ends is not awaited: only a process of its own can be ended.) */
export async function within<T>(work: Promise<T>, milliseconds: number, what: string): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Unauditable(`${what} gave no answer within the time limit of ${milliseconds / 1000} s`)),
      milliseconds,
    );
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** A function of this process as what can be asked. */
export function functionSubject(loss: Loss, input: InputForm, timeLimit: number): Subject {
  const call = loss as unknown as (...given: unknown[]) => unknown;
  return {
    title: loss.name || 'the loss',
    parameters: loss.length,
    ask: async (question) => {
      const form = forms[input];
      const given = question.embeddings.map(form);
      const state = question.state.map((array) => [array, form(array)] as const);
      const context = { ...Object.fromEntries(state.map(([{ name }, value]) => [name, value])), ...question.options };
      let result: unknown;
      try {
        const called = call(...given, context);
        result = called instanceof Promise ? await within(called, timeLimit, 'the loss') : called;
      } catch (error) {
        if (error instanceof Unauditable) throw error;
        throw new LossError(error instanceof Error ? error.message : shown(error));
      }
      const { loss: value, gradients: own } = partsOf(result);
      const derived =
        own === undefined && question.gradients && input === 'tensors' && isTensor(value) ? grad(value, given as Tensor[]) : own;
      const number = await numberOf(value);
      const gradients = question.gradients ? await gradientsOf(derived, question.embeddings) : null;
      const next: Record<string, readonly number[]> = {};
      for (const { name } of question.state) {
        const given =
          typeof result === 'object' && result !== null && !isTensor(result) && name in result
            ? (result as Readonly<Record<string, unknown>>)[name]
            : undefined;
        const array = given === undefined ? null : await elements(given);
        if (array) next[name] = array;
      }
      return { loss: number, gradients, next, changed: changes(question, given, state) };
    },
  };
}

function changes(question: Question, given: readonly unknown[], state: readonly (readonly [NamedArray, unknown])[]): string[] {
  const pairs = [...question.embeddings.map((array, i) => [array, given[i]] as const), ...state];
  return pairs.flatMap(([{ name, data }, value]) => {
    // A tensor cannot be changed.
    if (isTensor(value)) return [];
    const now = elementsOf(value);
    return now && now.length === data.length && now.every((x, i) => Object.is(x, data[i])) ? [] : [name];
  });
}

/** The largest absolute element. */
export function largest({ rows, columns, data }: Matrix): { readonly value: number; readonly row: number; readonly column: number } {
  let most = 0;
  for (let k = 0; k < data.length; k++) if (!(Math.abs(data[k]!) <= Math.abs(data[most]!))) most = k;
  const [row, column] = [Math.floor(most / columns), most % columns];
  return { value: rows === 0 ? 0 : at({ rows, columns, data }, row, column), row, column };
}
