import { dark } from './locale.ts';

/**
 * Of classes, on light paper and on dark. The first eight are those of the command's pages, which people with any colour blindness tell apart;
 * of more classes some look alike, so that a point's class is also told when it is pointed at, and a class can be shown alone.
 */
const classColours: readonly (readonly [light: string, dark: string])[] = [
  ['#0068a8', '#5ab4ee'],
  ['#c4530a', '#f0935a'],
  ['#415844', '#afdeaf'],
  ['#682e63', '#b070af'],
  ['#a58a53', '#fdca3a'],
  ['#4722a8', '#807bf7'],
  ['#7a1d06', '#d2494e'],
  ['#8188a1', '#a89e9f'],
  ['#2a8f86', '#43c7ba'],
  ['#d0708f', '#f2a7c0'],
];

export const classColour = (label: number): string => classColours[label % classColours.length]![dark.value ? 1 : 0];

/** A colour of the style sheet, as the page has it now. */
export const styled = (name: string): string => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

/** #rrggbb as three numbers from 0 to 1. */
export function rgb(hex: string): [number, number, number] {
  const value = Number.parseInt(hex.slice(1), 16);
  return [(value >> 16) / 255, ((value >> 8) & 255) / 255, (value & 255) / 255];
}
