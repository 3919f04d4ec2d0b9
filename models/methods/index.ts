import { TensegrityError } from '../../engine/core.ts';
import { shown } from '../../engine/internal.ts';
import { barlowTwinsMethod } from './barlowTwins.ts';
import { byolMethod } from './byol.ts';
import { deepClusterMethod } from './deepCluster.ts';
import { dinoMethod } from './dino.ts';
import type { Method } from './learner.ts';
import { lejepaMethod } from './lejepa.ts';
import { mmcrMethod } from './mmcr.ts';
import { mocoMethod } from './moco.ts';
import { simclrMethod } from './simclr.ts';
import { simsiamMethod } from './simsiam.ts';
import { swavMethod } from './swav.ts';
import { ticoMethod } from './tico.ts';
import { vibcregMethod } from './vibcreg.ts';
import { vicregMethod } from './vicreg.ts';
import { wmseMethod } from './wmse.ts';

/**
 * The methods by the name that the command and run folders use. A new method is one more file, and one more row. The files give functions, so that
 * who takes a loss alone does not load what its method is trained with.
 */
export const methods = {
  vicreg: vicregMethod(),
  'barlow-twins': barlowTwinsMethod(),
  'w-mse': wmseMethod(),
  simsiam: simsiamMethod(),
  byol: byolMethod(),
  simclr: simclrMethod(),
  moco: mocoMethod(),
  dino: dinoMethod(),
  swav: swavMethod(),
  deepcluster: deepClusterMethod(),
  lejepa: lejepaMethod(),
  vibcreg: vibcregMethod(),
  tico: ticoMethod(),
  mmcr: mmcrMethod(),
} as const satisfies Readonly<Record<string, Method>>;

export type MethodName = keyof typeof methods;

/** The methods whose loss is one of two views' embeddings, which files can hold. */
export const pairLosses = Object.entries(methods).flatMap(([name, row]) => ('configure' in row ? [name] : []));

/** The row of that name. @throws TensegrityError `argument` listing those there are. */
export function methodNamed(name: string): Method {
  if (typeof name !== 'string' || !Object.hasOwn(methods, name))
    throw new TensegrityError('argument', `there is no method ${shown(name)}; there are ${Object.keys(methods).join(', ')}`);
  return methods[name as MethodName];
}
