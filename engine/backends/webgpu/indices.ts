/** How views become indices. */
import { type Layout, mergedRuns } from '../../compiler/layout.ts';
import type { View } from '../../compiler/plan.ts';
import { contiguousStrides, type Shape } from '../../shape.ts';

/** Where an element is in its buffer, by its coordinates. */
export function placeOf({ shape, strides, offset }: Layout, coordinates: readonly string[]): string {
  const terms = strides.flatMap((stride, axis) => {
    if (shape[axis] === 1 || stride === 0) return [];
    return [stride === 1 ? coordinates[axis]! : `${coordinates[axis]} * ${stride}`];
  });
  return [...(offset === 0 && terms.length > 0 ? [] : [`${offset}`]), ...terms].join(' + ');
}

/** Expressions for the coordinates of row-major position `index`. */
export function coordinatesOf(index: string, shape: Shape): string[] {
  return contiguousStrides(shape).map((stride, axis) => {
    const above = stride === 1 ? index : `${index} / ${stride || 1}`;
    return axis === 0 ? above : `${above} % ${shape[axis] || 1}`;
  });
}

/** Statements that give the coordinates of row-major position `index` these names. */
export function coordinateStatements(index: string, shape: Shape, names: readonly string[]): string {
  const coordinates = coordinatesOf(index, shape);
  return names.map((name, axis) => `let ${name} = ${coordinates[axis]};`).join('\n');
}

/** Statements that give row-major position `index` its place in each view, as `${name}0`, `${name}1`, …. */
export function placeStatements(index: string, views: readonly View[], name: string): string {
  return views.map((view, k) => `let ${name}${k} = ${placeAt(index, view)};`).join('\n');
}

/** The place of row-major position `index` in a view: axes that lie on one line need one division. */
export function placeAt(index: string, { shape, strides, offset }: Layout): string {
  const runs = mergedRuns(shape, strides);
  const sizes = runs.map(({ size }) => size);
  return placeOf({ shape: sizes, strides: runs.map(({ stride }) => stride), offset }, coordinatesOf(index, sizes));
}

/** How far apart neighbours along some axes are in memory, at the least. */
export function nearest({ shape, strides }: Layout, axes: readonly number[]): number {
  return Math.min(...axes.map((axis) => (shape[axis] === 1 || strides[axis] === 0 ? Infinity : Math.abs(strides[axis]!))));
}

/** A view with its axes in this order. */
export function arranged({ shape, strides, ...view }: View, axes: readonly number[]): View {
  return { ...view, shape: axes.map((axis) => shape[axis]!), strides: axes.map((axis) => strides[axis]!) };
}
