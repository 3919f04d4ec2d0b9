/** Data sets from folders, caches and the network: needs Node. */
export { type DatasetOptions, datasetNames, loadDataset } from './datasets.ts';
export { downloadBytes } from './download.ts';
export { type ImageFolder, type ImageFolderOptions, loadImageFolder } from './imageFolder.ts';
