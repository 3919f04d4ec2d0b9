import fc from 'fast-check';
import { describe, it } from 'vitest';
import { property } from '../../../support/property.ts';
import { agree, type Case, dataOf, epsilon, layouts } from './strided.ts';

const pair = (min: number, max: number) => fc.tuple(fc.integer({ min, max }), fc.integer({ min, max }));

const geometries = fc
  .record({
    images: fc.integer({ min: 0, max: 3 }),
    channels: fc.integer({ min: 1, max: 6 }),
    size: fc.oneof({ weight: 3, arbitrary: pair(1, 12) }, { weight: 1, arbitrary: pair(12, 40) }),
    kernel: pair(1, 4),
    stride: pair(1, 3),
    padding: pair(0, 2),
  })
  .map((geometry) => ({
    ...geometry,
    out: [0, 1].map((k) => Math.floor((geometry.size[k]! + 2 * geometry.padding[k]! - geometry.kernel[k]!) / geometry.stride[k]!) + 1),
  }))
  .filter(({ out }) => out.every((extent) => extent > 0));

describe.each(['max', 'argmax', 'sum', 'sumTranspose'] as const)('pool %s', (mode) => {
  it('holds for any window, stride, padding and layout, NaN and infinities among the pixels', () =>
    property(
      [geometries, fc.tuple(layouts(4, true), layouts(4, false)), fc.nat(), fc.boolean()],
      ({ images, channels, size, out, kernel, stride, padding }, lies, seed, specials) => {
        const [image, grid] = [
          [images, channels, ...size],
          [images, channels, ...out],
        ];
        const given: Case = {
          body: { kind: 'pool', mode, kernel, stride, padding },
          inputs: [mode === 'sumTranspose' ? grid : image],
          output: mode === 'sumTranspose' ? image : grid,
          dtype: mode === 'argmax' ? 'i32' : 'f32',
          layouts: lies,
        };
        return agree(given, dataOf(given, seed, [specials]), mode.startsWith('sum') ? 20 * epsilon : 0);
      },
      { numRuns: 300 },
    ));
});
