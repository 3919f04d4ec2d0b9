import { type MoCoOptions, moco, type SimCLROptions, simclr } from '../../../models/index.ts';
import { replayFamily } from '../recorded.ts';

replayFamily(
  'contrastive',
  {
    simclr: ([za, zb], attributes) => ({ outputs: [simclr(za!, zb!, attributes as SimCLROptions).loss] }),
    moco: ([queries, keys, queue], attributes) => ({ outputs: [moco(queries!, keys!, queue!, attributes as MoCoOptions).loss] }),
  },
  // Rows less than a hundredth of their length apart leave f32 four digits of their differences.
  { loosened: { 'simclr/mean 0.5 near-collapsed': 1e-4, 'simclr/google 0.5 near-collapsed': 1e-4 } },
);
