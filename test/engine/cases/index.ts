/**
 * Every public op, once: what it is drawn from, how it is called, what it means (as loops over plain arrays), and what is promised of it. The files are
 * named as those of `engine/ops`. Conformance, gradient checks and the support table in the docs are all driven by this table.
 */

import type { OpCase } from './case.ts';
import { convCases } from './conv.ts';
import { createCases } from './create.ts';
import { elementwiseCases } from './elementwise.ts';
import { gradientCases } from './gradient.ts';
import { indexingCases } from './indexing.ts';
import { linalgCases } from './linalg.ts';
import { matmulCases } from './matmul.ts';
import { movementCases } from './movement.ts';
import { poolCases } from './pool.ts';
import { randomCases } from './random.ts';
import { reduceCases } from './reduce.ts';
import { sampleCases } from './sample.ts';
import { scanCases } from './scan.ts';

export type { Drawn, OpCase } from './case.ts';

export const cases: readonly OpCase[] = [
  ...createCases,
  ...randomCases,
  ...gradientCases,
  ...elementwiseCases,
  ...reduceCases,
  ...scanCases,
  ...movementCases,
  ...matmulCases,
  ...convCases,
  ...poolCases,
  ...indexingCases,
  ...linalgCases,
  ...sampleCases,
];
