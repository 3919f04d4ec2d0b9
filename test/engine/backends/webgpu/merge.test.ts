/** How stages become dispatches and their memory is shared: on stages of any dependencies, without a GPU. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { assemble, commonWorkgroupBytes } from '../../../../engine/backends/webgpu/assemble.ts';
import type { Emitted, Stage } from '../../../../engine/backends/webgpu/emit.ts';
import { merge } from '../../../../engine/backends/webgpu/merge.ts';
import { layOutScratch } from '../../../../engine/backends/webgpu/scratch.ts';
import { translate } from '../../../../engine/backends/webgpu/translate.ts';
import { buildPlan } from '../../../../engine/compiler/compiler.ts';
import { concat, tensor } from '../../../../engine/index.ts';
import { property } from '../../../support/property.ts';
import { realGpu } from './realGpu.ts';

const BUFFERS = 12;
const kinds = ['slot', 'scratch', 'scratch', 'input', 'output'] as const;
const kindOf = (buffer: number) => kinds[buffer % kinds.length]!;

/** A stage that reads and writes any buffers; those of one memory, −1, as small scratch buffers are. */
const stages = fc.array(
  fc.record({
    name: fc.constantFrom('map', 'reduce'),
    groups: fc.constantFrom(1, 60, 1000),
    threads: fc.constantFrom(64, 256),
    reads: fc.uniqueArray(fc.nat(BUFFERS - 1), { maxLength: 4 }),
    writes: fc.uniqueArray(fc.nat(BUFFERS - 1), { minLength: 1, maxLength: 3 }),
    wide: fc.boolean(),
    /** Of the kernel of the stage before, and beside its stages. */
    besides: fc.boolean(),
  }),
  { maxLength: 30 },
);
type Drawn = typeof stages extends fc.Arbitrary<infer T> ? T : never;

const memoryOf = (buffer: number): number => (kindOf(buffer) === 'scratch' && buffer > 6 ? -1 : buffer);

function staged(drawn: Drawn): Stage[] {
  let kernel = -1;
  return drawn.map(({ name, groups, threads, reads, writes, wide, besides }, i) => {
    if (!besides || i === 0) kernel++;
    const written = new Set(writes.map(memoryOf));
    const memories = [...new Set([...reads, ...writes].map(memoryOf))];
    const bindings = memories.map((memory) => ({
      memory,
      element: wide && !written.has(memory) ? 'vec4<f32>' : 'f32',
      written: written.has(memory),
    }));
    const shader = {
      name,
      declarations: {},
      body: '',
      threads,
      groups,
      workgroupBytes: 0,
      besides,
      bindings,
      reads: new Set(reads),
      writes: new Set(writes),
    };
    return { kernel, shader };
  });
}

const merged = (all: readonly Stage[]) => merge(all, { bindings: 8, workgroupBytes: 1 << 14 }, (buffer) => kindOf(buffer) === 'slot');

describe('merging stages into dispatches', () => {
  it('runs each once, after all that it waits for, with as many threads as its companions', () =>
    property([stages], (drawn) => {
      const all = staged(drawn);
      const groups = merged(all);
      const place = new Map(groups.flatMap((group, at) => group.stages.map((stage) => [stage, at] as const)));
      expect(groups.flatMap((group) => group.stages).length).toBe(all.length);
      expect(place.size).toBe(all.length);
      for (const [later, { shader: b }] of all.entries()) {
        for (const [earlier, { shader: a }] of all.slice(0, later).entries()) {
          const together = b.besides && all[earlier]!.kernel === all[later]!.kernel;
          const displaces = [...b.writes].some((x) => a.writes.has(x) || a.reads.has(x));
          const waits = [...a.writes].some((x) => b.reads.has(x)) || (displaces && !together);
          if (waits) expect(place.get(all[earlier]!)).toBeLessThan(place.get(all[later]!)!);
        }
      }
      for (const group of groups) expect(new Set(group.stages.map(({ shader }) => shader.threads)).size).toBe(1);
    }));

  it('binds at most 8 arrays, and memory that is written once', () =>
    property([stages], (drawn) => {
      for (const { stages: members, bindings } of merged(staged(drawn))) {
        expect(bindings.length).toBeLessThanOrEqual(8);
        for (const { memory } of bindings.filter(({ written }) => written))
          expect(bindings.filter((each) => each.memory === memory)).toHaveLength(1);
        for (const { shader } of members) {
          for (const { memory, element } of shader.bindings)
            expect(bindings.some((each) => each.memory === memory && each.element === element)).toBe(true);
        }
      }
    }));

  it('puts what does not wait into one dispatch, and small updates of slots at the end', () => {
    const stage = (kernel: number, reads: readonly number[], writes: readonly number[]): Stage =>
      staged(
        Array.from({ length: kernel + 1 }, () => ({
          name: 'map',
          groups: 1,
          threads: 64,
          reads: [...reads],
          writes: [...writes],
          wide: false,
          besides: false,
        })),
      ).at(-1)!;
    // 0, 5 and 10 are slots, 1, 2 and 6 scratch, 3 an input.
    const all = [stage(0, [0], [0]), stage(1, [3], [1]), stage(2, [1], [2]), stage(3, [3], [6]), stage(4, [5], [5]), stage(5, [2, 6], [4])];
    expect(merged(all).map((group) => group.stages.map(({ kernel }) => kernel))).toEqual([[1, 3], [2], [5], [0, 4]]);
  });

  it('gives two arrays the same memory only if no dispatch lies in the lives of both', () =>
    property([stages], (drawn) => {
      const groups = merged(staged(drawn));
      const buffers = Array.from({ length: BUFFERS }, (_, k) => ({ kind: kindOf(k), bytes: 4 * (10 + k) }));
      const emitted: Emitted = { stages: [], buffers, sharedBytes: 4 * 500 };
      const { pieces, bytes } = layOutScratch(emitted, groups);
      const lives = new Map<number, number[]>();
      groups.forEach(({ bindings }, at) => {
        for (const { memory } of bindings) lives.set(memory, [...(lives.get(memory) ?? []), at]);
      });
      for (const [memory, dispatches] of lives) {
        expect(pieces.has(memory)).toBe(memory < 0 || kindOf(memory) === 'scratch');
        if (!pieces.has(memory)) continue;
        expect(bytes[pieces.get(memory)!]).toBeGreaterThanOrEqual(4 * (memory < 0 ? 500 : 10 + memory));
        for (const [other, others] of lives) {
          if (other === memory || pieces.get(other) !== pieces.get(memory)) continue;
          const apart = Math.max(...dispatches) < Math.min(...others) || Math.max(...others) < Math.min(...dispatches);
          expect(apart).toBe(true);
        }
      }
    }));
});

describe('shaders that run together', () => {
  it('declare alike workgroup memory once, whatever stands between, and take as much of it as is counted', () =>
    property([fc.array(fc.record({ size: fc.constantFrom(4, 8, 12), plus: fc.nat(1) }), { minLength: 1, maxLength: 8 })], (drawn) => {
      const shaders = drawn.map(({ size, plus }) => ({
        name: 'keeps',
        declarations: {
          Pair: `struct Pair { first: f32, second: array<f32, ${size}> }`,
          kept: `var<workgroup> kept: array<Pair, ${size}>;`,
          place: `fn place(i: i32) -> i32 { return i + ${plus}; }`,
        },
        body: `kept[place(thread)].first = ${size}.0;`,
        threads: 64,
        groups: 1,
        workgroupBytes: 4 * size * (size + 1),
        besides: false,
        bindings: [],
        reads: new Set<number>(),
        writes: new Set<number>(),
      }));
      const { code } = assemble(shaders, []);
      const declared = [...code.matchAll(/var<workgroup> (\w+): array<(\w+), (\d+)>/g)];
      const sizes = new Set(drawn.map(({ size }) => size));
      expect(declared.map(([, , , size]) => Number(size)).sort()).toEqual([...sizes].sort());
      expect(commonWorkgroupBytes(shaders)).toBe([...sizes].reduce((sum, size) => sum + 4 * size * (size + 1), 0));
      // Every shader writes to the memory of its size, by the function that adds what it asked for.
      const nameOf = new Map(declared.map(([, name, , size]) => [Number(size), name]));
      const bodies = [...code.matchAll(/(\w+)\[(\w+)\(thread\)\]\.first = (\d+)\.0;/g)];
      expect(bodies.map(([, name]) => name)).toEqual(drawn.map(({ size }) => nameOf.get(size)));
      for (const [i, [, , place]] of bodies.entries())
        expect(code).toContain(`fn ${place}(i: i32) -> i32 { return i${drawn[i]!.plus === 0 ? '' : ' + 1'}; }`);
    }));
});

describe('small scratch buffers', () => {
  it('share a piece of memory that stays small, however many there are', () => {
    // Together 25 MB; a few times as many would be more than one binding.
    const x = tensor(new Float32Array(4096));
    const outputs = [concat(Array.from({ length: 1500 }, (_, i) => x.mul(i)))].map(({ node }) => node);
    const { plan } = buildPlan({ outputs, updates: [], isConstant: () => false, bindings: 8 });
    const { pieces } = translate(plan, { ...realGpu, workgroupBytes: 16384, subgroupSize: 1 });
    expect(pieces.length).toBeGreaterThan(1);
    expect(pieces.reduce((most, bytes) => Math.max(most, bytes), 0)).toBeLessThanOrEqual(2 ** 24);
  });
});
