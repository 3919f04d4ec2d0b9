/**
 * Matrix products, and whatever is one by index functions. A workgroup makes a tile of the result, in one of three ways (see tileLoops.ts and
 * matrixLoop.ts). Where tiles are too few for a GPU, the inner axis is cut, and a second stage adds up the parts in their order: the bits do not depend on timing.
 */

import { contiguous } from '../../compiler/layout.ts';
import type { Program, View } from '../../compiler/plan.ts';
import { programStatements } from './expressions.ts';
import type { Factor } from './factor.ts';
import { placeOf, placeStatements } from './indices.ts';
import { matrixLoop } from './matrixLoop.ts';
import { type Context, checkCounts, type Gpu, type Shader, Views } from './shader.ts';
import { cutProduct, type Tile, threadsOf, workgroupBytesOf } from './tile.ts';
import { directLoop, workgroupLoop } from './tileLoops.ts';

export interface Product {
  readonly name: string;
  readonly batch: number;
  readonly rows: number;
  readonly columns: number;
  readonly inner: number;
  /** The parts may use `batch`. */
  readonly left: Factor;
  readonly right: Factor;
  readonly out: View;
  /** Statements that declare the coordinates in `out` of `row` and `column` of `batch`, and the names of these. */
  readonly coordinates: { readonly statements: string; readonly names: readonly string[] };
  readonly epilogue: Program | null;
  /** What the epilogue reads. */
  readonly others: readonly View[];
  /** See {@link Shader.besides}. */
  readonly besides?: boolean;
}

export function productStages(product: Product, context: Context): Shader[] {
  const { name, batch, rows, columns, inner, left, right, out, others, besides = false } = product;
  checkCounts(name, [inner]);
  const { tile, splits, chunk } = cutProduct(batch, rows, columns, inner, context.gpu);
  const threads = threadsOf(tile);
  const groups = batch * Math.ceil(rows / tile.rows) * Math.ceil(columns / tile.columns) * splits;
  const shape = { name, threads, groups, workgroupBytes: workgroupBytesOf(tile, context.gpu) };
  if (splits === 1) {
    const views = new Views(context, [left.view, right.view, ...others], [out]);
    const finish = finishing(product, views, beyond(product, tile));
    const loop = loops[tile.how](product, tile, views, context.gpu);
    return [
      views.shader({ ...shape, declarations: { ...loop.declarations, finish }, body: tileBody(product, tile, loop, chunk, 1), besides }),
    ];
  }
  const size = batch * rows * columns;
  const partial = context.temporary('f32', [splits, size]);
  const first = new Views(context, [left.view, right.view], [partial]);
  const keep = `fn finish(part: i32, batch: i32, row: i32, column: i32, total: f32) {
${beyond(product, tile)}
${first.store(partial, ['part', `(batch * ${rows} + row) * ${columns} + column`], 'total')}
}`;
  const loop = loops[tile.how](product, tile, first, context.gpu);
  const second = new Views(context, [partial, ...others], [out]);
  const add = `var total = 0.0;
for (var part = 0; part < ${splits}; part++) { total += ${second.load(partial, ['part', 'i'])}; }
finish(0, batch, row, column, total);`;
  return [
    first.shader({ ...shape, declarations: { ...loop.declarations, finish: keep }, body: tileBody(product, tile, loop, chunk, splits) }),
    second.forEach([batch, rows, columns], ['batch', 'row', 'column'], {
      name: `${name}Sum`,
      declarations: { finish: finishing(product, second, '') },
      body: add,
      besides,
    }),
  ];
}

/** A statement that leaves out what a tile has beyond the product. */
function beyond({ rows, columns }: Product, tile: Tile): string {
  const sides = [...(rows % tile.rows === 0 ? [] : [`row >= ${rows}`]), ...(columns % tile.columns === 0 ? [] : [`column >= ${columns}`])];
  return sides.length === 0 ? '' : `if (${sides.join(' || ')}) { return; }`;
}

/** A function that does what is left to do with an element, and stores it. */
function finishing({ out, others, epilogue, coordinates: { statements, names } }: Product, views: Views, guard: string): string {
  const finish = epilogue && [
    `let i = ${placeOf(contiguous(out.shape), names)};`,
    placeStatements('i', others, 'from'),
    ...others.map((view, k) => `let v${k} = ${view.buffer === out.buffer ? 'total' : views.load(view, `from${k}`)};`),
    programStatements(epilogue, others).statements,
  ];
  return `fn finish(part: i32, batch: i32, row: i32, column: i32, total: f32) {
${guard}
${statements}
${finish?.join('\n') ?? ''}
${views.store(out, names, epilogue ? `v${epilogue.results[0]}` : 'total')}
}`;
}

/** How the sums of a tile are made: statements before, in and after the loop along the inner axis. */
export interface Loop {
  readonly declarations: Readonly<Record<string, string>>;
  readonly before: string;
  /** From `start` on, for the tile's depth. */
  readonly each: string;
  /** Calls of `finish(part, batch, row, column, total)`. */
  readonly after: string;
}

const loops: { readonly [How in Tile['how']]: (product: Product, tile: Tile, views: Views, gpu: Gpu) => Loop } = {
  direct: directLoop,
  workgroup: workgroupLoop,
  matrix: matrixLoop,
};

function tileBody({ rows, columns, inner }: Product, tile: Tile, { before, each, after }: Loop, chunk: number, splits: number): string {
  const [down, across] = [Math.ceil(rows / tile.rows), Math.ceil(columns / tile.columns)];
  return `let firstColumn = group % ${across} * ${tile.columns};
let firstRow = group / ${across} % ${down} * ${tile.rows};
let part = group / ${across * down} % ${splits};
let batch = group / ${across * down * splits};
let begin = part * ${chunk};
let stop = ${splits === 1 ? inner : `min(${inner}, (part + 1) * ${chunk})`};
${before}
for (var start = begin; start < stop; start += ${tile.depth}) {
${each}
}
${after}`;
}
