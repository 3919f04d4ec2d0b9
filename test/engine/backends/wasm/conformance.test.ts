import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fusions, stepsOf } from '../../../../engine/backends/wasm/fuse.ts';
import { valueLanes } from '../../../../engine/compiler/lanes.ts';
import type { Kernel, Reduction } from '../../../../engine/compiler/plan.ts';
import * as op from '../../../../wasm/opcode.ts';
import { property } from '../../../support/property.ts';
import { arranged } from '../arranged.ts';
import { buffer, planOf, program, type Step } from '../plans.ts';
import { agree, layouts } from './harness.ts';
import { expressions, programs, shapes } from './programs.ts';

const someLayouts = (rank: number, broadcast: boolean) => fc.array(layouts(rank, broadcast), { minLength: 4, maxLength: 4 });

describe('wasm computes what cpu computes', () => {
  it('map: any program, layout and type', async () => {
    const cases = shapes.chain((shape) =>
      fc.tuple(fc.constant(shape), programs(0, 12, false), someLayouts(shape.length, true), someLayouts(shape.length, false), fc.nat()),
    );
    await property(
      [cases],
      async ([shape, draft, from, to, seed]) => {
        const inputs = draft.inputs.map((dtype, k) => arranged(k, dtype, shape, from[k]!));
        const outputs = draft.outputs.map((dtype, k) => arranged(inputs.length + k, dtype, shape, to[k]!));
        const specs = [
          ...inputs.map(({ view, length }) => buffer('input', view.dtype, length)),
          // Slots, so that what a kernel must leave alone is compared too.
          ...outputs.map(({ view, length }) => buffer('slot', view.dtype, length)),
        ];
        const kernel: Kernel = {
          kind: 'map',
          shape,
          program: draft.program,
          inputs: inputs.map(({ view }) => view),
          outputs: outputs.map(({ view }) => view),
        };
        await agree(planOf(specs, [kernel]), seed);
      },
      { numRuns: 400 },
    );
  });

  it('map: expressions whose neighbours are fused, to the same bits', async () => {
    const cases = shapes.chain((shape) => fc.tuple(fc.constant(shape), expressions, someLayouts(shape.length, true), fc.nat()));
    await property(
      [cases],
      async ([shape, draft, from, seed]) => {
        const [x, y, z, out] = from.map((layout, k) => arranged(k, 'f32', shape, k < 3 ? layout : { ...layout, still: [] }));
        const specs = [x!, y!, z!, out!].map(({ length }, k) => buffer(k < 3 ? 'input' : 'slot', 'f32', length));
        const kernel: Kernel = { kind: 'map', shape, program: draft, inputs: [x!.view, y!.view, z!.view], outputs: [out!.view] };
        await agree(planOf(specs, [kernel]), seed);
      },
      { numRuns: 400 },
    );
  });

  it('and those expressions have every fused form', () => {
    const found = fc.sample(expressions, { numRuns: 3000, seed: 1 }).flatMap((draft) => {
      const steps = stepsOf(draft, valueLanes(draft, ['f32', 'f32', 'f32']), (value) => value === 0 || value === 3 || value === 4);
      return steps.map(({ opcode }) => opcode);
    });
    const forms = [...fusions.map(([, , , fused]) => fused), op.GATE];
    expect(forms.filter((form) => !found.includes(form))).toEqual([]);
  });

  it('map: in place', async () => {
    const cases = shapes.chain((shape) => fc.tuple(fc.constant(shape), programs(1, 12, false), someLayouts(shape.length, false), fc.nat()));
    await property(
      [cases],
      async ([shape, draft, layout, seed]) => {
        // Each output takes over the bytes of an input of its element size, where there is one left.
        const free = draft.inputs.map((dtype) => dtype);
        const places = draft.outputs.map((dtype) => {
          const donor = free.indexOf(dtype);
          if (donor >= 0) free[donor] = 'f64';
          return donor;
        });
        const inputs = draft.inputs.map((dtype, k) => arranged(k, dtype, shape, layout[k]!));
        const outputs = draft.outputs.map((dtype, k) =>
          places[k]! >= 0 ? inputs[places[k]!]! : arranged(inputs.length + k, dtype, shape, layout[k]!),
        );
        const specs = [
          ...inputs.map(({ view, length }) => buffer('slot', view.dtype, length)),
          ...outputs.map(({ view, length }) => buffer('slot', view.dtype, length)),
        ];
        const kernel: Kernel = {
          kind: 'map',
          shape,
          program: draft.program,
          inputs: inputs.map(({ view }) => view),
          outputs: outputs.map(({ view }) => view),
        };
        await agree(planOf(specs, [kernel]), seed);
      },
      { numRuns: 200 },
    );
  });

  it('reduce: any program, fold, layout and type', async () => {
    const reductions = fc.array(fc.constantFrom<Reduction>('sum', 'max', 'min', 'argmax', 'argmin'), { minLength: 3, maxLength: 3 });
    const cases = shapes.chain((shape) =>
      fc.tuple(
        fc.constant(shape),
        fc.nat(shape.length),
        programs(0, 6, true),
        reductions,
        someLayouts(shape.length, true),
        someLayouts(shape.length, false),
        fc.nat(),
      ),
    );
    await property(
      [cases],
      async ([shape, reduced, draft, folds, from, to, seed]) => {
        const kept = shape.slice(0, shape.length - reduced);
        const inputs = draft.inputs.map((dtype, k) => arranged(k, dtype, shape, from[k]!));
        const outputs = draft.outputs.map((dtype, k) => {
          const order = to[k]!.order.filter((axis) => axis < kept.length);
          return arranged(inputs.length + k, folds[k]!.startsWith('arg') ? 'i32' : dtype, kept, { ...to[k]!, order });
        });
        const specs = [
          ...inputs.map(({ view, length }) => buffer('input', view.dtype, length)),
          ...outputs.map(({ view, length }) => buffer('slot', view.dtype, length)),
        ];
        const kernel: Kernel = {
          kind: 'reduce',
          shape,
          reduced,
          program: draft.program,
          reductions: folds.slice(0, outputs.length),
          inputs: inputs.map(({ view }) => view),
          outputs: outputs.map(({ view }) => view),
        };
        await agree(planOf(specs, [kernel]), seed, 1e-5);
      },
      { numRuns: 400 },
    );
  });

  it('reduce: sums of products, of which some are factors of others', async () => {
    const picks = fc.array(fc.tuple(fc.nat(), fc.nat()), { minLength: 1, maxLength: 6 });
    const rows = fc.tuple(fc.integer({ min: 1, max: 5 }), fc.constantFrom(1, 7, 100, 700));
    await property(
      [picks, fc.array(fc.nat(), { minLength: 1, maxLength: 4 }), rows, fc.boolean(), fc.nat()],
      async (products, results, shape, columns, seed) => {
        const steps = products.map(([a, b], k): Step => ['mul', 'f32', a % (2 + k), b % (2 + k)]);
        const draft = program(
          2,
          [],
          steps,
          results.map((pick) => 2 + (pick % steps.length)),
        );
        const kept = [shape[0]];
        const from = columns ? { shape: [...shape], strides: [1, shape[0]] } : { shape: [...shape], strides: [shape[1], 1] };
        const kernel: Kernel = {
          kind: 'reduce',
          shape,
          reduced: 1,
          program: draft,
          reductions: results.map(() => 'sum'),
          inputs: [0, 1].map((number) => ({ buffer: number, dtype: 'f32', offset: 0, ...from })),
          outputs: results.map((_, k) => ({ buffer: 2 + k, dtype: 'f32', shape: kept, strides: [1], offset: 0 })),
        };
        const specs = [0, 1].map(() => buffer('input', 'f32', shape[0] * shape[1]));
        const halves = (length: number) => Float32Array.from({ length }, (_, i) => ((i * (seed % 97)) % 5) / 2 - 1);
        await agree(planOf([...specs, ...results.map(() => buffer('slot', 'f32', shape[0]))], [kernel]), seed, 1e-5, {
          0: halves,
          1: halves,
        });
      },
      { numRuns: 200 },
    );
  });
});
