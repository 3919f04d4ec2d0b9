import type { Matrix } from './arithmetic.ts';
import { byol, deepCluster, dino, moco, simclr, simsiam, swav } from './contrast.ts';
import { type Formula, type Loss, lossOf, lossWithGradients } from './formula.ts';
import { barlowTwins, corInfoMax, frossl, lejepa, mmcr, sigreg, tcr, tico, vibcreg, vicreg, wmse } from './information.ts';

/** An implementation in loops over nested arrays, independent of the engine. */
export interface Implementation {
  /** The loss alone, a number. */
  readonly loss: Loss;
  /** The loss with its gradients by the embeddings, by differences that leave the constants as they are. */
  readonly withGradients: Loss;
  /** The values of its option `dialect`; none, if it has no such option. */
  readonly dialects: readonly string[];
}

function implementation<V extends readonly (Matrix | undefined)[], G extends object>(
  formula: Formula<V, G>,
  dialects: readonly (G extends { readonly dialect?: infer D extends string } ? D : never)[] = [],
): Implementation {
  return { loss: lossOf(formula), withGradients: lossWithGradients(formula), dialects };
}

/** Right implementations, by the names of `losses`. */
export const implementations = {
  vicreg: implementation(vicreg, ['official', 'paper', 'solo-learn', 'vicregl']),
  'barlow-twins': implementation(barlowTwins),
  'w-mse': implementation(wmse),
  simclr: implementation(simclr, ['mean', 'google']),
  moco: implementation(moco),
  swav: implementation(swav),
  deepcluster: implementation(deepCluster),
  byol: implementation(byol),
  simsiam: implementation(simsiam),
  dino: implementation(dino),
  sigreg: implementation(sigreg),
  lejepa: implementation(lejepa),
  vibcreg: implementation(vibcreg),
  tico: implementation(tico, ['paper', 'lightly', 'sayannag']),
  mmcr: implementation(mmcr),
  tcr: implementation(tcr),
  frossl: implementation(frossl, ['official', 'paper', 'solo-learn']),
  corinfomax: implementation(corInfoMax),
} as const satisfies Readonly<Record<string, Implementation>>;
