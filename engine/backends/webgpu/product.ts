/**
 * Matrix products, and whatever is one by index functions. A workgroup makes a tile of the result, in one of three ways (see tileLoops.ts and
 * matrixLoop.ts). Where tiles are too few for a GPU, the inner axis is cut, and a second stage adds up the parts in their order: the bits do not depend on timing.
 */

import { contiguous } from '../../compiler/layout.ts';
import type { Program, View } from '../../compiler/plan.ts';
import { sizeOf } from '../../shape.ts';
import { programStatements } from './expressions.ts';
import type { Factor } from './factor.ts';
import { placeOf, placeStatements } from './indices.ts';
import { matrixLoop } from './matrixLoop.ts';
import { type Context, checkCounts, type Gpu, type Shader, Views } from './shader.ts';
import { type Cut, cutProduct, type Extents, type Tile, threadsOf, tilesOver, workgroupBytesOf } from './tile.ts';
import { directLoop, workgroupLoop } from './tileLoops.ts';

export interface Product extends Extents {
  readonly name: string;
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
  const { name, batch, rows, columns, left, right, besides = false } = product;
  checkCounts(name, [product.inner]);
  const cut = cutProduct(product, context.gpu);
  const { tile, splits } = cut;
  const parts = splits === 1 ? null : context.temporary('f32', [splits, batch, rows, columns]);
  const made: Product = parts
    ? { ...product, out: parts, coordinates: { statements: '', names: ['part', 'batch', 'row', 'column'] }, epilogue: null, others: [] }
    : product;
  const views = new Views(context, [left.view, right.view, ...made.others], [made.out]);
  const loop = loops[tile.how](product, tile, views, context.gpu);
  const first = views.shader({
    name,
    threads: threadsOf(tile),
    groups: tilesOver(product, tile) * splits,
    workgroupBytes: workgroupBytesOf(tile, context.gpu),
    declarations: { ...loop.declarations, finish: finishing(made, views, beyond(product, tile)) },
    body: tileBody(product, cut, loop),
    besides,
  });
  return parts ? [first, added(product, parts, context)] : [first];
}

/** Adds up the parts of each element. */
function added(product: Product, parts: View, context: Context): Shader {
  const [splits, ...shape] = parts.shape;
  const views = new Views(context, [parts, ...product.others], [product.out]);
  return views.forEach(shape, ['batch', 'row', 'column'], {
    name: `${product.name}Sum`,
    declarations: { finish: finishing(product, views, '') },
    body: `var total = 0.0;
for (var part = 0; part < ${splits}; part++) { total += ${views.load(parts, `part * ${sizeOf(shape)} + i`)}; }
finish(0, batch, row, column, total);`,
    besides: product.besides ?? false,
  });
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

function tileBody({ rows, columns, inner }: Product, { tile, splits, chunk }: Cut, { before, each, after }: Loop): string {
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
