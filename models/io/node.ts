/** Files, written in one step, and checkpoints: needs Node. */
export {
  type Checkpoint,
  type Json,
  type JsonObject,
  loadCheckpoint,
  parseCheckpoint,
  saveCheckpoint,
  serializeCheckpoint,
} from './checkpoint.ts';
export {
  ensureFolder,
  readArray,
  readBytes,
  readSafetensors,
  withStorageErrors,
  writeArray,
  writeFileAtomically,
  writeSafetensors,
} from './files.ts';
