import { element } from './factor.ts';
import type { Product } from './product.ts';
import { range, type Views } from './shader.ts';
import { type Tile, threadsOf } from './tile.ts';

export const components = ['x', 'y', 'z', 'w'];

/** How the threads of a workgroup load a tile of a factor: each some vectors of four lines, a quarter of the tile apart, at one inner position. */
export interface Load {
  readonly name: string;
  /** Lines of the tile. */
  readonly size: number;
  readonly innerDense: boolean;
  /** Statements that find the lines: once for all tiles. */
  readonly lines: string;
  /** Variables for the vectors. */
  readonly declare: string;
  /** Statements that load them, from an inner position on. */
  readonly load: (from: string) => string;
  /** Where in the tile each vector belongs: its inner position, and the first of its lines. */
  readonly slots: readonly { readonly inner: string; readonly line: string; readonly vector: string }[];
}

/** Of the left factor, and of the right one. */
export function loadsOf(product: Product, tile: Tile, views: Views, half: boolean): readonly [Load, Load] {
  return [loadOf('left', product, tile, views, half), loadOf('right', product, tile, views, half)];
}

const linesOf = {
  left: { axis: 'rows', first: 'firstRow' },
  right: { axis: 'columns', first: 'firstColumn' },
} as const;

function loadOf(name: 'left' | 'right', product: Product, tile: Tile, views: Views, half: boolean): Load {
  const { axis, first } = linesOf[name];
  const { [name]: factor, [axis]: extent, inner } = product;
  const { [axis]: size, depth } = tile;
  const { innerDense, lineStep } = factor;
  const threads = threadsOf(tile);
  const quarter = size / 4;
  const numbers = range((quarter * depth) / threads);
  // Neighbouring threads load neighbours in memory. Which coordinate is then the same for all vectors of a thread?
  const [sameInner, sameLine] = [innerDense && threads % depth === 0, !innerDense && threads % quarter === 0];
  const slot = (s: number) => (s === 0 ? 'thread' : `(thread + ${s * threads})`);
  const innerOf = (s: number) => (innerDense ? `${slot(sameInner ? 0 : s)} % ${depth}` : `${slot(s)} / ${quarter}`);
  const lineOf = (s: number) => (innerDense ? `${slot(s)} / ${depth}` : `${slot(sameLine ? 0 : s)} % ${quarter}`);
  const lineNumber = (s: number) => (sameLine ? 0 : s);
  const innerName = (s: number) => `${name}Inner${sameInner ? 0 : s}`;
  const [linesFit, innerFits] = [extent % size === 0, inner % depth === 0];
  const type = `vec4<${half ? 'f16' : 'f32'}>`;
  return {
    name,
    size,
    innerDense,
    lines: numbers
      .filter((s) => s === 0 || !sameLine)
      .flatMap((s) => [
        `let ${name}Line${s} = ${first} + ${lineOf(s)};`,
        // Lines that are evenly spaced need no more than the place of the first: places in registers leave less room for sums.
        ...components
          .slice(0, lineStep === undefined ? 4 : 1)
          .map((_, i) => factor.line(`(${name}Line${s} + ${i * quarter})`, `${name}${s}_${i}`)),
      ])
      .join('\n'),
    declare: numbers.map((s) => `var ${name}Vector${s} = ${type}();`).join('\n'),
    load: (from) =>
      [
        ...numbers
          .filter((s) => s === 0 || !sameInner)
          .flatMap((s) => [`let ${innerName(s)} = ${from} + ${innerOf(s)};`, factor.inner(innerName(s), innerName(s))]),
        ...numbers.map((s) => {
          const elements = components.map((_, i) => {
            const inside = [
              ...(linesFit ? [] : [`${name}Line${lineNumber(s)} + ${i * quarter} < ${extent}`]),
              ...(innerFits ? [] : [`${innerName(s)} < stop`]),
            ];
            const [line, beyond] = lineStep === undefined ? [i, 0] : [0, i * quarter * lineStep];
            const value = element(factor, `${name}${lineNumber(s)}_${line}`, innerName(s), inside, views, beyond);
            return half ? `f16(${value})` : value;
          });
          return `${name}Vector${s} = ${type}(\n${elements.join(',\n')});`;
        }),
      ].join('\n'),
    slots: numbers.map((s) => ({ inner: innerOf(s), line: lineOf(s), vector: `${name}Vector${s}` })),
  };
}
