import { basename } from 'node:path';
import type { HostArray } from '../../engine/dtype.ts';
import { percent } from '../table.ts';
import { batchSection, embeddingSection, type Sample } from './embedding.ts';
import { shownCount } from './html.ts';
import { judged, page } from './page.ts';
import { dataTable } from './table.ts';

export interface Inspected extends Omit<Sample, 'className'> {
  /** Of the embeddings: what the page is called. */
  readonly path: string;
  readonly second?: HostArray | undefined;
  readonly metrics: readonly { readonly name: string; readonly value: number; readonly meaning: string }[];
  /** Accuracy of neighbours; null without labels. */
  readonly nearest: number | null;
  /** What the numbers say is wrong, in words; null where they say nothing. */
  readonly verdict: string | null;
}

/** The page of `tensegrity inspect --html`: numbers first, then what they are of. */
export async function inspectPage({ path, second, metrics, nearest, verdict, ...sample }: Inspected): Promise<string> {
  const [rows, dimensions] = sample.z.shape as [number, number];
  return page({
    title: basename(path),
    subtitle: `${shownCount(rows)} rows of ${shownCount(dimensions)} ${dimensions === 1 ? 'dimension' : 'dimensions'}${second ? ', two views' : ''}`,
    verdict: judged(verdict),
    sections: [
      {
        title: 'Measurements',
        content: dataTable({
          columns: [{ name: 'of the embeddings' }, { name: 'value' }, { name: 'what it tells', text: true }],
          rows: [
            ...metrics.map(({ name, value, meaning }) => [name, value, meaning]),
            ...(nearest === null ? [] : [['k-NN', percent(nearest), 'accuracy of every other row, classified by the rest']]),
          ],
        }),
      },
      await batchSection('Spread and correlation', 'What a loss on these embeddings sees.', sample.z, { second }),
      await embeddingSection('The rows', 'As points, and by their neighbours.', sample),
    ],
  });
}
