/** Every op of the table in JAX: all cases as functions of one module, run by one Python, and held to the reference as backends are. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type HostArray, type Tensor, tensor, useBackend } from '../../../engine/index.ts';
import { graphOf } from '../../../engine/internal.ts';
import { bodyOf } from '../../../export/jax/body.ts';
import { Constants, moduleOf } from '../../../export/jax/module.ts';
import { type Draw, draws, faultsOf } from '../../engine/agreement.ts';
import { cases } from '../../engine/cases/index.ts';
import { place } from '../../engine/draws.ts';
import { reference } from '../../engine/support.ts';
import { hasJax, runPython } from './python.ts';

const DRAWS = 4;

/** A function of tensors as a Python function that gives a tuple. */
async function functionText(name: string, f: (...inputs: Tensor[]) => readonly Tensor[], inputs: readonly Tensor[], constants: Constants) {
  const { leaves } = graphOf(f, [...inputs]);
  const { lines, results } = await bodyOf(
    leaves,
    {
      placeholder: (position) => `x${position}`,
      slot: ({ name }) => `state["${name}"]`,
      constant: (value, node) => constants.textOf(value, node),
    },
    new Map(),
  );
  const parameters = inputs.map((_, i) => `x${i}`);
  return `def ${name}(${parameters.join(', ')}):\n${[...lines, `return [${results.join(', ')}]`].map((line) => `    ${line}`).join('\n')}`;
}

describe.runIf(hasJax)('every op in JAX', () => {
  it('is ours', async () => {
    await useBackend(reference);
    const calls = cases.flatMap((entry) =>
      fc.sample(fc.tuple(...draws(entry, 'any')), { seed: 1, numRuns: DRAWS }).map(([drawn, placement, special]: Draw) => ({
        entry,
        call: [drawn, place(drawn.inputs, placement, 'f32', { specials: special ? entry.specials : [] })] as const,
      })),
    );
    const constants = new Constants(Infinity);
    const arrays = new Map<string, HostArray>();
    const texts: string[] = [];
    for (const [
      i,
      {
        call: [drawn, placed],
      },
    ] of calls.entries()) {
      placed.forEach(({ base }, k) => arrays.set(`${i}.${k}`, base));
      const f = (...bases: Tensor[]): readonly Tensor[] => [drawn.compute(...placed.map(({ view }, k) => view(bases[k]!)))].flat();
      texts.push(
        await functionText(
          `f${i}`,
          f,
          placed.map(({ base }) => tensor(base)),
          constants,
        ),
      );
    }
    const exported = moduleOf('Cases.', [...texts, `COUNT = ${texts.length}`], constants);
    const { arrays: outputs } = await runPython('calls.py', { 'exported.py': exported }, arrays);
    const faults: string[] = [];
    for (const [i, { entry, call }] of calls.entries()) {
      const own: HostArray[] = [];
      for (let k = 0; outputs.has(`${i}.${k}`); k++) own.push(outputs.get(`${i}.${k}`)!);
      // Of no tensors, as a split into none, there is nothing to compute.
      expect(own).toHaveLength(texts[i]!.endsWith('return []') ? 0 : own.length || 1);
      const [fault] = await faultsOf(entry, [call], [own], reference, { limit: entry.tolerance.webgpu, mayFlush: true });
      if (fault) faults.push(`${i} ${entry.name}: ${fault}`);
    }
    expect(faults).toEqual([]);
  }, 300_000);
});
