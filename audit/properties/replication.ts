import { type Matrix, stacked } from '../arithmetic.ts';
import { type Batch, mapEmbeddings, type Shape } from '../batch.ts';
import { law } from './law.ts';
import type { Property } from './property.ts';

const perSample = ['moco', 'deepcluster', 'byol', 'simsiam', 'dino'] as const;

const repeatedSamples = (batch: Batch): Batch => ({
  ...mapEmbeddings(batch, (z) => stacked([z, z])),
  state: Object.fromEntries(
    Object.entries(batch.state).map(([name, x]) => [
      name,
      name === 'assignments' ? { ...x, columns: 2 * x.columns, data: Float64Array.from([...x.data, ...x.data]) } : x,
    ]),
  ),
});

/** Further columns: zeros, or the same again. */
function widened(batch: Batch, kinds: Shape['state'], repeat: boolean): Batch {
  const wide = (x: Matrix): Matrix => ({
    rows: x.rows,
    columns: x.columns * (repeat ? 2 : 1) + (repeat ? 0 : 1),
    data: Float64Array.from(
      Array.from({ length: x.rows }, (_, i) => {
        const row = Array.from(x.data.subarray(i * x.columns, (i + 1) * x.columns));
        return repeat ? [...row, ...row] : [...row, 0];
      }).flat(),
    ),
  });
  return {
    ...mapEmbeddings(batch, wide),
    state: Object.fromEntries(Object.entries(batch.state).map(([name, x]) => [name, kinds[name] === 'rows' ? wide(x) : x])),
  };
}

/** More dimensions or samples that say nothing new. */
export const replication: readonly Property[] = [
  law({
    name: 'a dimension of zeros',
    statement: 'a further dimension that is 0 everywhere changes nothing',
    source: 'products and lengths do not change',
    families: ['simclr', 'moco', 'swav', 'deepcluster', 'byol', 'simsiam', 'mmcr'],
    when: ({ shape }) => shape.dimensions === undefined,
    change: ({ batch }, { shape }) => widened(batch, shape.state, false),
  }),
  law({
    name: 'dimensions twice',
    statement: 'every dimension twice changes nothing',
    source: 'cosines do not change',
    families: ['simclr', 'moco', 'swav', 'deepcluster', 'byol', 'simsiam', 'mmcr'],
    when: ({ shape }) => shape.dimensions === undefined,
    change: ({ batch }, { shape }) => widened(batch, shape.state, true),
  }),
  law({
    name: 'samples twice',
    statement: 'every sample twice changes nothing: the loss is a mean over samples, none of which sees another',
    source: 'the definition',
    families: [...perSample],
    when: ({ shape }) => shape.samples === undefined,
    change: ({ batch }) => repeatedSamples(batch),
  }),
  law({
    name: 'samples twice doubles it',
    statement: 'every sample twice doubles the loss, as the statistic counts samples',
    source: 'LeJEPA Eq. 6: ×N',
    families: ['sigreg'],
    when: ({ shape }) => shape.samples === undefined,
    change: ({ batch }) => repeatedSamples(batch),
    becomes: (value) => 2 * value,
  }),
];
