import { useSignalEffect } from '@preact/signals';
import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { dark } from '../locale.ts';
import { styled } from '../palette.ts';

export const font = () => `12px ${styled('sans')}`;

/** The axes of all charts: thin, without boxes. */
export function axis(options: Partial<uPlot.Axis> = {}): uPlot.Axis {
  return {
    stroke: styled('faint'),
    font: font(),
    grid: { stroke: styled('hair'), width: 1 },
    ticks: { show: false },
    gap: 4,
    ...options,
  };
}

/** Of a logarithmic axis, its powers of ten, and at most so many of them. */
export const powersOfTen: NonNullable<uPlot.Axis['splits']> = (_, __, least, most) => {
  const [from, to] = [Math.ceil(Math.log10(least) - 1e-9), Math.floor(Math.log10(most) + 1e-9)];
  const every = Math.max(1, Math.ceil((to - from) / 5));
  return Array.from({ length: Math.max(0, Math.floor((to - from) / every) + 1) }, (_, i) => 10 ** (from + i * every));
};

/**
 * A chart by uPlot, as wide as its place. `options` are asked for anew when the colours change or `layout` does; `values` whenever a signal that they read changes.
 */
export function Chart(properties: {
  readonly label: string;
  readonly height: number;
  readonly layout?: string;
  readonly options: () => Omit<uPlot.Options, 'width' | 'height'>;
  readonly values: () => uPlot.AlignedData;
}): JSX.Element {
  const { label, height, layout = '', options, values } = properties;
  const place = useRef<HTMLDivElement>(null);
  const chart = useRef<uPlot | null>(null);
  const given = useRef({ options, values });
  given.current = { options, values };
  useEffect(() => {
    const element = place.current!;
    const made = new uPlot(
      { legend: { show: false }, cursor: { show: false }, ...given.current.options(), width: Math.max(80, element.clientWidth), height },
      given.current.values(),
      element,
    );
    chart.current = made;
    const observer = new ResizeObserver(() => {
      if (element.clientWidth > 0 && element.clientWidth !== made.width) made.setSize({ width: element.clientWidth, height });
    });
    observer.observe(element);
    return () => {
      observer.disconnect();
      chart.current = null;
      made.destroy();
    };
  }, [dark.value, layout, height]);
  useSignalEffect(() => {
    const data = given.current.values();
    chart.current?.setData(data);
  });
  return <div ref={place} class="chart" role="img" aria-label={label} style={{ height: `${height}px` }} />;
}
