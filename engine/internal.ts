/**
 * The inner door: what this repository's own packages use of the engine beside its front door (index.ts), so that models and the command speak of
 * wrong arguments and shapes in its words. Not part of the published interface.
 */
export {
  checkChoice,
  checkIterable,
  checkList,
  checkNames,
  checkNumber,
  checkRecord,
  type FileBytes,
  fileBytes,
  filled,
  isForeign,
  isMarked,
  mark,
  named,
  options,
  pairsOf,
  shown,
} from './arguments.ts';
export { checkDType, checkHostArray, dtypes, isFloat, type OwnInt32Array, type OwnUint8Array } from './dtype.ts';
export { check } from './errors.ts';
export { pair } from './ops/conv.ts';
export { firstKnown } from './ops/indexing.ts';
export { checkTensors } from './ops/rule.ts';
export { threefry2x32 } from './reference.ts';
export { checkShape, contiguousStrides, normalizeAxes, sameShape, show, sizeOf } from './shape.ts';
export { type Graph, graphOf } from './trace.ts';
export { inTurn } from './turn.ts';
