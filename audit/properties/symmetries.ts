import { Arithmetic } from '../arithmetic.ts';
import { type Batch, orderOf, permuteSamples, rotationOf, sizesOf, turned } from '../batch.ts';
import { law } from './law.ts';
import { every, type Property } from './property.ts';

/** The views, and what belongs to each, exchanged. */
function exchanged(batch: Batch): Batch {
  const count = batch.embeddings.length;
  const order = count === 4 ? [1, 0, 3, 2] : [1, 0, ...Array.from({ length: count - 2 }, (_, i) => i + 2)];
  const names: Readonly<Record<string, string>> = {
    meanA: 'meanB',
    meanB: 'meanA',
    covarianceA: 'covarianceB',
    covarianceB: 'covarianceA',
    queue1: 'queue2',
    queue2: 'queue1',
  };
  return {
    ...batch,
    embeddings: order.map((i) => batch.embeddings[i]!),
    state: Object.fromEntries(Object.entries(batch.state).map(([name, x]) => [names[name] ?? name, x])),
  };
}

/** Permutations of samples, dimensions and views; reflections and rotations. */
export const symmetries: readonly Property[] = [
  law({
    name: 'order of samples',
    statement: 'samples, with their views, in another order change nothing',
    source: 'a batch has no order',
    families: every,
    change: ({ batch, dice }, { shape }) => permuteSamples(batch, orderOf(sizesOf(batch).n, dice), shape.state),
  }),
  law({
    name: 'order of dimensions',
    statement: 'dimensions, of everything, in another order change nothing',
    source: 'dimensions have no order',
    families: every.filter((family) => family !== 'w-mse'),
    change: ({ batch, dice }, { shape }) => {
      const { d } = sizesOf(batch);
      const order = orderOf(d, dice);
      const m = new Arithmetic().matrix(d, d, (i, j) => Number(order[j] === i));
      return turned(batch, m, shape.state, shape.precision);
    },
  }),
  law({
    name: 'exchange of views',
    statement: 'the views, with what belongs to each, exchanged change nothing',
    source: 'the views are drawn alike',
    families: [
      'vicreg',
      'barlow-twins',
      'w-mse',
      'simclr',
      'byol',
      'simsiam',
      'swav',
      'dino',
      'sigreg',
      'lejepa',
      'vibcreg',
      'mmcr',
      'tcr',
      'frossl',
      'corinfomax',
    ],
    when: ({ shape }) => shape.names.length === 2 || shape.names.length === 4,
    change: ({ batch }) => exchanged(batch),
  }),
  law({
    name: 'sign of dimensions',
    statement: 'a dimension, of everything, with the other sign changes nothing',
    source: 'the terms are even in each dimension',
    families: [
      'vicreg',
      'barlow-twins',
      'w-mse',
      'simclr',
      'moco',
      'swav',
      'deepcluster',
      'byol',
      'simsiam',
      'sigreg',
      'lejepa',
      'vibcreg',
      'tico',
      'mmcr',
      'tcr',
      'frossl',
      'corinfomax',
    ],
    change: ({ batch, dice }, { shape }) => {
      const { d } = sizesOf(batch);
      return turned(
        batch,
        new Arithmetic().matrix(d, d, (i, j) => (i === j ? (j === dice % d ? -1 : 1) : 0)),
        shape.state,
        shape.precision,
      );
    },
  }),
  law({
    name: 'rotation',
    statement: 'everything turned by one rotation changes nothing',
    source: 'products and lengths do not change',
    families: ['simclr', 'moco', 'swav', 'deepcluster', 'byol', 'simsiam', 'sigreg', 'lejepa', 'tico', 'mmcr', 'tcr', 'corinfomax'],
    change: ({ batch, dice }, { shape }) => turned(batch, rotationOf(sizesOf(batch).d, dice), shape.state, shape.precision),
  }),
];
