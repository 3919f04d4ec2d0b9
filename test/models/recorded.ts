import { beforeAll, describe, expect, it } from 'vitest';
import { dtypes, isFloat } from '../../engine/dtype.ts';
import {
  type BackendName,
  type DType,
  grad,
  type HostArray,
  realize,
  type Slot,
  type Tensor,
  tensor,
  useBackend,
} from '../../engine/index.ts';
import { type Case, type Recording, readRecording } from '../recordings/recordings.ts';

/** Where recordings are replayed, and how closely: max |a − b| / max |b|. */
export const precisions = [
  { backend: 'cpu', dtype: 'f64', tolerance: 1e-10 },
  { backend: 'cpu', dtype: 'f32', tolerance: 1e-5 },
  { backend: 'wasm', dtype: 'f32', tolerance: 1e-5 },
] as const satisfies readonly { readonly backend: BackendName; readonly dtype: DType; readonly tolerance: number }[];

export type Precision = (typeof precisions)[number];

/** One `describe` for each precision, on its backend. */
export function atEachPrecision(body: (precision: Precision) => void): void {
  describe.each(precisions)('on $backend in $dtype', (precision) => {
    beforeAll(async () => {
      await useBackend(precision.backend);
    });
    body(precision);
  });
}

/** Floats as `dtype`, integers as they are. */
export function converted(array: HostArray, dtype: DType): HostArray {
  if (!isFloat(array.dtype)) return array;
  const data = dtypes[dtype].allocate(array.data.length);
  data.set(array.data);
  return { ...array, dtype, data };
}

/** max |a − b| / max |b|, or max |a − b| where b is 0. */
export function errorOf(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let [worst, scale] = [0, 0];
  for (let i = 0; i < b.length; i++) {
    const difference = Math.abs(a[i]! - b[i]!);
    worst = Number.isNaN(difference) ? Infinity : Math.max(worst, difference);
    scale = Math.max(scale, Math.abs(b[i]!));
  }
  return a.length === b.length ? worst / (scale || 1) : Infinity;
}

/** How an op of a recording is done here: its outputs, and what stands for its inputs in derivatives (the inputs themselves, unless given). */
export interface Replay {
  readonly outputs: readonly Tensor[];
  readonly variables?: readonly (Tensor | Slot | null)[];
}
export type Replays = Readonly<
  Record<string, (inputs: readonly Tensor[], attributes: Readonly<Record<string, unknown>>, recorded: Case) => Replay>
>;

/** Replays every case of a family whose op is in the table, outputs and gradients. */
export function replayFamily(
  family: string,
  replays: Replays,
  { loosened = {} }: { readonly loosened?: Readonly<Record<string, number>> } = {},
): void {
  const recording = readRecording(family);
  atEachPrecision(({ dtype, tolerance }) => {
    for (const recorded of recording.cases.filter(({ op }) => Object.hasOwn(replays, op))) {
      it(recorded.name, async () => {
        const limit = dtype === 'f64' ? tolerance : Math.max(tolerance, loosened[recorded.name] ?? 0);
        for (const { what, error } of await replay(recording, recorded, replays[recorded.op]!, dtype))
          expect(error, what).toBeLessThanOrEqual(limit);
      });
    }
  });
}

async function replay(
  recording: Recording,
  recorded: Case,
  run: Replays[string],
  dtype: DType,
): Promise<{ what: string; error: number }[]> {
  const read = (name: string): Tensor => tensor(converted(recording.tensor(name), dtype));
  const inputs = recorded.inputs.map(read);
  const { outputs, variables = inputs } = run(inputs, recorded.attributes, recorded);
  const chosen = (recorded.gradients ?? []).flatMap((name, i) => (name === null ? [] : [{ name, variable: variables[i]! }]));
  const terms = (recorded.cotangents ?? []).flatMap((name, i) => (name === null ? [] : [outputs[i]!.mul(read(name)).sum()]));
  const gradients =
    terms.length === 0
      ? []
      : grad(
          terms.reduce((sum, term) => sum.add(term)),
          chosen.map(({ variable }) => variable),
        );
  await realize(...outputs, ...gradients);
  const compared = [
    ...recorded.outputs.map((name, i) => ({ name, x: outputs[i]! })),
    ...chosen.map(({ name }, i) => ({ name, x: gradients[i]! })),
  ];
  return Promise.all(compared.map(async ({ name, x }) => ({ what: name, error: errorOf(await x.data(), recording.tensor(name).data) })));
}
