/**
 * `node bench/compile.ts`: how long graphs of 10⁴ and 10⁵ nodes take to compile, pass by pass. Time in proportion to the nodes is ×10 from
 * one size to the next, an exponent of 1. See README.md.
 */
import { parseArgs } from 'node:util';
import { translate } from '../engine/backends/webgpu/translate.ts';
import { encodePlan } from '../engine/backends/wasm/encode.ts';
import { type Build, buildPlan } from '../engine/compiler/compiler.ts';
import { fuse } from '../engine/compiler/fuse.ts';
import { structuralKey } from '../engine/compiler/key.ts';
import { locator } from '../engine/compiler/locate.ts';
import { placeBuffers } from '../engine/compiler/memory.ts';
import { printPlan } from '../engine/compiler/print.ts';
import { simplify } from '../engine/compiler/simplify.ts';
import { type Node, topologicalOrder } from '../engine/graph.ts';
import { realGpu } from '../test/engine/backends/webgpu/realGpu.ts';
import { type LargeGraph, largeGraphs } from '../test/engine/compiler/largeGraphs.ts';

const { values: options, positionals: filters } = parseArgs({
  allowPositionals: true,
  options: { sizes: { type: 'string', default: '10000,100000' }, json: { type: 'boolean', default: false } },
});
const sizes = options.sizes.split(',').map(Number);

const gpu = { ...realGpu, workgroupBytes: 32768, subgroupSize: 1 };
const isSource = (node: Node): boolean => node.storage !== null || node.op === 'slot';
const request = ({ outputs, updates }: LargeGraph, bindings: number) => ({
  outputs: outputs.map(({ node }) => node),
  updates: updates.map(([slot, value]) => ({ slot, value: value.node })),
  isConstant: () => false,
  bindings,
});

/** Milliseconds of each pass over a graph; `plan` is the whole of simplify, fuse, lower, schedule and place. */
function passes(build: (size: number) => LargeGraph, size: number): Record<string, number> {
  const times: Record<string, number> = {};
  const timed = <T>(pass: string, run: () => T): T => {
    const start = performance.now();
    const result = run();
    times[pass] = performance.now() - start;
    return result;
  };
  const graph = timed('graph', () => build(size));
  const roots = [...graph.outputs, ...graph.updates.map(([, value]) => value)].map(({ node }) => node);
  const order = topologicalOrder(roots, isSource);
  times['nodes'] = order.length;
  timed('key', () =>
    structuralKey(
      order,
      graph.outputs.map(({ node }) => node),
      graph.updates,
    ),
  );
  const { roots: simple } = timed('simplify', () => simplify(roots, isSource));
  timed('fuse', () => fuse({ roots: simple, isSource, locate: locator(), bindings: 16 }));
  const { plan }: Build = timed('plan', () => buildPlan(request(graph, 16)));
  times['kernels'] = plan.kernels.length;
  timed('place', () => placeBuffers(plan.buffers, plan.kernels));
  timed('wasm', () => encodePlan(plan));
  timed('print', () => printPlan(plan));
  const { plan: narrow } = buildPlan(request(graph, 8));
  timed('wgsl', () => translate(narrow, gpu));
  return times;
}

const rows = Object.entries(largeGraphs)
  .filter(([name]) => filters.length === 0 || filters.some((filter) => name.includes(filter)))
  .map(([name, build]) => {
    // What a first run compiles is not timed.
    passes(build, 1000);
    const runs = sizes.map((size) => passes(build, size));
    if (!options.json) {
      const [first, last] = [runs[0]!, runs.at(-1)!];
      console.log(`${name}: ${runs.map(({ nodes, kernels }) => `${nodes} nodes, ${kernels} kernels`).join('; ')}`);
      for (const pass of Object.keys(first).filter((each) => each !== 'nodes' && each !== 'kernels')) {
        const exponent = Math.log(last[pass]! / first[pass]!) / Math.log(last['nodes']! / first['nodes']!);
        console.log(`  ${pass.padEnd(9)}${runs.map((run) => `${run[pass]!.toFixed(0)} ms`.padStart(10)).join('')}   exponent ${exponent.toFixed(2)}`);
      }
    }
    return { name, runs };
  });
if (options.json) console.log(JSON.stringify(rows, null, 2));
