import { TensegrityError } from '../../engine/core.ts';
import { shown } from '../../engine/internal.ts';
import { alignmentUniformityOfArrays } from './alignmentUniformity.ts';
import { type ArrayLoss, arrayLoss, pairOfViews } from './arrayLoss.ts';
import { byolOfArrays } from './byol.ts';
import { corInfoMaxOfArrays } from './corInfoMax.ts';
import { deepClusterOfArrays } from './deepCluster.ts';
import { dinoOfArrays } from './dino.ts';
import { empsslOfArrays, tcrOfArrays } from './empssl.ts';
import { frosslOfArrays } from './frossl.ts';
import { methods } from './index.ts';
import { intlOfArrays } from './intl.ts';
import type { Method } from './learner.ts';
import { lejepaOfArrays, sigregOfArrays } from './lejepa.ts';
import { mmcrOfArrays } from './mmcr.ts';
import { mocoOfArrays } from './moco.ts';
import { simsiamOfArrays } from './simsiam.ts';
import { swavOfArrays } from './swav.ts';
import { ticoOfArrays } from './tico.ts';
import { vicreglOfArrays } from './vicregl.ts';
import { visregOfArrays } from './visreg.ts';

/** Options of methods that say how embeddings are made, and nothing of the loss of those that there are. */
const ofEncoders = ['branches', 'secondEncoder', 'lastNorm', 'predictor', 'norm'];

/** The loss of a method that is one of two views' embeddings and of nothing else. */
function ofViews({ title, source, options, advice, draws = false, configure }: Method & Required<Pick<Method, 'configure'>>): ArrayLoss {
  return arrayLoss({
    title,
    source,
    options: Object.fromEntries(Object.entries(options).filter(([name]) => !ofEncoders.includes(name))),
    embeddings: pairOfViews,
    epsilon: advice.epsilon,
    draws,
    compute: ([za, zb], values, _state, key) => configure(values)(za!, zb!, key),
  });
}

const views = Object.fromEntries(
  Object.entries<Method>(methods).flatMap(([name, method]) =>
    'configure' in method ? [[name, ofViews(method as Parameters<typeof ofViews>[0])]] : [],
  ),
);

/** Every loss by the name that the command uses: those of the methods, and those that have no method here. */
export const losses: Readonly<Record<string, ArrayLoss>> = {
  ...views,
  simsiam: simsiamOfArrays(),
  byol: byolOfArrays(),
  moco: mocoOfArrays(),
  dino: dinoOfArrays(),
  swav: swavOfArrays(),
  deepcluster: deepClusterOfArrays(),
  lejepa: lejepaOfArrays(),
  sigreg: sigregOfArrays(),
  tico: ticoOfArrays(),
  mmcr: mmcrOfArrays(),
  visreg: visregOfArrays(),
  vicregl: vicreglOfArrays(),
  'emp-ssl': empsslOfArrays(),
  tcr: tcrOfArrays(),
  frossl: frosslOfArrays(),
  intl: intlOfArrays(),
  corinfomax: corInfoMaxOfArrays(),
  'alignment-uniformity': alignmentUniformityOfArrays(),
};

/** The row of that name. @throws TensegrityError `argument` listing those there are. */
export function lossNamed(name: string): ArrayLoss {
  if (typeof name !== 'string' || !Object.hasOwn(losses, name))
    throw new TensegrityError('argument', `there is no loss ${shown(name)}; there are ${Object.keys(losses).join(', ')}`);
  return losses[name]!;
}
