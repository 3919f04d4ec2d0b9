import { deepCluster, swav } from './clustering.ts';
import { moco, simclr } from './contrastive.ts';
import { byol, dino, simsiam } from './distillation.ts';
import type { Formula } from './formula.ts';
import { barlowTwins, corInfoMax, vibcreg, vicreg } from './information.ts';
import { frossl, lejepa, mmcr, sigreg, tcr, tico, wmse } from './spectral.ts';

/** The families by the name that `losses` of tensegrity/models has for them. */
export const formulas = {
  vicreg,
  'barlow-twins': barlowTwins,
  'w-mse': wmse,
  simclr,
  moco,
  swav,
  deepcluster: deepCluster,
  byol,
  simsiam,
  dino,
  sigreg,
  lejepa,
  vibcreg,
  tico,
  mmcr,
  tcr,
  frossl,
  corinfomax: corInfoMax,
} as const satisfies Readonly<Record<string, Formula>>;

export type FamilyName = keyof typeof formulas;
export const familyNames = Object.keys(formulas) as readonly FamilyName[];

/** A family, or a loss that none of them defines. */
export type Family = FamilyName | 'custom';
