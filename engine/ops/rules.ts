import type { OpName } from '../graph.ts';
import { conv2dInputRule, conv2dRule, conv2dWeightRule } from './conv.ts';
import { castRule, scalarRule } from './elementwise.ts';
import { customGradientRule, stopGradientRule } from './gradient.ts';
import { argsortRule, gatherRule, scatterAddRule, scatterRule } from './indexing.ts';
import { choleskyRule, eighRule, triangularSolveRule } from './linalg.ts';
import { matmulRule } from './matmul.ts';
import { concatRule, expandRule, flipRule, padRule, permuteRule, reshapeRule, sliceRule } from './movement.ts';
import { poolRule } from './pool.ts';
import { reduceRule } from './reduce.ts';
import type { Rule } from './rule.ts';
import { gridSampleRule } from './sample.ts';
import { scanRule } from './scan.ts';
import { arangeRule, fullRule, leafRule, placeholderRule, slotRule } from './source.ts';

/** Every primitive has its rule; the type checker proves it. */
export const rules: { readonly [Op in OpName]: Rule<Op> } = {
  leaf: leafRule,
  slot: slotRule,
  placeholder: placeholderRule,
  full: fullRule,
  arange: arangeRule,
  scalar: scalarRule,
  cast: castRule,
  reduce: reduceRule,
  scan: scanRule,
  reshape: reshapeRule,
  permute: permuteRule,
  expand: expandRule,
  slice: sliceRule,
  flip: flipRule,
  pad: padRule,
  concat: concatRule,
  matmul: matmulRule,
  conv2d: conv2dRule,
  conv2dInput: conv2dInputRule,
  conv2dWeight: conv2dWeightRule,
  pool: poolRule,
  gather: gatherRule,
  scatterAdd: scatterAddRule,
  scatter: scatterRule,
  gridSample: gridSampleRule,
  cholesky: choleskyRule,
  triangularSolve: triangularSolveRule,
  eigh: eighRule,
  argsort: argsortRule,
  stopGradient: stopGradientRule,
  customGradient: customGradientRule,
};
