/**
 * Colours that people with any common colour blindness tell apart, on light paper and on dark: sought so that the nearest two, as they are seen by those
 * who lack one kind of cone, are as far apart as can be (test/cli/pages/frame.test.ts measures it). Each has a place in a style sheet, `var(--c0)` …
 * A picture never relies on them alone: lines have dashes, points have shapes, and both have names.
 */
export const COLOURS: readonly (readonly [light: string, dark: string])[] = [
  ['#0068a8', '#5ab4ee'],
  ['#c4530a', '#f0935a'],
  ['#415844', '#afdeaf'],
  ['#682e63', '#955493'],
  ['#a58a53', '#fdca3a'],
  ['#4722a8', '#807bf7'],
  ['#7a1d06', '#bf3a3f'],
  ['#8188a1', '#9e9496'],
];

/** Paper, and what is written on it in full and in part. */
export const PAPER = { paper: ['#ffffff', '#11181a'], ink: ['#1c2526', '#e4eaec'], faint: ['#56666a', '#9fb0b5'] } as const;

/** The colour of the i-th of several things. */
export function colour(i: number): string {
  return `var(--c${i % COLOURS.length})`;
}
