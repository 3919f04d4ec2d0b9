import type { View } from '../../compiler/plan.ts';
import { nearest, placeAt, placeOf } from './indices.ts';
import { range, type Views } from './shader.ts';

/**
 * What an element's place in a factor owes to its line (a row of the left factor, a column of the right one), or to its inner position: statements that
 * declare `${name}At`, which the two parts add up to the place in the buffer; and in an image also `${name}Y` and `${name}X`, which add up to the pixel.
 */
export type Part = (position: string, name: string) => string;

export interface Factor {
  readonly view: View;
  readonly line: Part;
  /** From one line to the next in the buffer, where lines are evenly spaced. */
  readonly lineStep?: number;
  readonly inner: Part;
  /** Whether neighbours in memory are neighbours along the inner axis; else along lines. */
  readonly innerDense: boolean;
  /** The image whose outside is zero, if not all pixels are inside. */
  readonly image?: { readonly height: number; readonly width: number };
}

/** A factor whose elements are those of a view of axes [batch, lines, …], of which the others are one inner axis, row-major. */
export function stridedFactor(view: View): Factor {
  const { shape, strides, offset } = view;
  const [lines, inner] = [[0, 2], [2]].map(([from, to]) => ({ shape: shape.slice(from, to), strides: strides.slice(from, to) }));
  return {
    view,
    innerDense: nearest(view, range(shape.length).slice(2)) < nearest(view, [1]),
    lineStep: strides[1]!,
    line: (position, name) => `let ${name}At = ${placeOf({ ...lines!, offset }, ['batch', position])};`,
    inner: (position, name) => `let ${name}At = ${placeAt(position, { ...inner!, offset: 0 })};`,
  };
}

/** The element of a line, or so many elements beyond it, at an inner position, by the names of both; 0 outside of the image, and unless all of `inside`. */
export function element({ view, image }: Factor, line: string, k: string, inside: readonly string[], views: Views, beyond = 0): string {
  const value = views.load(view, `${line}At + ${k}At${beyond === 0 ? '' : ` + ${beyond}`}`);
  const all = image ? [...inside, `u32(${line}Y + ${k}Y) < ${image.height}u`, `u32(${line}X + ${k}X) < ${image.width}u`] : inside;
  return all.length === 0 ? value : `select(0.0, ${value}, ${all.join(' && ')})`;
}
