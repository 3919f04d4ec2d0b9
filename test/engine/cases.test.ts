/** The table of cases leaves no op out. */
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import * as engine from '../../engine/index.ts';
import { draws } from './agreement.ts';
import { cases } from './cases/index.ts';
import { place } from './draws.ts';

/** What is called in the making of a case, by itself and not by what it calls. */
const { calls, watched } = vi.hoisted(() => {
  const calls = { names: new Set<string>(), depth: 0 };
  const watched = <F extends (...args: never[]) => unknown>(name: string, f: F): F =>
    function (this: unknown, ...args: Parameters<F>) {
      if (calls.depth === 0) calls.names.add(name);
      calls.depth++;
      try {
        return f.apply(this, args);
      } finally {
        calls.depth--;
      }
    } as F;
  return { calls, watched };
});

vi.mock(import('../../engine/index.ts'), async (original) => {
  const exported = await original();
  const entries = Object.entries(exported).map(([name, value]) => [
    name,
    /^[a-z]/.test(name) ? watched(name, value as () => unknown) : value,
  ]);
  return Object.fromEntries(entries) as typeof exported;
});

/** Exported functions and methods that are no op: they differentiate, run, keep or read. */
const others = [
  ...['grad', 'vjp', 'jvp', 'hessianVectorProduct', 'compile', 'realize', 'slot'],
  ...['useBackend', 'backend', 'memoryBytes', 'printPlan', 'validatePlan'],
  ...['of', 'data', 'item', 'array', 'toHost', 'dispose'].map((name) => `Tensor.${name}`),
];

const functions = Object.keys(engine).filter((name) => /^[a-z]/.test(name));
const methods = Object.entries(Object.getOwnPropertyDescriptors(engine.Tensor.prototype)).flatMap(([name, { value }]) =>
  typeof value === 'function' && name !== 'constructor' ? [name] : [],
);
const ops = [...functions, ...methods.map((name) => `Tensor.${name}`)].filter((name) => !others.includes(name));

for (const name of methods) {
  const prototype = engine.Tensor.prototype as unknown as Record<string, () => unknown>;
  prototype[name] = watched(`Tensor.${name}`, prototype[name]!);
}

/** The names of what a few draws of each case call, by the op that it says it is of. */
function called(): ReadonlyMap<string, ReadonlySet<string>> {
  const byOp = new Map<string, Set<string>>();
  for (const entry of cases) {
    const op = entry.name.split(' ')[0]!;
    const names = byOp.get(op) ?? new Set<string>();
    byOp.set(op, names);
    for (const [drawn, placement] of fc.sample(fc.tuple(...draws(entry, 'small')), { seed: 1, numRuns: 20 })) {
      const views = place(drawn.inputs, placement, 'f32').map(({ base, view }) => view(engine.tensor(base)));
      calls.names.clear();
      drawn.compute(...views);
      for (const name of calls.names) names.add(name);
    }
  }
  return byOp;
}

describe('the table of cases', () => {
  const byOp = called();

  it.each(ops)('has %s called by a case of its name', (op) => {
    expect([...(byOp.get(op.replace('Tensor.', '')) ?? [])]).toContain(op);
  });

  it('names each case once, by an op', () => {
    const names = cases.map(({ name }) => name);
    expect(names.filter((name, i) => names.indexOf(name) !== i)).toEqual([]);
    const known = new Set(ops.map((op) => op.replace('Tensor.', '')));
    expect([...byOp.keys()].filter((op) => !known.has(op))).toEqual([]);
  });
});
