/** Where values lie along an axis. */
export interface Scale {
  readonly at: (value: number) => number;
  readonly ticks: readonly number[];
  readonly log: boolean;
}

/** A coordinate, to a tenth. */
export const one = (value: number): string => String(Math.round(value * 10) / 10);

/** Whether it has a place on an axis: ends of axes and steps between ticks are beyond the range of doubles otherwise. */
export const isDrawn = (value: number): boolean => Math.abs(value) <= 1e300;

export interface Extent {
  readonly least: number;
  readonly most: number;
}

/** The least and the largest of the finite values; null where there are none. */
export function extentOf(lists: readonly ArrayLike<number>[]): Extent | null {
  let [least, most] = [Infinity, -Infinity];
  for (const values of lists)
    for (let i = 0; i < values.length; i++)
      if (isDrawn(values[i]!)) [least, most] = [Math.min(least, values[i]!), Math.max(most, values[i]!)];
  return least <= most ? { least, most } : null;
}

interface Place {
  readonly from: number;
  readonly to: number;
  readonly log: boolean;
  /** About so many ticks. */
  readonly wanted: number;
  readonly whole?: boolean;
  /** Whether the ends are ticks, too. */
  readonly round?: boolean;
}

export function scale(least: number, most: number, { from, to, log, wanted, whole = false, round = false }: Place): Scale {
  const forward = log ? Math.log10 : (value: number) => value;
  // A single value, and what differs from it by rounding only, lies in the middle of something.
  const flat = !(most - least > 1e-9 * Math.max(Math.abs(least), Math.abs(most), 1e-290));
  const around = Math.abs(least) > 1e-280 ? Math.abs(least) / 10 : 0.5;
  const [start, end] = !flat ? [least, most] : log ? [least / 2, most * 2] : [least - around, most + around];
  const step = Math.max(roundStep((end - start) / wanted), whole ? 1 : 0);
  const [low, high] = round && !log ? [Math.floor(start / step + 1e-6) * step, Math.ceil(end / step - 1e-6) * step] : [start, end];
  const [bottom, top] = [forward(low), forward(high)];
  const at = (value: number): number => from + ((forward(value) - bottom) / (top - bottom)) * (to - from);
  return { at, ticks: log ? decades(bottom, top, wanted) : multiples(step, low, high), log };
}

/** The multiples of a step, without the rounding that makes .30000000000000004 of .3. */
function multiples(step: number, low: number, high: number): number[] {
  const first = Math.ceil(low / step - 1e-9);
  return Array.from({ length: Math.floor(high / step + 1e-9) - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

/** Powers of ten, or of some of them, and where there are fewer than two, 2 and 5 times them too. */
function decades(bottom: number, top: number, wanted: number): number[] {
  const [first, last] = [Math.ceil(bottom - 1e-9), Math.floor(top + 1e-9)];
  const stride = Math.max(1, Math.ceil((last - first) / wanted));
  const powers = Array.from({ length: Math.max(0, Math.floor((last - first) / stride) + 1) }, (_, i) => 10 ** (first + i * stride));
  if (powers.length >= 2) return powers;
  const finer = [first - 1, first, first + 1].flatMap((power) => [1, 2, 5].map((factor) => factor * 10 ** power));
  return finer.filter((value) => Math.log10(value) >= bottom - 1e-9 && Math.log10(value) <= top + 1e-9);
}

/** The smallest of 1, 2 and 5 times a power of ten that is not below `width`. */
function roundStep(width: number): number {
  const power = 10 ** Math.floor(Math.log10(width));
  return power * ([1, 2, 5].find((factor) => factor * power >= width * (1 - 1e-9)) ?? 10);
}

/** Short enough to stand beside its neighbours: 20k for 20 000. */
export function tickText(value: number, log: boolean): string {
  const size = Math.abs(value);
  const short = (of: number): string => String(Number(of.toPrecision(4))).replace('-', '−');
  if (size >= 1e9 || (size > 0 && size < (log ? 1e-2 : 1e-4)))
    return value
      .toExponential(Number.isInteger(Math.log10(size)) ? 0 : 1)
      .replace('e+', 'e')
      .replaceAll('-', '−');
  if (size >= 1e6) return `${short(value / 1e6)}M`;
  return size >= 1e4 ? `${short(value / 1e3)}k` : short(value);
}
