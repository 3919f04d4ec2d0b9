/** Files and data sets: the part of `tensegrity/models` that needs Node. */
export {
  type DatasetOptions,
  datasetNames,
  downloadBytes,
  type ImageFolder,
  type ImageFolderOptions,
  loadDataset,
  loadImageFolder,
} from './data/node.ts';
export {
  type Checkpoint,
  ensureFolder,
  type Json,
  type JsonObject,
  loadCheckpoint,
  parseCheckpoint,
  readArray,
  readBytes,
  readSafetensors,
  saveCheckpoint,
  serializeCheckpoint,
  withStorageErrors,
  writeArray,
  writeFileAtomically,
  writeSafetensors,
} from './io/node.ts';
