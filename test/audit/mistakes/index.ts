import type { Mistake } from '../mistake.ts';
import { mistakes as clustering } from './clustering.ts';
import { mistakes as contrastive } from './contrastive.ts';
import { mistakes as crossCorrelation } from './crossCorrelation.ts';
import { mistakes as distillation } from './distillation.ts';
import { mistakes as information } from './information.ts';
import { mistakes as vicreg } from './vicreg.ts';

export const mistakes: readonly Mistake[] = [
  ...vicreg,
  ...crossCorrelation,
  ...contrastive,
  ...clustering,
  ...distillation,
  ...information,
];
