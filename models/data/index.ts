/** Data that needs no file system: it runs in browsers and at the edge. What reads folders and downloads is in `node.ts`. */
export { type CifarVersion, parseCifar } from './cifar.ts';
export { inflateIdx, parseIdx } from './idx.ts';
export {
  channelStatistics,
  completeDataset,
  completeSplit,
  type ImageDataset,
  type ImageSplit,
  normalizeImages,
  type PendingRows,
  takeRows,
  takeSplit,
} from './images.ts';
export { type Batch, balancedSubset, batches, batchesPerEpoch, type LoaderOptions, prefetch, readyBatches } from './loader.ts';
export { permutation } from './permutation.ts';
