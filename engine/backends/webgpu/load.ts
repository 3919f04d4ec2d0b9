import { element } from './factor.ts';
import type { Product } from './product.ts';
import { range, type Views } from './shader.ts';
import { type Tile, threadsOf } from './tile.ts';

export const components = ['x', 'y', 'z', 'w'];

/**
 * How the threads of a workgroup load a tile of a factor: as vectors of four lines, a quarter of the tile apart, at one inner position. They are numbered along
 * the axis in which neighbours in memory are neighbours, and dealt out to the threads in turn, so that neighbouring threads load neighbours.
 *
 *     if the inner axis is dense             else
 *     ┌────┬────┬────┬───                    ┌────┬────┬────┬───
 *     │ 0  │ 1  │ 2  │ …  x                  │ 0  │ q  │ 2q │ …  x
 *     │ d  │ d+1│    │    of each of these   │ 1  │ q+1│    │
 *     │ 2d │    │    │                       │ 2  │    │    │
 *     ├────┼────┼────┼───                    ├────┼────┼────┼───
 *     │ their y, and so on                   │
 */
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
  /** The vectors of a thread, and where in the tile they belong. */
  readonly slots: readonly Slot[];
}

/** A vector by its name, the inner position in the tile and the first line. */
interface Slot {
  readonly vector: string;
  readonly inner: string;
  readonly line: string;
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
  const slots = range((quarter * depth) / threads).map((s): Slot => {
    const number = s === 0 ? 'thread' : `(thread + ${s * threads})`;
    const extentAlong = innerDense ? depth : quarter;
    const along = `${threads % extentAlong === 0 ? 'thread' : number} % ${extentAlong}`;
    const across = `${number} / ${extentAlong}`;
    return { vector: `${name}Vector${s}`, ...(innerDense ? { inner: along, line: across } : { inner: across, line: along }) };
  });
  /** The first vector that has this one's inner position, or line: what these are called by. */
  const numberOf = (slot: Slot, coordinate: 'inner' | 'line'): number => slots.findIndex((each) => each[coordinate] === slot[coordinate]);
  const distinct = (coordinate: 'inner' | 'line'): Slot[] => slots.filter((slot, s) => numberOf(slot, coordinate) === s);
  const innerOf = (slot: Slot): string => `${name}Inner${numberOf(slot, 'inner')}`;
  const lineOf = (slot: Slot): string => `${name}Line${numberOf(slot, 'line')}`;
  // Lines that are evenly spaced need no more than the place of the first: places in registers leave less room for sums.
  const placeOfLine = (slot: Slot, i: number): string => `${name}${numberOf(slot, 'line')}_${lineStep === undefined ? i : 0}`;
  const vectorOf = (slot: Slot): string => {
    const elements = components.map((_, i) => {
      const inside = [
        ...(extent % size === 0 ? [] : [`${lineOf(slot)} + ${i * quarter} < ${extent}`]),
        ...(inner % depth === 0 ? [] : [`${innerOf(slot)} < stop`]),
      ];
      const value = element(factor, placeOfLine(slot, i), innerOf(slot), inside, views, i * quarter * (lineStep ?? 0));
      return half ? `f16(${value})` : value;
    });
    return `vec4<${half ? 'f16' : 'f32'}>(\n${elements.join(',\n')})`;
  };
  return {
    name,
    size,
    innerDense,
    lines: distinct('line')
      .flatMap((slot) => [
        `let ${lineOf(slot)} = ${first} + ${slot.line};`,
        ...range(lineStep === undefined ? 4 : 1).map((i) => factor.line(`(${lineOf(slot)} + ${i * quarter})`, placeOfLine(slot, i))),
      ])
      .join('\n'),
    declare: slots.map(({ vector }) => `var ${vector} = vec4<${half ? 'f16' : 'f32'}>();`).join('\n'),
    load: (from) =>
      [
        ...distinct('inner').flatMap((slot) => [
          `let ${innerOf(slot)} = ${from} + ${slot.inner};`,
          factor.inner(innerOf(slot), innerOf(slot)),
        ]),
        ...slots.map((slot) => `${slot.vector} = ${vectorOf(slot)};`),
      ].join('\n'),
    slots,
  };
}
