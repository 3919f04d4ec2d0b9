/** Random programs: compiled as a whole, they give the bits that their nodes give when each is computed by itself. */
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { buildPlan } from '../../../engine/compiler/compiler.ts';
import { planFaults } from '../../../engine/compiler/validate.ts';
import { compile, realize, type Tensor, useBackend } from '../../../engine/index.ts';
import { property } from '../../support/property.ts';
import { backends, reference } from '../support.ts';
import { asSlots, bounded, build, byNode, exact, leaf, randomPrograms, read, unsigned, valuesOf } from './randomPrograms.ts';

const programs = randomPrograms({ extents: [1, 2, 3, 4], largest: 400, types: ['i32', 'u8', 'f64'] });

describe('random programs', () => {
  beforeAll(async () => {
    await useBackend(reference);
  });

  it('give the same bits in one plan as node by node', () =>
    property(
      [programs],
      async (program) => {
        const expected = await byNode(program);
        const slots = asSlots(program);
        const { outputs, updates } = build(program, program.leaves.map(leaf), valuesOf(slots));
        slots.forEach((each, i) => each.assign(updates[i]!));
        await realize(...outputs);
        expect(await read(outputs)).toEqual(expected.outputs);
        expect(await read(slots)).toEqual(expected.updates);
      },
      { numRuns: 800 },
    ));

  it('give the same bits compiled, in two calls', () =>
    property(
      [programs],
      async (program) => {
        const expected = await byNode(program);
        const slots = asSlots(program);
        const step = compile((...args: Tensor[]) => {
          const { outputs, updates } = build(program, args, valuesOf(slots));
          slots.forEach((each, i) => each.assign(updates[i]!));
          return outputs;
        });
        for (const _ of [1, 2]) {
          slots.forEach((each, i) => each.set(program.slots[i]!.data));
          const outputs = await step(...program.leaves.map(leaf));
          expect(await read(outputs)).toEqual(expected.outputs);
          expect(await read(slots)).toEqual(expected.updates);
        }
        step.dispose();
      },
      { numRuns: 300 },
    ));

  it('give the same bits when some nodes have been read before', () =>
    property(
      [programs],
      async (program) => {
        const expected = await byNode(program);
        const { pool, outputs } = build(program, program.leaves.map(leaf), program.slots.map(leaf));
        for (const i of program.readFirst) await pool[i % pool.length]!.data();
        await realize(...outputs);
        expect(await read(outputs)).toEqual(expected.outputs);
      },
      { numRuns: 300 },
    ));

  it.for(backends.map((backend) => [backend.name, backend] as const))('of whole numbers are exact on %s', ([, backend]) =>
    property(
      [exact(programs)],
      async (program) => {
        await useBackend(reference);
        const expected = await byNode(program, bounded);
        await useBackend(backend);
        const slots = asSlots(program);
        const { outputs, updates } = build(program, program.leaves.map(leaf), valuesOf(slots), bounded);
        slots.forEach((each, i) => each.assign(updates[i]!));
        await realize(...outputs);
        expect(unsigned(await read(outputs))).toEqual(unsigned(expected.outputs));
        expect(unsigned(await read(slots))).toEqual(unsigned(expected.updates));
        await useBackend(reference);
      },
      { numRuns: 400 },
    ),
  );

  it('make plans that keep every promise of the contract, with few buffers to a kernel or many', () =>
    property(
      [programs, fc.constantFrom(4, 8, 16, undefined)],
      (program, bindings) => {
        const slots = asSlots(program);
        const { outputs, updates } = build(program, program.leaves.map(leaf), valuesOf(slots));
        const { plan } = buildPlan({
          outputs: outputs.map(({ node }) => node),
          updates: slots.map((each, i) => ({ slot: each, value: updates[i]!.node })),
          isConstant: () => false,
          ...(bindings && { bindings }),
        });
        expect(planFaults(plan)).toEqual([]);
        if (bindings === undefined) return;
        for (const { kind, inputs, outputs: stored } of plan.kernels) {
          if (kind === 'map' || kind === 'reduce')
            expect(new Set([...inputs, ...stored].map((view) => view.buffer)).size).toBeLessThanOrEqual(bindings);
        }
      },
      { numRuns: 800 },
    ));
});
