import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { parseSafetensors, serializeSafetensors } from '../../../models/io/index.ts';
import { type Checkpoint, loadCheckpoint, parseCheckpoint, saveCheckpoint, serializeCheckpoint } from '../../../models/io/node.ts';
import { property } from '../../support/property.ts';
import { bitsOf, damages, hostArrays } from './arrays.ts';

const count = fc.nat(1_000_000);
const json = fc
  .dictionary(fc.string(), fc.oneof(fc.string(), fc.boolean(), fc.integer(), fc.constant(null)), { noNullPrototype: true })
  .filter((value) => !Object.hasOwn(value, '__proto__'));
const checkpoints: fc.Arbitrary<Checkpoint> = fc.record({
  tensors: fc
    .uniqueArray(fc.tuple(fc.string(), hostArrays), { selector: ([name]) => name, maxLength: 4 })
    .map((entries) => new Map(entries)),
  step: count,
  epoch: count,
  batch: count,
  key: fc.array(fc.nat(0xffffffff), { maxLength: 3 }),
  config: json,
  metrics: fc.array(json, { maxLength: 3 }),
});

const folder = mkdtempSync(join(tmpdir(), 'tensegrity-checkpoint-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const example: Checkpoint = {
  tensors: new Map(),
  step: 3,
  epoch: 1,
  batch: 2,
  key: [7, 0],
  config: { method: 'vicreg' },
  metrics: [{ loss: 1.5 }],
};

describe('checkpoints', () => {
  it('round-trip, bit for bit, and deterministically', () =>
    property([checkpoints], (checkpoint) => {
      const bytes = serializeCheckpoint(checkpoint);
      const { tensors, ...state } = parseCheckpoint(bytes);
      const { tensors: expected, ...expectedState } = checkpoint;
      expect([...tensors].map(([name, array]) => [name, bitsOf(array)])).toEqual(
        [...expected].map(([name, array]) => [name, bitsOf(array)]),
      );
      expect(state).toEqual(expectedState);
      expect([...serializeCheckpoint(checkpoint)]).toEqual([...bytes]);
    }));

  it('notice every damage', () =>
    property(
      [checkpoints, damages],
      (checkpoint, damage) => {
        const bytes = serializeCheckpoint(checkpoint);
        const damaged = damage(bytes);
        fc.pre(damaged.length !== bytes.length || damaged.some((byte, at) => byte !== bytes[at]));
        expect(() => parseCheckpoint(damaged)).toThrow(expect.objectContaining({ code: 'format' }));
      },
      { numRuns: 500 },
    ));

  it('notice each single flipped bit and each shorter length', () => {
    const bytes = serializeCheckpoint({ ...example, tensors: new Map([['w', { dtype: 'f32', shape: [2], data: Float32Array.of(1, 2) }]]) });
    for (let at = 0; at < bytes.length; at++) {
      expect(() => parseCheckpoint(bytes.subarray(0, at))).toThrow(expect.objectContaining({ code: 'format' }));
      const flipped = bytes.slice();
      flipped[at]! ^= 1 << (at % 8);
      expect(() => parseCheckpoint(flipped)).toThrow(expect.objectContaining({ code: 'format' }));
    }
  });

  it('are saved and loaded', async () => {
    const path = join(folder, 'checkpoint.safetensors');
    await saveCheckpoint(path, example);
    expect(await loadCheckpoint(path)).toEqual(example);
    await expect(loadCheckpoint(join(folder, 'none'))).rejects.toMatchObject({ code: 'storage' });
    writeFileSync(path, serializeCheckpoint(example).subarray(0, 100));
    await expect(loadCheckpoint(path)).rejects.toMatchObject({ code: 'format', message: expect.stringContaining(path) });
  });

  it('are .safetensors files that any reader opens', () => {
    const { metadata } = parseSafetensors(serializeCheckpoint(example));
    expect(metadata.get('kind')).toBe('tensegrity checkpoint');
  });

  it('are told from weights', () => {
    expect(() => parseCheckpoint(serializeSafetensors([]))).toThrow(
      expect.objectContaining({ code: 'format', message: expect.stringContaining('weights') }),
    );
  });

  it('turn what JSON cannot hold into null', () => {
    expect(parseCheckpoint(serializeCheckpoint({ ...example, metrics: [{ loss: NaN }] })).metrics).toEqual([{ loss: null }]);
  });

  it.each([{ step: -1 }, { epoch: 1.5 }, { batch: NaN }, { key: [0.5] }])('refuse %o', (wrong) => {
    expect(() => serializeCheckpoint({ ...example, ...wrong })).toThrow(expect.objectContaining({ code: 'argument' }));
  });
});
