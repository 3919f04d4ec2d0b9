import { TensegrityError } from '../../engine/core.ts';
import { checkChoice, checkList, type FileBytes, fileBytes } from '../../engine/internal.ts';
import type { ImageSplit } from './images.ts';

const PIXELS = 3 * 32 * 32;

interface CifarRow {
  /** Bytes before the pixels of each record. */
  readonly labelBytes: number;
  /** Which of them is the class: CIFAR-100 gives the coarse class first, then the fine one. */
  readonly labelAt: number;
  readonly classes: number;
}

/** The binary versions of CIFAR. Source: https://www.cs.toronto.edu/~kriz/cifar.html, "Binary version". */
export const cifarVersions = {
  cifar10: { labelBytes: 1, labelAt: 0, classes: 10 },
  cifar100: { labelBytes: 2, labelAt: 1, classes: 100 },
} as const satisfies Readonly<Record<string, CifarRow>>;

export type CifarVersion = keyof typeof cifarVersions;

/**
 * Reads the records of CIFAR binary files, one file after another.
 * @param contents those of data_batch_1.bin … or of train.bin, in order.
 * @returns images [count, 3, 32, 32] u8 and labels [count] i32, in memory of their own, about as large as the files.
 * @throws TensegrityError `format` for a file that is empty or no whole number of records, or a label that is no class.
 */
export function parseCifar(contents: readonly FileBytes[], version: CifarVersion): ImageSplit & Required<Pick<ImageSplit, 'labels'>> {
  checkChoice('parseCifar', version, Object.keys(cifarVersions));
  checkList('parseCifar: the files', contents);
  const files = contents.map((file) => fileBytes('parseCifar', file));
  const { labelBytes, labelAt, classes } = cifarVersions[version];
  const record = labelBytes + PIXELS;
  for (const { length } of files) {
    if (length === 0 || length % record !== 0) {
      throw new TensegrityError(
        'format',
        `a ${version} file must be a whole number of ${record}-byte records, and has ${length} bytes; it is incomplete or of another kind`,
        { length, record },
      );
    }
  }
  const count = files.reduce((sum, { length }) => sum + length / record, 0);
  const images = new Uint8Array(count * PIXELS);
  const labels = new Int32Array(count);
  let index = 0;
  for (const bytes of files) {
    for (let at = 0; at < bytes.length; at += record, index++) {
      const label = bytes[at + labelAt]!;
      if (label >= classes)
        throw new TensegrityError('format', `${version}: image ${index} has label ${label}; labels are 0 … ${classes - 1}`, {
          index,
          label,
        });
      labels[index] = label;
      images.set(bytes.subarray(at + labelBytes, at + record), index * PIXELS);
    }
  }
  return { images: { dtype: 'u8', shape: [count, 3, 32, 32], data: images }, labels: { dtype: 'i32', shape: [count], data: labels } };
}
