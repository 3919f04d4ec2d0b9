import { affineInvariances, logitShifts } from './affine.ts';
import { definitions, nextState } from './definition.ts';
import { definitionGradients, lossGradients } from './gradients.ts';
import { inequalities } from './inequalities.ts';
import { knownValues } from './knownValues.ts';
import { pairing } from './pairing.ts';
import type { Property } from './property.ts';
import { argumentsUnchanged, determinism } from './purity.ts';
import { replication } from './replication.ts';
import { stability } from './stability.ts';
import { symmetries } from './symmetries.ts';

/** All properties, in the order in which what they find matters. */
export const properties: readonly Property[] = [
  determinism,
  ...definitions,
  ...definitionGradients,
  nextState,
  ...lossGradients,
  ...knownValues,
  ...pairing,
  ...inequalities,
  ...symmetries,
  ...affineInvariances,
  ...replication,
  ...logitShifts,
  ...stability,
  argumentsUnchanged,
];

/** The names of all properties. */
export const propertyNames: readonly string[] = properties.map(({ name }) => name);
