/**
 * Matrix products, and whatever is one by index functions. A workgroup makes a tile of the result: tiles of both factors pass through
 * workgroup memory, as vectors of four lines that are a quarter of the tile apart, so that neighbouring threads load neighbouring lines; a thread
 * sums its part of the tile in registers:
 *
 *     for start of the inner axis, by depth              all threads load tiles of both factors
 *       for k in depth                                   each reads 1–2 vectors of either
 *         for r in threadRows, c in threadColumns / 4    sum[r][c] += left[k][r] * right[k][c]
 *
 * Where tiles are too few for a GPU, the inner axis is cut, and a second stage adds up the parts in their order: the bits do not depend on timing.
 */
import type { Program, View } from '../../compiler/plan.ts';
import { contiguousStrides } from '../../shape.ts';
import { programStatements } from './expressions.ts';
import { type Context, placeOf, placeStatements, type Shader, THREADS, Views } from './shader.ts';
import { cutProduct, pitchOf, type Tile, threadsOf, workgroupBytesOf } from './tile.ts';

/**
 * What an element's place in a factor owes to its line (a row of the left factor, a column of the right one), or to its inner position: statements that
 * declare `${name}At`, which the two parts add up to the place in the buffer; and in an image also `${name}Y` and `${name}X`, which add up to the pixel.
 */
export type Part = (position: string, name: string) => string;

export interface Factor {
  readonly view: View;
  readonly line: Part;
  readonly inner: Part;
  /** Whether neighbours in memory are neighbours along the inner axis; else along lines. */
  readonly innerDense: boolean;
  /** The image whose outside is zero, if not all pixels are inside. */
  readonly image?: { readonly height: number; readonly width: number };
}

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
  if (batch * rows * columns === 0) return [];
  const { tile, splits, chunk } = cutProduct(batch, rows, columns, inner, context.gpu);
  const threads = threadsOf(tile);
  const groups = batch * Math.ceil(rows / tile.rows) * Math.ceil(columns / tile.columns) * splits;
  const shape = { name, threads, groups, workgroupBytes: workgroupBytesOf(tile) };
  if (splits === 1) {
    const views = new Views(context, [left.view, right.view, ...others], [out]);
    const finish = finishing(product, views, beyond(product, tile));
    const declarations = { ...memoryOf(tile), finish };
    return [views.shader({ ...shape, declarations, body: tileBody(product, tile, chunk, 1, views), besides })];
  }
  const size = batch * rows * columns;
  const buffer = context.temporary('f32', splits * size);
  const partial: View = { buffer, dtype: 'f32', shape: [splits, size], strides: [size, 1], offset: 0 };
  const first = new Views(context, [left.view, right.view], [partial]);
  const keep = `fn finish(part: i32, batch: i32, row: i32, column: i32, total: f32) {
${beyond(product, tile)}
${first.store(partial, `part * ${size} + (batch * ${rows} + row) * ${columns} + column`, 'total')}
}`;
  const second = new Views(context, [partial, ...others], [out]);
  const add = `let at = group * ${THREADS} + thread;
if (at >= ${size}) { return; }
var total = 0.0;
for (var part = 0; part < ${splits}; part++) { total += ${second.load(partial, `part * ${size} + at`)}; }
finish(0, at / ${rows * columns}, at / ${columns} % ${rows}, at % ${columns}, total);`;
  return [
    first.shader({ ...shape, declarations: { ...memoryOf(tile), finish: keep }, body: tileBody(product, tile, chunk, splits, first) }),
    second.shader({
      name: `${name}Sum`,
      groups: Math.ceil(size / THREADS),
      declarations: { finish: finishing(product, second, '') },
      body: add,
      besides,
    }),
  ];
}

function memoryOf({ rows, columns, depth }: Tile): Record<string, string> {
  if (depth === 1) return {};
  const memory = (name: string, lines: number) => `var<workgroup> ${name}: array<vec4<f32>, ${pitchOf(lines) * depth}>;`;
  return { left: memory('left', rows), right: memory('right', columns) };
}

/** A statement that leaves out what a tile has beyond the product. */
function beyond({ rows, columns }: Product, tile: Tile): string {
  const sides = [...(rows % tile.rows === 0 ? [] : [`row >= ${rows}`]), ...(columns % tile.columns === 0 ? [] : [`column >= ${columns}`])];
  return sides.length === 0 ? '' : `if (${sides.join(' || ')}) { return; }`;
}

/** A function that does what is left to do with an element, and stores it. */
function finishing({ out, others, epilogue, coordinates: { statements, names } }: Product, views: Views, guard: string): string {
  const contiguous = { ...out, offset: 0, strides: contiguousStrides(out.shape) };
  const finish = epilogue && [
    `let i = ${placeOf(contiguous, names)};`,
    placeStatements('i', others, 'from'),
    ...others.map((view, k) => `let v${k} = ${view.buffer === out.buffer ? 'total' : views.load(view, `from${k}`)};`),
    programStatements(epilogue, others).statements,
  ];
  return `fn finish(part: i32, batch: i32, row: i32, column: i32, total: f32) {
${guard}
${statements}
${finish?.join('\n') ?? ''}
${views.store(out, placeOf(out, names), epilogue ? `v${epilogue.results[0]}` : 'total')}
}`;
}

const components = ['x', 'y', 'z', 'w'];
const count = (n: number): number[] => [...Array(n).keys()];

function tileBody(product: Product, tile: Tile, chunk: number, splits: number, views: Views): string {
  const { rows, columns, inner } = product;
  const [down, across] = [Math.ceil(rows / tile.rows), Math.ceil(columns / tile.columns)];
  const [teamRows, teamColumns] = [tile.rows / tile.threadRows, tile.columns / tile.threadColumns];
  const sums = count(tile.threadRows).flatMap((r) => count(tile.threadColumns / 4).map((c) => ({ r, c, name: `sum${r}_${c}` })));
  // Which line of the tile a thread's own line is: vectors hold every fourth part.
  const place = (line: number, team: number, lines: number) =>
    tile.depth === 1 ? line * team : (line >> 2) * team + (line & 3) * (lines / 4);
  const rowAt = (r: number) => `firstRow + y + ${place(r, teamRows, tile.rows)}`;
  const columnAt = (c: number) => `firstColumn + x + ${place(c, teamColumns, tile.columns)}`;
  const { once, loop } =
    tile.depth === 1 ? directly(product, tile, rowAt, columnAt, views) : throughWorkgroup(product, tile, [teamRows, teamColumns], views);
  return `let firstColumn = group % ${across} * ${tile.columns};
let firstRow = group / ${across} % ${down} * ${tile.rows};
let part = group / ${across * down} % ${splits};
let batch = group / ${across * down * splits};
let x = thread % ${teamColumns};
let y = thread / ${teamColumns};
${once}
${sums.map(({ name }) => `var ${name} = vec4<f32>();`).join('\n')}
let stop = ${splits === 1 ? inner : `min(${inner}, (part + 1) * ${chunk})`};
for (var start = part * ${chunk}; start < stop; start += ${tile.depth}) {
${loop(sums.map(({ r, c, name }) => `${name} += a${r >> 2}.${components[r & 3]} * b${c}_;`).join('\n'))}
}
${sums
  .flatMap(({ r, c, name }) =>
    components.map((component, k) => `finish(part, batch, ${rowAt(r)}, ${columnAt(4 * c + k)}, ${name}.${component});`),
  )
  .join('\n')}`;
}

/** Statements before the loop along the inner axis, and what is in it, around the sums. */
interface Loop {
  readonly once: string;
  readonly loop: (sums: string) => string;
}

function throughWorkgroup(product: Product, tile: Tile, [teamRows, teamColumns]: readonly [number, number], views: Views): Loop {
  const loads = [
    loading(product.left, 'left', 'firstRow', product.rows, tile.rows, product, tile, views),
    loading(product.right, 'right', 'firstColumn', product.columns, tile.columns, product, tile, views),
  ];
  const vectors = (count_: number, name: (v: number) => string, memory: string, lines: number, thread: string, team: number) =>
    count(count_).map((v) => `let ${name(v)} = ${memory}[k * ${pitchOf(lines)} + ${thread} + ${v * team}];`);
  return {
    once: loads.map(({ once }) => once).join('\n'),
    loop: (sums) => `${loads.map(({ each }) => each).join('\n')}
workgroupBarrier();
for (var k = 0; k < ${tile.depth}; k++) {
${vectors(tile.threadRows / 4, (v) => `a${v}`, 'left', tile.rows, 'y', teamRows).join('\n')}
${vectors(tile.threadColumns / 4, (v) => `b${v}_`, 'right', tile.columns, 'x', teamColumns).join('\n')}
${sums}
}
workgroupBarrier();`,
  };
}

function directly(
  { left, right, rows, columns }: Product,
  tile: Tile,
  rowAt: (r: number) => string,
  columnAt: (c: number) => string,
  views: Views,
): Loop {
  const lines = (factor: Factor, name: string, length: number, at: (line: number) => string) =>
    count(length).flatMap((line) => [`let ${name}Line${line} = ${at(line)};`, factor.line(`${name}Line${line}`, `${name}${line}`)]);
  const vectors = (factor: Factor, name: string, vector: (v: number) => string, length: number, extent: number, size: number) =>
    count(length / 4).map((v) => {
      const elements = count(4).map((k) => {
        const inside = extent % size === 0 ? [] : [`${name}Line${4 * v + k} < ${extent}`];
        return element(factor, `${name}${4 * v + k}`, `${name}Inner`, inside, views);
      });
      return `let ${vector(v)} = vec4<f32>(\n${elements.join(',\n')});`;
    });
  return {
    once: [...lines(left, 'left', tile.threadRows, rowAt), ...lines(right, 'right', tile.threadColumns, columnAt)].join('\n'),
    loop: (sums) =>
      [
        left.inner('start', 'leftInner'),
        right.inner('start', 'rightInner'),
        ...vectors(left, 'left', (v) => `a${v}`, tile.threadRows, rows, tile.rows),
        ...vectors(right, 'right', (v) => `b${v}_`, tile.threadColumns, columns, tile.columns),
        sums,
      ].join('\n'),
  };
}

/** The element of a line at an inner position, by the names of both; 0 outside of the image, and unless all of `inside`. */
function element({ view, image }: Factor, line: string, k: string, inside: readonly string[], views: Views): string {
  const value = views.load(view, `${line}At + ${k}At`);
  const all = image ? [...inside, `u32(${line}Y + ${k}Y) < ${image.height}u`, `u32(${line}X + ${k}X) < ${image.width}u`] : inside;
  return all.length === 0 ? value : `select(0.0, ${value}, ${all.join(' && ')})`;
}

/** Statements, once and for each tile, that bring a tile of a factor into workgroup memory: each thread some vectors of four lines. */
function loading(
  factor: Factor,
  name: string,
  first: string,
  extent: number,
  lines: number,
  { inner }: Product,
  tile: Tile,
  views: Views,
): { once: string; each: string } {
  const { depth } = tile;
  const threads = threadsOf(tile);
  const quarter = lines / 4;
  const slots = count((quarter * depth) / threads);
  // Which of its coordinates is the same for all vectors of a thread.
  const [sameInner, sameLine] = [factor.innerDense && threads % depth === 0, !factor.innerDense && threads % quarter === 0];
  const slotOf = (s: number) => (s === 0 ? 'thread' : `(thread + ${s * threads})`);
  const innerOf = (s: number) => (factor.innerDense ? `${slotOf(sameInner ? 0 : s)} % ${depth}` : `${slotOf(s)} / ${quarter}`);
  const lineOf = (s: number) => (factor.innerDense ? `${slotOf(s)} / ${depth}` : `${slotOf(sameLine ? 0 : s)} % ${quarter}`);
  const lineName = (s: number, i: number) => `${name}${sameLine ? 0 : s}_${i}`;
  const innerName = (s: number) => `${name}Inner${sameInner ? 0 : s}`;
  const [linesFit, innerFits] = [extent % lines === 0, inner % depth === 0];
  const once = slots
    .filter((s) => s === 0 || !sameLine)
    .flatMap((s) => [
      `let ${name}Line${s} = ${first} + ${lineOf(s)};`,
      ...components.map((_, i) => factor.line(`(${name}Line${s} + ${i * quarter})`, lineName(s, i))),
    ]);
  const each = [
    ...slots
      .filter((s) => s === 0 || !sameInner)
      .flatMap((s) => [`let ${innerName(s)} = start + ${innerOf(s)};`, factor.inner(innerName(s), innerName(s))]),
    ...slots.map((s) => {
      const k = innerName(s);
      const elements = components.map((_, i) => {
        const inside = [
          ...(linesFit ? [] : [`${name}Line${sameLine ? 0 : s} + ${i * quarter} < ${extent}`]),
          ...(innerFits ? [] : [`${k} < stop`]),
        ];
        return element(factor, lineName(s, i), k, inside, views);
      });
      return `${name}[(${innerOf(s)}) * ${pitchOf(lines)} + ${lineOf(s)}] = vec4<f32>(\n${elements.join(',\n')});`;
    }),
  ];
  return { once: once.join('\n'), each: each.join('\n') };
}
