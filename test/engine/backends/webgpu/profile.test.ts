/** Timestamps of plans of any number of dispatches, on what only looks like a GPU: a real one would take long over so many. */
import { describe, expect, it } from 'vitest';
import { Memory } from '../../../../engine/backends/webgpu/memory.ts';
import { Profile } from '../../../../engine/backends/webgpu/profile.ts';
import type { Dispatch } from '../../../../engine/backends/webgpu/translate.ts';

/** The most queries of a set that WebGPU allows. */
const MOST = 4096;

describe('the profile of a plan', () => {
  it.for([1, 2048, 2049, 5000])('of %i dispatches has two timestamps for each, in sets that are not too large', async (count) => {
    let sets = 0;
    const stamps = new BigInt64Array(2 * count);
    const device = {
      createBuffer: ({ size }: { size: number }) => ({
        size,
        mapAsync: async () => undefined,
        getMappedRange: () => stamps.buffer,
        unmap: () => undefined,
        destroy: () => undefined,
      }),
      createQuerySet: ({ count: queries }: { count: number }) => {
        expect(queries).toBeLessThanOrEqual(MOST);
        return { number: sets++, count: queries, destroy: () => void sets-- };
      },
    };
    type Set = ReturnType<typeof device.createQuerySet>;
    const written = new Map<string, bigint>();
    let time = 0n;
    const encoder = {
      beginComputePass: ({
        timestampWrites: { querySet, beginningOfPassWriteIndex, endOfPassWriteIndex },
      }: {
        timestampWrites: { querySet: Set; beginningOfPassWriteIndex: number; endOfPassWriteIndex: number };
      }) => {
        for (const at of [beginningOfPassWriteIndex, endOfPassWriteIndex]) {
          expect(at).toBeLessThan(querySet.count);
          written.set(`${querySet.number} ${at}`, time);
          time += 3_000_000n;
        }
        return { end: () => undefined };
      },
      resolveQuerySet: ({ number }: Set, first: number, queries: number, _buffer: unknown, offset: number) => {
        expect(offset % 256).toBe(0);
        for (let k = 0; k < queries; k++) stamps[offset / 8 + k] = written.get(`${number} ${first + k}`)!;
      },
      copyBufferToBuffer: () => undefined,
    };
    const dispatch: Dispatch = { code: '', bindings: [], workgroups: [1, 1], kernels: [0], shares: [1] };
    const dispatches = Array.from({ length: count }, (_, kernel) => ({ ...dispatch, kernels: [kernel] }));
    // Only what a profile asks of a GPU is there.
    const profile = new Profile(new Memory(device as unknown as GPUDevice), { dispatches, pieces: [] }, count);
    profile.record(encoder as unknown as GPUCommandEncoder, () => undefined);
    expect(written.size).toBe(2 * count);
    expect(await profile.times()).toEqual(Array(count).fill(3));
    profile.dispose();
    expect(sets).toBe(0);
  });
});
