import type { KernelOf } from '../../compiler/plan.ts';
import { isFloat, type TypedArray } from '../../dtype.ts';
import { readView } from './dense.ts';
import { entryOf } from './gather.ts';

/** Only what is replaced is touched. */
export function scatter({ inputs: [indices, updates], outputs: [target] }: KernelOf<'scatter'>, buffers: readonly TypedArray[]): void {
  const [, rows = 0, inner = 0] = indices!.shape;
  const { buffer, dtype, offset, shape, strides } = target!;
  const [, positions = 0] = shape;
  const out = buffers[buffer]!;
  const values = readView(updates!, buffers[updates!.buffer]!);
  const lost = new Set<number>();
  readView(indices!, buffers[indices!.buffer]!).forEach((given, at) => {
    const line = offset + Math.floor(at / (rows * inner)) * strides[0]! + (at % inner) * strides[2]!;
    const place = entryOf(given, positions);
    if (place >= 0) out[line + place * strides[1]!] = values[at]!;
    else if (isFloat(dtype)) lost.add(line);
  });
  for (const line of lost) for (let n = 0; n < positions; n++) out[line + n * strides[1]!] = NaN;
}
