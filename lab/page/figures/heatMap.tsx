import { useSignalEffect } from '@preact/signals';
import type { JSX } from 'preact';
import { useRef } from 'preact/hooks';
import { dark, number, texts } from '../locale.ts';
import { rgb, styled } from '../palette.ts';
import { batch } from '../state.ts';
import { Figure, Table, Waiting } from './figure.tsx';

/** Mean magnitude off the diagonal, that on it, and the pairs that are strongest. */
function summary(matrix: Float32Array): {
  readonly d: number;
  readonly off: number;
  readonly on: number;
  readonly pairs: [number, number, number][];
} {
  const d = Math.round(Math.sqrt(matrix.length));
  let [off, on] = [0, 0];
  const pairs: [number, number, number][] = [];
  for (let i = 0; i < d; i++) {
    on += Math.abs(matrix[i * d + i]!) / d;
    for (let j = 0; j < d; j++) {
      if (i === j) continue;
      const value = matrix[i * d + j]!;
      off += Math.abs(value) / (d * (d - 1));
      if (pairs.length < 10 || Math.abs(value) > Math.abs(pairs.at(-1)![2])) {
        pairs.push([i, j, value]);
        pairs.sort((a, b) => Math.abs(b[2]) - Math.abs(a[2]));
        pairs.length = Math.min(10, pairs.length);
      }
    }
  }
  return { d, off, on, pairs };
}

/** The covariance of a batch's embedding, or the cross-correlation of both views. */
export function HeatMap({ quiet = false }: { readonly quiet?: boolean }): JSX.Element {
  const canvas = useRef<HTMLCanvasElement>(null);
  const last = batch.value;
  useSignalEffect(() => {
    const shown = batch.value;
    dark.value;
    const target = canvas.current;
    if (!shown || !target) return;
    draw(target, shown.matrix, scaleOf(shown.matrix, shown.matrixOf));
  });
  const { columns, heatLabel } = texts.value;
  const name = last?.matrixOf === 'crossCorrelation' ? 'correlation' : 'matrix';
  if (!last) {
    return (
      <Figure name={name} quiet={quiet}>
        <Waiting />
      </Figure>
    );
  }
  const { d, off, pairs } = summary(last.matrix);
  const scale = scaleOf(last.matrix, last.matrixOf);
  return (
    <Figure
      name={name}
      quiet={quiet}
      table={() => (
        <Table columns={[columns.pair, columns.value]} rows={pairs.map(([i, j, value]) => [`${i + 1}, ${j + 1}`, number(value)])} />
      )}
    >
      <canvas
        ref={(element) => {
          canvas.current = element;
          if (element && batch.peek()) draw(element, last.matrix, scale);
        }}
        class="matrix"
        role="img"
        aria-label={heatLabel(d, number(off))}
      />
      <div class="scale" aria-hidden="true">
        <span>{number(-scale, 1)}</span>
        <span class="ramp" />
        <span>{number(scale, 1)}</span>
      </div>
    </Figure>
  );
}

/** Correlations reach to 1; covariances to 1 or, where dimensions are wider, to their mean variance: so that a collapse fades and does not fill the picture. */
function scaleOf(matrix: Float32Array, of: 'covariance' | 'crossCorrelation'): number {
  if (of === 'crossCorrelation') return 1;
  const { on } = summary(matrix);
  return Number.isFinite(on) ? Math.max(1, on) : 1;
}

function draw(canvas: HTMLCanvasElement, matrix: Float32Array, scale: number): void {
  const d = Math.round(Math.sqrt(matrix.length));
  const [positive, negative] = [rgb(styled('accent')), rgb(styled('cold'))];
  const image = new ImageData(d, d);
  for (let i = 0; i < matrix.length; i++) {
    const value = matrix[i]! / scale;
    const colour = value > 0 ? positive : negative;
    for (let channel = 0; channel < 3; channel++) image.data[4 * i + channel] = 255 * colour[channel]!;
    // Paper shows through where the value is small. Its root, so that small ones are seen.
    image.data[4 * i + 3] = 255 * Math.min(1, Math.sqrt(Math.abs(value)) || 0);
  }
  if (canvas.width !== d) [canvas.width, canvas.height] = [d, d];
  const context = canvas.getContext('2d')!;
  context.clearRect(0, 0, d, d);
  context.putImageData(image, 0, 0);
}
