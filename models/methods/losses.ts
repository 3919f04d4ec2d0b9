import { TensegrityError } from '../../engine/index.ts';
import { shown } from '../../engine/internal.ts';
import { type ArrayLoss, arrayLoss, pairOfViews } from './arrayLoss.ts';
import { byolOfArrays } from './byol.ts';
import { deepClusterOfArrays } from './deepCluster.ts';
import { dinoOfArrays } from './dino.ts';
import { methods } from './index.ts';
import type { Method } from './learner.ts';
import { mocoOfArrays } from './moco.ts';
import { simsiamOfArrays } from './simsiam.ts';
import { swavOfArrays } from './swav.ts';

/** Options of methods that say how embeddings are made, and nothing of the loss of those that there are. */
const ofEncoders = ['branches', 'secondEncoder'];

/** The loss of a method that is one of two views' embeddings and of nothing else. */
function ofViews({ title, source, options, advice, configure }: Required<Method>): ArrayLoss {
  return arrayLoss({
    title,
    source,
    options: Object.fromEntries(Object.entries(options).filter(([name]) => !ofEncoders.includes(name))),
    embeddings: pairOfViews,
    epsilon: advice.epsilon,
    compute: ([za, zb], values, _state, key) => configure(values)(za!, zb!, key),
  });
}

const views = Object.fromEntries(
  Object.entries<Method>(methods).flatMap(([name, method]) => ('configure' in method ? [[name, ofViews(method as Required<Method>)]] : [])),
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
};

/** The row of that name. @throws TensegrityError `argument` listing those there are. */
export function lossNamed(name: string): ArrayLoss {
  if (typeof name !== 'string' || !Object.hasOwn(losses, name))
    throw new TensegrityError('argument', `there is no loss ${shown(name)}; there are ${Object.keys(losses).join(', ')}`);
  return losses[name]!;
}
