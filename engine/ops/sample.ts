import { checkChoice, checkList, options } from '../arguments.ts';
import { isFloat } from '../dtype.ts';
import { check } from '../errors.ts';
import { show } from '../shape.ts';
import type { Tensor } from '../tensor.ts';
import { arange } from './create.ts';
import { takeAlongAxis } from './indexing.ts';
import { narrow, stack } from './movement.ts';
import { apply, checkTensors, type Rule } from './rule.ts';

export interface GridSampleOptions {
  /** What is outside the image: 0, or the nearest border pixel. */
  readonly padding?: 'zeros' | 'border';
  /** Whether −1 and 1 are the centres of the corner pixels, or the image's edges (unless given). */
  readonly alignCorners?: boolean;
}

export const gridSampleRule: Rule<'gridSample'> = {
  op: 'gridSample',
  infer: ([x, grid]) => {
    const fits = x!.shape.length === 4 && grid!.shape.length === 4 && grid!.shape[3] === 2 && grid!.shape[0] === x!.shape[0];
    check(
      fits,
      'shape',
      () => `gridSample: takes images [N, C, H, W] and a grid [N, OH, OW, 2], got ${show(x!.shape)} and ${show(grid!.shape)}`,
    );
    check(
      isFloat(x!.dtype) && x!.dtype === grid!.dtype,
      'dtype',
      () => `gridSample: takes images and grid of one float type, got ${x!.dtype} and ${grid!.dtype}`,
    );
    return { shape: [x!.shape[0]!, x!.shape[1]!, grid!.shape[1]!, grid!.shape[2]!], dtype: x!.dtype };
  },
  // The kernel is a fast form of `sampleByGather`, whose derivatives of every order come from gather and arithmetic.
  vjp: ({ g, inputs: [x, grid], attributes, through }) => through(sampleByGather(x!, grid!, attributes), [x!, grid!], g),
};

/**
 * Bilinear samples of images x [N, C, H, W] at grid [N, OH, OW, 2] of (x, y) pairs, where −1 and 1 are the image's edges; → [N, C, OH, OW].
 * As PyTorch's `grid_sample`, but that a NaN coordinate gives NaN. An infinite one is outside the image, as any far beyond its edges is.
 */
export function gridSample(x: Tensor, grid: Tensor, given: GridSampleOptions = {}): Tensor {
  const { padding, alignCorners } = options('gridSample', given, { padding: 'zeros', alignCorners: false });
  checkChoice('gridSample: padding', padding, ['zeros', 'border']);
  return apply(gridSampleRule, [x, grid], { padding, alignCorners });
}

/** The same function composed of gather and arithmetic: Σ over the four neighbours of weight × pixel. */
export function sampleByGather(x: Tensor, grid: Tensor, { padding, alignCorners }: Required<GridSampleOptions>): Tensor {
  const [n, c, h, w] = [x.shape[0]!, x.shape[1]!, x.shape[2]!, x.shape[3]!];
  const [rows, columns] = [grid.shape[1]!, grid.shape[2]!];
  const across = coordinate(narrow(grid, -1, 0, 1).squeeze(-1), w, padding, alignCorners);
  const down = coordinate(narrow(grid, -1, 1, 1).squeeze(-1), h, padding, alignCorners);
  const left = across.floor();
  const top = down.floor();
  const pixels = x.reshape([n, c, h * w]);
  const corners = [0, 1].flatMap((dy) =>
    [0, 1].map((dx) => {
      const column = left.add(dx);
      const row = top.add(dy);
      const weight = across.sub(column).abs().neg().add(1).mul(down.sub(row).abs().neg().add(1));
      const inside = column.greaterEqual(0).logicalAnd(column.less(w)).logicalAnd(row.greaterEqual(0)).logicalAnd(row.less(h));
      // In integers, since f32 counts no further than 2²⁴ pixels.
      const index = row
        .maximum(0)
        .minimum(h - 1)
        .cast('i32')
        .mul(w)
        .add(
          column
            .maximum(0)
            .minimum(w - 1)
            .cast('i32'),
        );
      const spread = index.reshape([n, 1, rows * columns]).expand([n, c, rows * columns]);
      const values = takeAlongAxis(pixels, spread, 2).reshape([n, c, rows, columns]);
      return inside.where(weight, 0).unsqueeze(1).mul(values);
    }),
  );
  return corners.reduce((sum, corner) => sum.add(corner));
}

/**
 * From [−1, 1] to pixels, clipped to the image's border, or to where nothing of it is left, so that nothing is infinite. Where it clips no gradient
 * goes through.
 */
function coordinate(x: Tensor, size: number, padding: 'zeros' | 'border', alignCorners: boolean): Tensor {
  const pixel = alignCorners ? x.add(1).mul((size - 1) / 2) : x.add(1).mul(size).sub(1).div(2);
  const border = padding === 'border';
  const [first, last] = border ? [0, size - 1] : [-1, size];
  const beyond = border ? pixel.lessEqual(first).logicalOr(pixel.greaterEqual(last)) : pixel.less(first).logicalOr(pixel.greater(last));
  return beyond.where(pixel.stopGradient().maximum(first).minimum(last), pixel);
}

/**
 * The grid of an affine map: theta [N, 2, 3] takes output positions (x, y, 1) in [−1, 1] to input positions; → [N, OH, OW, 2] for
 * `size` = [OH, OW]. As PyTorch's `affine_grid`.
 */
export function affineGrid(theta: Tensor, size: readonly [number, number], given: { readonly alignCorners?: boolean } = {}): Tensor {
  const { alignCorners } = options('affineGrid', given, { alignCorners: false });
  checkTensors('affineGrid', theta);
  checkList('affineGrid: the size', size);
  check(
    theta.rank === 3 && theta.shape[1] === 2 && theta.shape[2] === 3,
    'shape',
    () => `affineGrid: theta must be [N, 2, 3], got ${show(theta.shape)}`,
  );
  const [rows, columns] = size;
  const axis = (length: number): Tensor => {
    const i = arange(length, theta.dtype);
    if (!alignCorners) return i.mul(2).add(1).div(length).sub(1);
    return length === 1 ? i : i.mul(2 / (length - 1)).sub(1);
  };
  const x = axis(columns).reshape([1, 1, columns]);
  const y = axis(rows).reshape([1, rows, 1]);
  const coefficient = (row: number, column: number): Tensor => theta.slice(null, row, column).reshape([theta.shape[0]!, 1, 1]);
  const mapped = [0, 1].map((row) => coefficient(row, 0).mul(x).add(coefficient(row, 1).mul(y)).add(coefficient(row, 2)));
  return stack(mapped, -1);
}
