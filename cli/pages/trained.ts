import { completeSplit, type ImageDataset, takeSplit } from '../../models/data/images.ts';
import type { Encoder } from '../../models/nn/networks.ts';
import { features } from '../../models/train/evaluate.ts';
import type { Trainer } from '../../models/train/trainer.ts';
import { batchSection, classNamer, embeddingSection } from './embedding.ts';
import type { Section } from './page.ts';

/** How many images are looked at, from all over. */
const LOOKED_AT = 600;

/** What a run's encoders make of images that they have not learned from, if there are any, and what its loss sees of a batch. */
export async function trainedSections(trainer: Trainer, dataset: ImageDataset): Promise<readonly Section[]> {
  const { encoders, config } = trainer;
  const [z, second] = await trainer.embeddings();
  const gamma = config.methodOptions['gamma'];
  const seen: Section[] = [];
  for (const { name, encoder } of encoders) seen.push(await featureSection(encoder, dataset, name));
  return [
    ...seen,
    ...(z
      ? [
          await batchSection(
            'What the loss sees',
            `The embeddings, after the head, of ${second ? 'two views' : 'a view'} of a training batch.`,
            z,
            {
              second,
              ...(typeof gamma === 'number' && { gamma }),
            },
          ),
        ]
      : []),
  ];
}

/**
 * What an encoder makes of images: the test images, if there are any.
 * @param name what tells it from others, if there are others.
 */
export async function featureSection(encoder: Encoder, dataset: ImageDataset, name: string | null = null): Promise<Section> {
  const split = await completeSplit(dataset.test ?? dataset.train);
  const count = split.images.shape[0]!;
  const rows = Array.from({ length: Math.min(count, LOOKED_AT) }, (_, i) => Math.floor((i * count) / Math.min(count, LOOKED_AT)));
  const { images, labels } = takeSplit(split, rows);
  const { pooled } = await features(encoder, images, dataset);
  return embeddingSection(
    `What the ${name === null ? '' : `${name} `}encoder makes of images`,
    `Features, before the head, of ${rows.length} ${dataset.test ? 'test' : 'training'} images, which are not augmented.`,
    { z: pooled, images, ...(labels && { labels }), className: classNamer(dataset.classes) },
  );
}
