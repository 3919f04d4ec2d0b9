/** What types promise, checked: they do not hold in plain JavaScript, where a misspelt option would be ignored and a missing argument end in a TypeError. */
import { check, TensegrityError, visible } from './errors.ts';

/** Defaults of options by name; undefined where there is none, or where the reader checks the value itself. */
type Defaults<Given> = { readonly [Name in keyof Given]-?: Given[Name] | undefined };

/** Options with defaults in the place of what is not given. */
type Complete<Given, Filled> = {
  readonly [Name in keyof Given]-?: Name extends keyof Filled
    ? Filled[Name] extends undefined
      ? Given[Name]
      : Exclude<Given[Name], undefined>
    : never;
};

/**
 * The options of a call, defaults filled in. A value is of its default's type, and a number is finite.
 * @throws TensegrityError `argument` naming the option, and what would be right.
 */
export function options<Given extends object, Filled extends Defaults<Given>>(
  what: string,
  given: Given,
  defaults: Filled,
): Complete<Given, Filled> {
  // Every name is one of the defaults', and every value has its type.
  return filled(what, given, defaults) as Complete<Given, Filled>;
}

/** As {@link options}, where the names are not known to the type checker. */
export function filled(what: string, given: object, defaults: object): object {
  checkNames(what, given, defaults);
  const complete: Record<string, unknown> = { ...defaults };
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined) continue;
    const type = typeof complete[name];
    check(
      type === 'undefined' || typeof value === type,
      'argument',
      () => `${what}: ${name} must be ${type === 'object' ? 'an' : 'a'} ${type}, got ${shown(value)}`,
    );
    const list = Array.isArray(complete[name]);
    check(!list || Array.isArray(value), 'argument', () => `${what}: ${name} must be an array, got ${shown(value)}`);
    check([value].flat().every(finite), 'argument', () => `${what}: ${name} must be finite, got ${String(value)}`);
    // What becomes of a list later does not matter.
    complete[name] = Array.isArray(value) ? [...value] : value;
  }
  return complete;
}

function finite(value: unknown): boolean {
  return typeof value !== 'number' || Number.isFinite(value);
}

/** @throws TensegrityError `argument` unless `given` is a record whose names are all among those of `known`. */
export function checkNames(what: string, given: unknown, known: object): void {
  const names = Object.keys(known);
  const record = typeof given === 'object' && given !== null && !Array.isArray(given);
  check(record, 'argument', () => `${what}: options are a record { ${names.join(', ')} }, got ${shown(given)}`);
  for (const name of Object.keys(given as object)) {
    check(
      Object.hasOwn(known, name),
      'argument',
      () => `${what}: there is no option ${shown(name)}; ${names.length > 0 ? `there are ${names.join(', ')}` : 'there are none'}`,
    );
  }
}

/** @throws TensegrityError `argument` unless `value` is one of `choices`. */
export function checkChoice(what: string, value: string, choices: readonly string[]): void {
  check(choices.includes(value), 'argument', () => `${what}: there is no ${shown(value)}; there are ${choices.join(', ')}`);
}

/** @throws TensegrityError `argument` for anything but an array. */
export function checkList(what: string, value: unknown): asserts value is readonly unknown[] {
  check(Array.isArray(value), 'argument', () => `${what} must be an array, got ${shown(value)}`);
}

/** @throws TensegrityError `argument` for anything but a record, whatever its names. */
export function checkRecord(what: string, value: unknown): void {
  const record = typeof value === 'object' && value !== null && !Array.isArray(value);
  check(record, 'argument', () => `${what} must be a record, got ${shown(value)}`);
}

/** @throws TensegrityError `argument` for anything but an iterable. */
export function checkIterable(what: string, value: unknown): void {
  const iterable = typeof value === 'object' && value !== null && Symbol.iterator in value;
  check(iterable, 'argument', () => `${what} must be iterable, got ${shown(value)}`);
}

/** Names with what they name, of an iterable of pairs. @throws TensegrityError `argument` for anything else. */
export function pairsOf<Value>(what: string, pairs: Iterable<readonly [string, Value]>): (readonly [string, Value])[] {
  checkIterable(what, pairs);
  const all = [...pairs];
  for (const pair of all) {
    const named = Array.isArray(pair) && pair.length === 2 && typeof pair[0] === 'string';
    check(named, 'argument', () => `${what} must be pairs [name, value], got ${shown(pair)} among them`);
  }
  return all;
}

/** @throws TensegrityError `argument` unless `value` is a finite number from `least` to `most`. */
export function checkNumber(what: string, value: unknown, least = -Infinity, most = Infinity): void {
  const fits = typeof value === 'number' && Number.isFinite(value) && value >= least && value <= most;
  const range = least === -Infinity ? 'a finite number' : most === Infinity ? `a finite number ≥ ${least}` : `from ${least} to ${most}`;
  check(fits, 'argument', () => `${what} must be ${range}, got ${shown(value)}`);
}

/** 'Float32Array' of one, whichever realm (a frame, node:vm, jest) it is of, unlike `instanceof`; undefined of anything but a typed array. */
export function typedArrayName(value: unknown): string | undefined {
  return Reflect.get(Object.getPrototypeOf(Uint8Array.prototype), Symbol.toStringTag, value);
}

/** @throws TensegrityError `argument` for a typed array whose memory is gone, which would pass for an empty one. */
export function checkAttached(what: string, array: ArrayLike<unknown>): void {
  if (array.length > 0) return;
  try {
    Uint8Array.prototype.keys.call(array as Uint8Array);
  } catch {
    throw new TensegrityError('argument', `${what}: the array's buffer was transferred or made smaller; give a copy`);
  }
}

/** The bytes of a file, in any of the ways that JavaScript holds bytes. */
export type FileBytes = ArrayBufferLike | Uint8Array | Uint8ClampedArray | Int8Array | DataView;

/**
 * The bytes of a file: those of an ArrayBuffer, shared or not, or of a view of it that counts in bytes. Nothing is copied.
 * @throws TensegrityError `argument` for anything else.
 */
export function fileBytes(what: string, value: unknown): Uint8Array {
  try {
    if (ArrayBuffer.isView(value)) {
      const width = (value as Partial<Uint8Array>).BYTES_PER_ELEMENT ?? 1;
      if (typedArrayName(value)) checkAttached(what, value as Uint8Array);
      if (width === 1) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
    } else if (/^\[object (Shared)?ArrayBuffer\]$/.test(Object.prototype.toString.call(value))) return new Uint8Array(value as ArrayBuffer);
  } catch (cause) {
    if (cause instanceof TensegrityError) throw cause;
    throw new TensegrityError('argument', `${what}: the buffer was transferred; give it before, or a copy`, {}, cause);
  }
  const remedy = ArrayBuffer.isView(value)
    ? 'new Uint8Array(x.buffer, x.byteOffset, x.byteLength) has its bytes'
    : 'as of readFile, or await response.arrayBuffer()';
  throw new TensegrityError(
    'argument',
    `${what}: takes the bytes of a file as a Uint8Array or an ArrayBuffer, got ${shown(value)}; ${remedy}`,
  );
}

const MARK: unique symbol = Symbol.for('tensegrity');

/** Marks a class, so that an object of another copy of this package, which `instanceof` does not know, is told from anything else. */
export function mark(type: { readonly prototype: object }, name: string): void {
  Object.defineProperty(type.prototype, MARK, { value: { name, by: mark } });
}

function markOf(value: unknown): { readonly name: string; readonly by: unknown } | undefined {
  // Of null and undefined too. Reflect.get is slower.
  return (Object(value) as { readonly [MARK]?: { readonly name: string; readonly by: unknown } })[MARK];
}

/** Whether it is an object of a class of this package, of whichever copy. */
export function isMarked(value: unknown): boolean {
  return markOf(value) !== undefined;
}

/** Whether it is of the class of this copy that was marked with that name: what `instanceof` says, without the class. */
export function isOwn(value: unknown, name: string): boolean {
  const found = markOf(value);
  return found?.name === name && found.by === mark;
}

/** Whether it is one of another copy. */
export function isForeign(value: unknown): boolean {
  return (markOf(value)?.by ?? mark) !== mark;
}

/** A name that may come from a file, as messages show it: on one line, and of a long one the beginning and the end. */
export function named(name: string, most = 200): string {
  const short = name.length > most ? `${name.slice(0, most / 2)}…${name.slice(-most / 4)}` : name;
  return visible(short).replaceAll('\n', '\\n');
}

/** A value as messages show it. */
export function shown(value: unknown): string {
  if (typeof value === 'string') return `'${named(value)}'`;
  if (typeof value === 'bigint') return `${value}n`;
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'function') return 'a function';
  if (typeof value !== 'object' || value === null) return String(value);
  const name = markOf(value)?.name ?? Object.prototype.toString.call(value).slice(8, -1);
  const foreign = " of another copy of tensegrity: npm ls tensegrity shows them, npm dedupe or a bundler's alias leaves one";
  return `${/^[AEIO]/.test(name) ? 'an' : 'a'} ${name === 'Object' ? 'object' : name}${isForeign(value) ? foreign : ''}`;
}
