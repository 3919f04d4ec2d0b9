/**
 * The table of op cases that the tests draw from, on this GPU in f32 against f64 on the CPU: `smoke.ts SECONDS [draws]`. Ends with one JSON text on
 * standard output.
 */
import fc from 'fast-check';
import type { Backend } from '../../engine/backends/backend.ts';
import { createCpuBackend } from '../../engine/backends/cpu/index.ts';
import { type DType, dtypes, type HostArray } from '../../engine/dtype.ts';
import { tensor, useBackend } from '../../engine/index.ts';
import { cases, type Drawn, type OpCase } from '../../test/engine/cases/index.ts';
import { type Placed, place, placements } from '../../test/engine/draws.ts';
import '../webgpu.ts';

export interface Smoke {
  /** Cases of which every draw was within its tolerance. */
  readonly passed: readonly string[];
  /** Cases that were not, with what was wrong first. */
  readonly failed: readonly { readonly name: string; readonly why: string }[];
  /** Cases that time was not left for. */
  readonly left: readonly string[];
}

async function compute({ compute: f }: Drawn, placed: readonly Placed[], backend: Backend, dtype: DType): Promise<HostArray[]> {
  await useBackend(backend);
  const inputs = placed.map(({ base, view }) => view(tensor(base, dtypes[base.dtype].float ? { dtype } : {})));
  return Promise.all([f(...inputs)].flat().map((output) => output.toHost()));
}

const largest = (values: ArrayLike<number>): number =>
  Array.from(values).reduce((most, value) => (Number.isFinite(value) ? Math.max(most, Math.abs(value)) : most), 1e-37);

/** The largest error, relative to what the case says; infinite where NaN or an infinity does not meet its equal. */
function errorOf({ tolerance: { of } }: OpCase, actual: HostArray, expected: ArrayLike<number>, placed: readonly Placed[]): number {
  const rounded = Array.from(expected, dtypes[actual.dtype].round);
  const operands = of === 'operands' ? Math.max(0, ...placed.map(({ base }) => largest(base.data))) : 0;
  const scale = Math.max(largest(rounded), operands);
  return rounded.reduce((worst, value, i) => {
    const got = actual.data[i]!;
    if (Object.is(got, value) || got === value) return worst;
    const error = Math.abs(got - value) / (of === 'element' ? Math.max(1e-37, Math.abs(value)) : scale);
    return Number.isNaN(error) ? Number.POSITIVE_INFINITY : Math.max(worst, error);
  }, 0);
}

const [seconds = '30', draws = '4'] = process.argv.slice(2);
const end = performance.now() + Number(seconds) * 1000;
const reference = createCpuBackend({ poison: true });
const gpu = await useBackend('webgpu');

async function faultOf(entry: OpCase): Promise<string | null> {
  for (const [draw, placement] of fc.sample(fc.tuple(entry.draw('any'), placements), { numRuns: Number(draws), seed: 1 })) {
    const placed = place(draw.inputs, placement, 'f32');
    const outputs = await compute(draw, placed, gpu, 'f32');
    const expected = await compute(draw, placed, reference, 'f64');
    for (const [k, output] of outputs.entries()) {
      const error = errorOf(entry, output, expected[k]!.data, placed);
      const { webgpu: allowed } = entry.tolerance;
      if (!(error <= allowed)) return `off by ${error.toPrecision(2)}, where ${allowed} is allowed`;
    }
  }
  return null;
}

const passed: string[] = [];
const failed: { name: string; why: string }[] = [];
const left: string[] = [];
for (const entry of cases) {
  if (performance.now() > end) {
    left.push(entry.name);
    continue;
  }
  const why = await faultOf(entry).catch((error: Error) => error.message.split('\n')[0]!.slice(0, 120));
  if (why === null) passed.push(entry.name);
  else failed.push({ name: entry.name, why });
}
const smoke: Smoke = { passed, failed, left };
console.log(JSON.stringify(smoke));
process.exit(0);
