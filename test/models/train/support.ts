import type { HostArray } from '../../../engine/index.ts';
import type { ImageDataset } from '../../../models/data/images.ts';
import { type TrainingConfig, trainingConfig } from '../../../models/train/config.ts';
import { uniformAt } from '../../recordings/recordings.ts';

const CLASSES = 3;

/** Grey images [count, 1, size, size] in [0, 1], whose class is how close their stripes are; f32, the same for the same `stream`. */
export function stripes(
  count: number,
  { size = 12, stream = 1 }: { readonly size?: number; readonly stream?: number } = {},
): {
  images: HostArray;
  labels: HostArray;
} {
  const data = new Float32Array(count * size * size);
  for (let i = 0; i < count; i++) {
    const phase = 6 * uniformAt(stream, i);
    for (let at = 0; at < size * size; at++) {
      const wave = Math.sin((at % size) * (1 + (i % CLASSES)) * 0.6 + phase);
      data[i * size * size + at] = 0.5 + 0.4 * wave + 0.1 * (uniformAt(stream + 1, i * size * size + at) - 0.5);
    }
  }
  return {
    images: { dtype: 'f32', shape: [count, 1, size, size], data },
    labels: { dtype: 'i32', shape: [count], data: Int32Array.from({ length: count }, (_, i) => i % CLASSES) },
  };
}

/** A data set of stripes, small enough for many runs. */
export function stripedDataset(count = 96, options: { readonly size?: number; readonly stream?: number } = {}): ImageDataset {
  return {
    name: 'stripes',
    train: stripes(count, options),
    test: stripes(48, { ...options, stream: 7 }),
    classes: ['0', '1', '2'],
    mean: [0],
    deviation: [1],
  };
}

/** A configuration of few and small steps. */
export function smallConfig(given: Partial<TrainingConfig> = {}): TrainingConfig {
  return trainingConfig({ epochs: 2, batchSize: 16, widths: [24, 16], ...given });
}
