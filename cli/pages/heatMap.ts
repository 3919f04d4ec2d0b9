import { type Content, type Html, html, shownNumber } from './html.ts';
import { dataAddress, type Raster } from './image.ts';
import { figure } from './page.ts';

export interface HeatMap {
  readonly title: string;
  readonly text?: Content;
  /** A square matrix, row by row. */
  readonly values: ArrayLike<number>;
  readonly size: number;
  /** What is drawn in full colour: the largest magnitude, unless given. */
  readonly most?: number;
  /** Of rows and columns. */
  readonly axis: string;
}

/** More rows than this are drawn as blocks. */
const LARGEST = 256;
/** Blue below 0, orange above, as transparent as they are near 0: on light paper and on dark. */
const [BELOW, ABOVE] = [
  [0, 114, 201],
  [224, 102, 10],
] as const;

/** Of place 0 … 254 in the palette: −1 … 1. */
const PALETTE = Array.from({ length: 255 }, (_, place): readonly [number, number, number, number] => {
  const value = (place - 127) / 127;
  const [r, g, b] = value < 0 ? BELOW : ABOVE;
  return [r, g, b, Math.round(255 * Math.abs(value))];
});

/**
 * A square matrix in colour. Where it has more rows than can be seen, each block shows its element of largest magnitude, so that a single large one is
 * not averaged away.
 */
export function heatMap({ title, text, values, size, most, axis }: HeatMap): Html {
  const block = Math.max(1, Math.ceil(size / LARGEST));
  const side = Math.ceil(size / block);
  const shown = new Float64Array(side * side);
  let largest = 0;
  for (let i = 0; i < size; i++)
    for (let j = 0; j < size; j++) {
      const value = values[i * size + j]!;
      const at = Math.floor(i / block) * side + Math.floor(j / block);
      if (Math.abs(value) > Math.abs(shown[at]!)) shown[at] = value;
      if (Number.isFinite(value)) largest = Math.max(largest, Math.abs(value));
    }
  const full = most ?? (largest || 1);
  const pixels = Uint8Array.from(shown, (value) => 127 + Math.round(127 * Math.max(-1, Math.min(1, value / full || 0))));
  const raster: Raster = { width: side, height: side, pixels, palette: PALETTE };
  const says = `${title}: ${size} × ${size}, magnitudes up to ${shownNumber(largest)}`;
  const content = html`<svg viewBox="0 0 360 368" role="img" aria-label="${says}"><title>${says}</title>${[
    html`<image x="46" y="4" width="304" height="304" style="image-rendering:pixelated" href="${dataAddress(raster)}"/><rect class="axis" x="46" y="4" width="304" height="304"/>`,
    html`<text x="41" y="14" text-anchor="end">0</text><text x="41" y="308" text-anchor="end">${size - 1}</text><text x="350" y="323" text-anchor="end">${axis} ${size - 1}</text><text x="46" y="323">0</text>`,
    bar(full),
  ]}</svg>`;
  const note = block > 1 ? html`Each dot is the largest of a block of ${block} × ${block}.` : null;
  return figure({ title, ...(text !== undefined && { text }), content, note });
}

/** What the colours mean. */
function bar(full: number): Html {
  const places = PALETTE.map((_, place) => place);
  const raster: Raster = { width: places.length, height: 1, pixels: Uint8Array.from(places), palette: PALETTE };
  return html`<image x="46" y="335" width="304" height="10" preserveAspectRatio="none" href="${dataAddress(raster)}"/><rect class="axis" x="46" y="335" width="304" height="10"/><text x="46" y="360">${shownNumber(-full)}</text><text x="198" y="360" text-anchor="middle">0</text><text x="350" y="360" text-anchor="end">${shownNumber(full)}</text>`;
}
