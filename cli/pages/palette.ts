/**
 * Colours that people with any common colour blindness tell apart, in light and in dark, after M. Okabe & K. Ito's eight; each has a place in a style
 * sheet, `var(--c0)` … A picture never relies on them alone: lines have dashes, points have shapes, and both have names.
 */
export const COLOURS: readonly (readonly [light: string, dark: string])[] = [
  ['#0068a8', '#5ab4ee'],
  ['#c4530a', '#f0935a'],
  ['#007f5c', '#37c69b'],
  ['#b0528b', '#e39ac6'],
  ['#8a6d00', '#e3c34a'],
  ['#3a3fa0', '#a5a9ff'],
  ['#7a1f1f', '#e07070'],
  ['#5f6b6e', '#b3bfc2'],
];

/** The colour of the i-th of several things. */
export function colour(i: number): string {
  return `var(--c${i % COLOURS.length})`;
}
