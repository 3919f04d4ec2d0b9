import { createHash } from 'node:crypto';
import type { FileBytes, OwnUint8Array } from '../../engine/internal.ts';
import { type Checkpoint, checkpointBytes, checkpointIn, type Sha256 } from './checkpointFormat.ts';
import { readAs, writeFileAtomically } from './files.ts';

export type { Checkpoint, Json, JsonObject } from './checkpointFormat.ts';

const sha256: Sha256 = (parts) => parts.reduce((hash, part) => hash.update(part), createHash('sha256')).digest('hex');

/** {@link checkpointBytes}, with Node's digest. @throws as there. */
export function serializeCheckpoint(checkpoint: Checkpoint): OwnUint8Array {
  return checkpointBytes(checkpoint, sha256);
}

/** Reads what {@link serializeCheckpoint} wrote. @throws TensegrityError `format` as {@link checkpointIn}. */
export function parseCheckpoint(file: FileBytes): Checkpoint {
  return checkpointIn(file, sha256);
}

/** Writes a checkpoint atomically. @throws as {@link serializeCheckpoint}, or TensegrityError `storage`. */
export async function saveCheckpoint(path: string, checkpoint: Checkpoint): Promise<void> {
  await writeFileAtomically(path, serializeCheckpoint(checkpoint));
}

/** Reads a checkpoint. @throws TensegrityError `storage` if the file cannot be read, `format` if it is damaged or something else. */
export async function loadCheckpoint(path: string): Promise<Checkpoint> {
  return readAs(path, parseCheckpoint);
}
