import { element, type Factor } from './factor.ts';
import { components, loadsOf } from './load.ts';
import type { Loop, Product } from './product.ts';
import { range, type Views, workgroupMemory } from './shader.ts';
import { type Tile, vectorPitch } from './tile.ts';

/** The sums of a thread: a vector of four columns for each of its rows. */
function sumsOf({ threadRows, threadColumns }: Tile): { readonly r: number; readonly c: number; readonly name: string }[] {
  return range(threadRows).flatMap((r) => range(threadColumns / 4).map((c) => ({ r, c, name: `sum${r}_${c}` })));
}

/** Of the products of vectors of both factors, by what their names begin with. */
function additions(tile: Tile, left: string, right: string): string[] {
  return sumsOf(tile).map(({ r, c, name }) => `${name} += ${left}${r >> 2}.${components[r & 3]} * ${right}${c};`);
}

/** A loop over the thread's part of the tile, where `line` gives the place in the tile of a row or column by its number and the team's size. */
function finishes(tile: Tile, line: (number: string, team: number, lines: number) => string): string {
  const { rows, columns, threadRows, threadColumns } = tile;
  const vectors = sumsOf(tile).map(({ name }) => name);
  return `var sums = array<vec4<f32>, ${vectors.length}>(${vectors.join(', ')});
for (var k = 0; k < ${threadRows * threadColumns}; k++) {
let row = firstRow + y + ${line(`(k / ${threadColumns})`, rows / threadRows, rows)};
let column = firstColumn + x + ${line(`(k % ${threadColumns})`, columns / threadColumns, columns)};
finish(part, batch, row, column, sums[k >> 2u][k & 3]);
}`;
}

function start(tile: Tile): string {
  const teamColumns = tile.columns / tile.threadColumns;
  return `let x = thread % ${teamColumns};
let y = thread / ${teamColumns};
${sumsOf(tile)
  .map(({ name }) => `var ${name} = vec4<f32>();`)
  .join('\n')}`;
}

/**
 * Tiles of both factors pass through workgroup memory, as vectors of four lines that are a quarter of the tile apart, so that neighbouring
 * threads load and store neighbouring lines; a thread sums its part of the tile in registers:
 *
 *     before                                             all threads load the first tiles of both factors
 *     for start of the inner axis, by depth              … put them into workgroup memory, and load the next
 *       for k in depth, unrolled                         each reads 1–2 vectors of either
 *         for r in threadRows, c in threadColumns / 4    sum[r][c] += left[k][r] * right[k][c]
 */
export function workgroupLoop(product: Product, tile: Tile, views: Views): Loop {
  const loads = loadsOf(product, tile, views, false);
  const [teamRows, teamColumns] = [tile.rows / tile.threadRows, tile.columns / tile.threadColumns];
  const vectors = (count: number, memory: string, lines: number, thread: string, team: number, k: number) =>
    range(count).map((v) => `let ${memory}${k}_${v} = ${memory}[${thread} + ${k * vectorPitch(lines) + v * team}];`);
  const multiply = range(tile.depth).flatMap((k) => [
    ...vectors(tile.threadRows / 4, 'left', tile.rows, 'y', teamRows, k),
    ...vectors(tile.threadColumns / 4, 'right', tile.columns, 'x', teamColumns, k),
    ...additions(tile, `left${k}_`, `right${k}_`),
  ]);
  // What lies behind the end is loaded again rather than from outside of the factors.
  const last = product.inner % tile.depth === 0 ? `min(start + ${tile.depth}, stop - ${tile.depth})` : `start + ${tile.depth}`;
  const fetch = loads.map(({ load }) => load('next')).join('\n');
  const keep = loads.flatMap(({ name, size, slots }) =>
    slots.map(({ inner, line, vector }) => `${name}[(${inner}) * ${vectorPitch(size)} + ${line}] = ${vector};`),
  );
  return {
    declarations: workgroupMemory({
      left: ['vec4<f32>', vectorPitch(tile.rows) * tile.depth],
      right: ['vec4<f32>', vectorPitch(tile.columns) * tile.depth],
    }).declarations,
    before: `${start(tile)}
${loads.map(({ lines }) => lines).join('\n')}
var next = begin;
${loads.map(({ declare }) => declare).join('\n')}
${fetch}`,
    each: `${keep.join('\n')}
workgroupBarrier();
next = ${last};
${fetch}
${multiply.join('\n')}
workgroupBarrier();`,
    after: finishes(tile, (number, team, lines) => `(${number} >> 2u) * ${team} + (${number} & 3) * ${lines / 4}`),
  };
}

/** Each thread reads what it multiplies from where the factors are. */
export function directLoop({ left, right, rows, columns }: Product, tile: Tile, views: Views): Loop {
  const rowAt = (r: number) => `firstRow + y + ${r * (tile.rows / tile.threadRows)}`;
  const columnAt = (c: number) => `firstColumn + x + ${c * (tile.columns / tile.threadColumns)}`;
  const lines = (factor: Factor, name: string, length: number, at: (line: number) => string) =>
    range(length).flatMap((line) => [`let ${name}Line${line} = ${at(line)};`, factor.line(`${name}Line${line}`, `${name}${line}`)]);
  const vectors = (factor: Factor, name: string, length: number, extent: number, size: number) =>
    range(length / 4).map((v) => {
      const elements = range(4).map((k) => {
        const inside = extent % size === 0 ? [] : [`${name}Line${4 * v + k} < ${extent}`];
        return element(factor, `${name}${4 * v + k}`, `${name}Inner`, inside, views);
      });
      return `let ${name}Vector${v} = vec4<f32>(\n${elements.join(',\n')});`;
    });
  return {
    declarations: {},
    before: [start(tile), ...lines(left, 'left', tile.threadRows, rowAt), ...lines(right, 'right', tile.threadColumns, columnAt)].join(
      '\n',
    ),
    each: [
      left.inner('start', 'leftInner'),
      right.inner('start', 'rightInner'),
      ...vectors(left, 'left', tile.threadRows, rows, tile.rows),
      ...vectors(right, 'right', tile.threadColumns, columns, tile.columns),
      ...additions(tile, 'leftVector', 'rightVector'),
    ].join('\n'),
    after: finishes(tile, (number, team) => `${number} * ${team}`),
  };
}
