import type { Plan } from '../../compiler/plan.ts';
import { assemble } from './assemble.ts';
import { emitPlan } from './emit.ts';
import { merge } from './merge.ts';
import { layOutScratch } from './scratch.ts';
import { BINDINGS, type Gpu } from './shader.ts';

/** One dispatch. */
export interface Dispatch {
  readonly code: string;
  /** What lies behind bindings 0, 1, …: a buffer of the plan, or a piece of scratch memory. */
  readonly bindings: readonly ({ readonly buffer: number } | { readonly piece: number })[];
  readonly workgroups: readonly [number, number];
  /** Which of the plan's kernels each of its stages works for, and the stage's share of the workgroups. */
  readonly kernels: readonly number[];
  readonly shares: readonly number[];
}

/** A plan as a GPU runs it: plain data. */
export interface Translation {
  /** In the order in which they run. */
  readonly dispatches: readonly Dispatch[];
  /** The size of each piece of scratch memory, in bytes. */
  readonly pieces: readonly number[];
}

/** Plan → stages of WGSL → dispatches of several stages → memory for what lies between. */
export function translate(plan: Plan, gpu: Gpu): Translation {
  const emitted = emitPlan(plan, gpu);
  const groups = merge(
    emitted.stages,
    { bindings: BINDINGS, workgroupBytes: gpu.workgroupBytes },
    (buffer) => emitted.buffers[buffer]!.kind === 'slot',
  );
  const { pieces, bytes } = layOutScratch(emitted, groups);
  const dispatches = groups.map(({ stages, bindings }): Dispatch => {
    const { code, workgroups } = assemble(
      stages.map(({ shader }) => shader),
      bindings,
    );
    const places = bindings.map(({ memory }) => (pieces.has(memory) ? { piece: pieces.get(memory)! } : { buffer: memory }));
    const total = stages.reduce((sum, { shader }) => sum + shader.groups, 0);
    return {
      code,
      bindings: places,
      workgroups,
      kernels: stages.map(({ kernel }) => kernel),
      shares: stages.map(({ shader }) => shader.groups / total),
    };
  });
  return { dispatches, pieces: bytes };
}
