import { type HostArray, TensegrityError } from '../../engine/core.ts';
import { check, checkRecord, type FileBytes, fileBytes, type OwnUint8Array, shown } from '../../engine/internal.ts';
import { parseSafetensors, serializeSafetensors } from './safetensors.ts';

const WHAT = 'checkpoint';
const VERSION = '1';

/** Values that JSON holds. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };
export type JsonObject = { readonly [name: string]: Json };

/** Where a run stands: enough to continue it with the bits of a run that was never stopped. */
export interface Checkpoint {
  /** Every slot: parameters, statistics, optimiser moments, queues. */
  readonly tensors: ReadonlyMap<string, HostArray>;
  /** Optimiser steps done. */
  readonly step: number;
  /** The epoch under way, counted from 0, and the batches of it that are done. */
  readonly epoch: number;
  readonly batch: number;
  /** The random key and how far it has been used, as whole numbers; what they mean is the trainer's business. */
  readonly key: readonly number[];
  readonly config: JsonObject;
  /** What has been measured so far. JSON has no NaN and no infinity: they come back as null. */
  readonly metrics: readonly JsonObject[];
}

/** The digest is the first thing in the file's metadata, so it lies at a place that is known without parsing. */
const BEFORE_DIGEST = '{"__metadata__":{"sha256":"';
const DIGEST_START = 8 + BEFORE_DIGEST.length;
const DIGEST_LENGTH = 64;
const NO_DIGEST = '0'.repeat(DIGEST_LENGTH);

/** The SHA-256 of bytes that lie in parts, one after the other, as 64 hexadecimal digits. */
export type Sha256 = (parts: readonly Uint8Array[]) => string;

function checkDigest(what: string, sha256: unknown): void {
  check(typeof sha256 === 'function', 'argument', () => `${what}: sha256 must be a function of lists of bytes, got ${shown(sha256)}`);
}

/** The digest of the file with zeros in the digest's place. */
function digestOf(bytes: Uint8Array, sha256: Sha256): string {
  const parts = [bytes.subarray(0, DIGEST_START), new TextEncoder().encode(NO_DIGEST), bytes.subarray(DIGEST_START + DIGEST_LENGTH)];
  return sha256(parts);
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

type State = Omit<Checkpoint, 'tensors'>;

const stateRules: { readonly [Field in keyof State]: (value: unknown) => boolean } = {
  step: isCount,
  epoch: isCount,
  batch: isCount,
  key: (value) => Array.isArray(value) && value.every(Number.isSafeInteger),
  config: isObject,
  metrics: (value) => Array.isArray(value) && value.every(isObject),
};

function isState(value: unknown): value is State {
  return isObject(value) && Object.entries(stateRules).every(([field, holds]) => holds(value[field]));
}

/**
 * A checkpoint as bytes: a .safetensors file that any reader opens, with the state as JSON in its metadata and a SHA-256 digest of the whole.
 * The same checkpoint gives the same bytes.
 * @param sha256 the platform's, or any other: browsers have one that is asynchronous, and only of pages that came by HTTPS.
 * @throws TensegrityError `argument` for a count that is no whole number ≥ 0 or a state of more than 16 MiB; `shape` if an array's data does not fill its shape.
 */
export function checkpointBytes(checkpoint: Checkpoint, sha256: Sha256): OwnUint8Array {
  checkRecord('checkpointBytes: the checkpoint', checkpoint);
  checkDigest('checkpointBytes', sha256);
  const { tensors, step, epoch, batch, key, config, metrics } = checkpoint;
  const state: State = { step, epoch, batch, key, config, metrics };
  if (!isState(state)) {
    throw new TensegrityError(
      'argument',
      `a checkpoint's step, epoch and batch must be whole numbers ≥ 0 and its key whole numbers; got step ${shown(step)}, epoch ${shown(epoch)}, batch ${shown(batch)}, key [${String(key)}]`,
    );
  }
  const bytes = serializeSafetensors(tensors, [
    ['sha256', NO_DIGEST],
    ['kind', 'tensegrity checkpoint'],
    ['version', VERSION],
    ['state', JSON.stringify(state)],
  ]);
  bytes.set(new TextEncoder().encode(digestOf(bytes, sha256)), DIGEST_START);
  return bytes;
}

/**
 * Reads what {@link checkpointBytes} wrote.
 * @param sha256 as there.
 * @throws TensegrityError `format` if the bytes are no checkpoint, one of another version, or damaged: any changed, missing or added byte is noticed.
 */
export function checkpointIn(file: FileBytes, sha256: Sha256): Checkpoint {
  checkDigest('checkpointIn', sha256);
  const bytes = fileBytes('parseCheckpoint', file);
  const beginning = new TextDecoder('latin1').decode(bytes.subarray(8, DIGEST_START + DIGEST_LENGTH));
  if (!beginning.startsWith(BEFORE_DIGEST)) {
    throw new TensegrityError(
      'format',
      `not a ${WHAT} of tensegrity; weights alone (.safetensors) are loaded as weights, not resumed from`,
    );
  }
  if (beginning.slice(BEFORE_DIGEST.length) !== digestOf(bytes, sha256)) {
    throw new TensegrityError('format', `the ${WHAT} is damaged: its content does not match its SHA-256 digest; go back to an earlier one`);
  }
  const { tensors, metadata } = parseSafetensors(bytes);
  const version = metadata.get('version');
  if (version !== VERSION) {
    throw new TensegrityError(
      'format',
      `the ${WHAT} has version ${version ?? '(none)'}, and this program reads version ${VERSION}; use the release of tensegrity that wrote it`,
      { version },
    );
  }
  const state = parseState(metadata.get('state') ?? '');
  return { tensors, ...state };
}

function parseState(text: string): State {
  let state: unknown;
  try {
    state = JSON.parse(text);
  } catch (cause) {
    throw new TensegrityError('format', `the ${WHAT}'s state is not JSON`, {}, cause);
  }
  if (!isState(state))
    throw new TensegrityError('format', `the ${WHAT}'s state lacks one of ${Object.keys(stateRules).join(', ')}, or has it wrong`);
  return state;
}
