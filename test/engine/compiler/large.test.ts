/** Graphs far larger than programs usually have: the work of compiling them is in proportion to their nodes, and their plans run. */
import { describe, expect, it } from 'vitest';
import { encodePlan } from '../../../engine/backends/wasm/encode.ts';
import { translate } from '../../../engine/backends/webgpu/translate.ts';
import { buildPlan } from '../../../engine/compiler/compiler.ts';
import { structuralKey } from '../../../engine/compiler/key.ts';
import type { Plan } from '../../../engine/compiler/plan.ts';
import { printPlan } from '../../../engine/compiler/print.ts';
import type { TypedArray } from '../../../engine/dtype.ts';
import { type Node, topologicalOrder } from '../../../engine/graph.ts';
import { concat, realize, type Tensor, tensor, useBackend } from '../../../engine/index.ts';
import { workOf } from '../../support/work.ts';
import { realGpu } from '../backends/webgpu/realGpu.ts';
import { backends } from '../support.ts';
import { relativeError } from '../values.ts';
import { type LargeGraph, largeGraphs } from './largeGraphs.ts';

const names = Object.keys(largeGraphs) as (keyof typeof largeGraphs)[];
const gpu = { ...realGpu, workgroupBytes: 32768, subgroupSize: 1 };

function planOf({ outputs, updates }: LargeGraph, bindings = 16): Plan {
  return buildPlan({
    outputs: outputs.map(({ node }) => node),
    updates: updates.map(([slot, value]) => ({ slot, value: value.node })),
    isConstant: () => false,
    bindings,
  }).plan;
}

/** What each pass costs. */
function costsOf(graph: LargeGraph): Record<string, number> {
  const outputs = graph.outputs.map(({ node }) => node);
  const isSource = (node: Node): boolean => node.storage !== null || node.op === 'slot';
  const plans: Plan[] = [];
  const order = topologicalOrder([...outputs, ...graph.updates.map(([, value]) => value.node)], isSource);
  return {
    'the key of the cache': workOf(() => structuralKey(order, outputs, graph.updates)),
    'the plan': workOf(() => plans.push(planOf(graph))),
    'its listing': workOf(() => printPlan(plans[0]!)),
    'its commands for wasm': workOf(() => encodePlan(plans[0]!)),
    'the plan for webgpu': workOf(() => plans.push(planOf(graph, 8))),
    'its dispatches': workOf(() => translate(plans[1]!, gpu)),
  };
}

describe('four times the nodes are about four times the work', () => {
  it.for(names)('%s', (name) => {
    const [small, large] = [1000, 4000].map((size) => costsOf(largeGraphs[name](size)));
    // Beyond what grows as a logarithm, and up to the largest kernels; squares would be 16.
    for (const [pass, work] of Object.entries(large!)) expect(work / Math.max(1, small![pass]!), pass).toBeLessThan(6);
  });
});

describe.for(backends.map((backend) => [backend.name, backend] as const))('on %s', ([, backend]) => {
  const read = async (...results: readonly Tensor[]): Promise<TypedArray[]> => {
    await useBackend(backend);
    await realize(...results);
    return Promise.all(results.map((result) => result.data()));
  };
  it('forty thousand additions in a row give their sum', async () => {
    let y = tensor([0, 1]);
    for (let i = 0; i < 40_000; i++) y = y.add(i % 2 === 0 ? 0.25 : -0.125);
    expect([...(await read(y))[0]!]).toEqual([2500, 2501]);
  });

  it('fifty thousand operands, joined, and added one by one, give them and their sum', async () => {
    const values = Float32Array.from({ length: 50_000 }, (_, i) => (i * 7919) % 64);
    const operands = Array.from(values, (value) => tensor([value]));
    const [joined, sum] = await read(
      concat(operands),
      operands.reduce((total, operand) => total.add(operand)),
    );
    expect(joined).toEqual(values);
    expect([...sum!]).toEqual([values.reduce((total, value) => total + value, 0)]);
  });

  it('twenty thousand results of one operand are given back', async () => {
    const x = tensor([3]);
    const results = await read(...Array.from({ length: 20_000 }, (_, i) => x.mul(i)));
    expect(results.map(([value]) => value)).toEqual(results.map((_, i) => 3 * i));
  });

  it.for(names)('%s gives what the reference gives', async (name) => {
    const compute = async (): Promise<ArrayLike<number>[]> => {
      const { outputs, updates } = largeGraphs[name](2000);
      for (const [slot, value] of updates) slot.assign(value);
      await realize(...outputs);
      return Promise.all([...outputs, ...updates.map(([slot]) => slot)].map((readable) => readable.data()));
    };
    await useBackend(backends[0]!);
    const expected = await compute();
    await useBackend(backend);
    const actual = await compute();
    for (const [k, values] of expected.entries()) expect(relativeError(actual[k]!, values, 1)).toBeLessThan(1e-4);
  });
});
