import type { JSX } from 'preact';
import uPlot from 'uplot';
import type { SeriesName } from '../history.ts';
import { className, number, percent, short, texts } from '../locale.ts';
import { styled } from '../palette.ts';
import { batch, cloud, data, drawn, history, latest, scores } from '../state.ts';
import { axis, Chart, font, powersOfTen } from './chart.tsx';
import { Figure, Table, Waiting } from './figure.tsx';

interface Line {
  readonly name: SeriesName;
  readonly title: string;
}

/** Lines are told apart by dashes and by the names at their ends; the first has the accent. */
const dashes: readonly (number[] | undefined)[] = [undefined, [6, 4], [2, 3], [9, 3, 2, 3], [1, 5]];
const strokes = ['accent', 'ink', 'faint', 'ink', 'faint'] as const;

/** Series of their own steps, joined by step. */
function aligned(lines: readonly Line[]): uPlot.AlignedData {
  // Read, so that a chart is drawn anew when it counts up.
  drawn.value;
  const tables = lines.map(({ name }): uPlot.AlignedData => {
    const { steps, values } = history.of(name);
    return [steps as number[], values as (number | null)[]];
  });
  if (tables.every(([steps]) => steps.length === 0)) return [[], ...lines.map(() => [])];
  return uPlot.join(tables);
}

/** Writes each line's name at its end, moved apart where they meet. */
const named =
  (lines: readonly Line[]) =>
  (chart: uPlot): void => {
    const { ctx } = chart;
    const ratio = devicePixelRatio;
    const ends = lines.flatMap(({ title }, i) => {
      const { values } = history.of(lines[i]!.name);
      const value = values.findLast((each) => each !== null && each > 0);
      return value === undefined || value === null ? [] : [{ title, i, y: chart.valToPos(value, 'y', true) }];
    });
    ends.sort((a, b) => a.y - b.y);
    const bottom = chart.bbox.top + chart.bbox.height;
    ends.forEach((end, i) => {
      if (i > 0) end.y = Math.max(end.y, ends[i - 1]!.y + 14 * ratio);
    });
    const overflow = Math.max(0, (ends.at(-1)?.y ?? 0) - bottom);
    ctx.save();
    ctx.font = font().replace('12px', `${12 * ratio}px`);
    ctx.textBaseline = 'middle';
    ctx.textAlign = 'left';
    for (const { title, i, y } of ends) {
      ctx.fillStyle = styled(i === 0 ? 'accent' : 'ink');
      ctx.fillText(title, chart.bbox.left + chart.bbox.width + 6 * ratio, y - overflow);
    }
    ctx.restore();
  };

function Curves(properties: {
  readonly lines: readonly Line[];
  readonly height: number;
  readonly logarithmic?: boolean;
  readonly range?: [number, number];
  readonly format: (value: number) => string;
  readonly margin?: number;
}): JSX.Element {
  const { lines, height, logarithmic = false, range, format, margin = 96 } = properties;
  return (
    <Chart
      label={texts.value.curvesLabel(lines.map(({ title }) => title).join(', '))}
      height={height}
      layout={lines.map(({ name, title }) => name + title).join()}
      options={() => ({
        padding: [8, margin, 0, 0],
        scales: {
          x: { time: false },
          y: {
            ...(logarithmic ? { distr: 3, log: 10 } : {}),
            ...(range ? { range } : {}),
          },
        },
        axes: [
          axis({
            grid: { show: false },
            size: 28,
            space: 70,
            values: (_, ticks) => ticks.map((tick) => (tick % 1 === 0 ? String(tick) : '')),
          }),
          axis({
            size: 48,
            space: 34,
            ...(logarithmic ? { splits: powersOfTen, filter: (_, splits) => splits } : {}),
            values: (_, ticks) => ticks.map((tick) => (tick === null ? '' : format(tick))),
          }),
        ],
        series: [
          {},
          ...lines.map((_, i) => ({
            stroke: styled(strokes[i % strokes.length]!),
            width: i === 0 ? 2 : 1.5,
            ...(dashes[i % dashes.length] ? { dash: dashes[i % dashes.length]! } : {}),
            points: { show: false },
            spanGaps: true,
          })),
        ],
        hooks: { draw: [named(lines)] },
      })}
      values={() => {
        const joined = aligned(lines);
        if (!logarithmic) return joined;
        const [steps, ...rows] = joined;
        return [
          steps,
          ...rows.map((row) => Array.from(row, (value) => (value !== null && value !== undefined && value > 0 ? value : null))),
        ];
      }}
    />
  );
}

/** Every so many rows of curves, since a table of each step helps nobody. */
function sampled(lines: readonly Line[], format: (value: number) => string): JSX.Element {
  const [steps, ...rows] = aligned(lines);
  const every = Math.max(1, Math.ceil(steps.length / 20));
  const picked = Array.from(steps, (step, i) => ({ step, i })).filter(({ i }) => i % every === 0 || i === steps.length - 1);
  return (
    <Table
      columns={[texts.value.columns.step, ...lines.map(({ title }) => title)]}
      rows={picked.map(({ step, i }) => [
        String(step),
        ...rows.map((row) => (row[i] === null || row[i] === undefined ? '–' : format(row[i]))),
      ])}
    />
  );
}

export function Terms({ height = 200 }: { readonly height?: number }): JSX.Element {
  const { parts, loss } = texts.value;
  drawn.value;
  const lines: Line[] = [
    { name: 'loss', title: loss },
    ...history.parts.map((part): Line => ({ name: `part ${part}`, title: parts[part] ?? part })),
  ];
  return (
    <Figure name="terms" aside={latest.value ? short(latest.value.loss) : null} table={() => sampled(lines, short)}>
      {latest.value ? <Curves lines={lines} height={height} logarithmic format={short} /> : <Waiting />}
    </Figure>
  );
}

export function Rank({ height = 200 }: { readonly height?: number }): JSX.Element {
  const lines: Line[] = [{ name: 'rankMe', title: 'RankMe' }];
  const dimensions = cloud.value?.dimensions ?? 0;
  const aside = cloud.value ? `${number(cloud.value.rankMe, 1)} / ${dimensions}` : null;
  return (
    <Figure name="rank" aside={aside} table={() => sampled(lines, (value) => number(value, 1))}>
      {cloud.value && latest.value ? (
        <Curves lines={lines} height={height} range={[0, dimensions]} format={(value) => number(value, 0)} margin={64} />
      ) : (
        <Waiting />
      )}
    </Figure>
  );
}

export function Accuracy({ height = 200 }: { readonly height?: number }): JSX.Element {
  const { probe, nearest, chance } = texts.value;
  const lines: Line[] = [
    { name: 'nearest', title: nearest },
    { name: 'probe', title: probe },
  ];
  const classes = data.value?.classes.length ?? 0;
  drawn.value;
  const any = scores.value !== null || history.of('probe').steps.length > 0;
  return (
    <Figure name="accuracy" aside={classes > 0 ? chance(classes) : null} table={() => sampled(lines, percent)}>
      {classes > 0 && any ? <Curves lines={lines} height={height} range={[0, 1]} format={percent} margin={120} /> : <Waiting />}
    </Figure>
  );
}

/** How many dimensions have which deviation, with γ. */
export function Deviations({ height = 200, quiet = false }: { readonly height?: number; readonly quiet?: boolean }): JSX.Element {
  const { columns, gamma, deviationsLabel } = texts.value;
  const last = batch.value;
  const bins = 24;
  const histogram = (): { readonly edges: number[]; readonly counts: number[] } => {
    const values = batch.value?.deviations ?? new Float32Array();
    const reach = 1.6 * (batch.value?.gamma ?? 1);
    const most = Math.max(reach, ...values) * 1.0001;
    const counts = new Array<number>(bins).fill(0);
    for (const value of values) if (Number.isFinite(value)) counts[Math.min(bins - 1, Math.floor((value / most) * bins))]! += 1;
    return { edges: counts.map((_, i) => (i * most) / bins), counts };
  };
  if (!last) {
    return (
      <Figure name="deviations" quiet={quiet}>
        <Waiting />
      </Figure>
    );
  }
  const mean = last.deviations.reduce((sum, value) => sum + value, 0) / last.deviations.length;
  const below = last.deviations.filter((value) => value < last.gamma / 2).length;
  const table = () => {
    const { edges, counts } = histogram();
    const width = edges[1]! - edges[0]!;
    const rows = edges.flatMap((edge, i) => (counts[i] ? [[number(edge), number(edge + width), String(counts[i])]] : []));
    return <Table columns={[columns.from, columns.to, columns.dimensions]} rows={rows} />;
  };
  return (
    <Figure name="deviations" aside={number(mean)} table={table} quiet={quiet}>
      <Chart
        label={deviationsLabel(number(mean), below, last.deviations.length)}
        height={height}
        layout={gamma}
        options={() => ({
          padding: [18, 8, 0, 0],
          scales: {
            x: { time: false, range: (_, least, most) => [least, most] },
            y: { range: (_, __, most) => [0, Math.max(4, most)] },
          },
          axes: [
            axis({ grid: { show: false }, size: 28, space: 60, values: (_, ticks) => ticks.map((tick) => short(tick)) }),
            axis({ size: 32, space: 40, incrs: [1, 2, 5, 10, 20, 50, 100, 200] }),
          ],
          series: [
            {},
            {
              fill: styled('accent'),
              stroke: styled('accent'),
              width: 0,
              points: { show: false },
              paths: uPlot.paths.bars!({ size: [0.82], align: 1 }),
            },
          ],
          hooks: {
            draw: [
              (chart) => {
                const x = chart.valToPos(batch.value?.gamma ?? 1, 'x', true);
                const { ctx, bbox } = chart;
                ctx.save();
                ctx.strokeStyle = styled('ink');
                ctx.fillStyle = styled('ink');
                ctx.lineWidth = 1.5 * devicePixelRatio;
                ctx.setLineDash([4 * devicePixelRatio, 3 * devicePixelRatio]);
                ctx.beginPath();
                ctx.moveTo(x, bbox.top);
                ctx.lineTo(x, bbox.top + bbox.height);
                ctx.stroke();
                ctx.font = font().replace('12px', `italic ${14 * devicePixelRatio}px`);
                ctx.textAlign = 'center';
                ctx.fillText(gamma, x, bbox.top - 6 * devicePixelRatio);
                ctx.restore();
              },
            ],
          },
        })}
        values={() => {
          const { edges, counts } = histogram();
          // The last edge closes the range; no bar stands on it.
          const width = edges[1]! - edges[0]!;
          return [
            [...edges, edges.at(-1)! + width],
            [...counts, null],
          ];
        }}
      />
    </Figure>
  );
}

/** Below this a share of the variance is none. */
const least = 1e-6;

export function Spectrum({ height = 200 }: { readonly height?: number }): JSX.Element {
  const { columns, spectrumLabel } = texts.value;
  const last = batch.value;
  const shares = (): number[] => {
    const values = batch.value?.spectrum ?? new Float32Array();
    const sum = values.reduce((total, value) => total + Math.max(0, value), 0);
    return Array.from(values, (value) => Math.max(least, sum > 0 ? value / sum : 0));
  };
  const table = () => (
    <Table columns={[columns.axis, columns.share]} rows={shares().map((share, i) => [String(i + 1), `${number(100 * share, 3)}%`])} />
  );
  return (
    <Figure name="spectrum" table={table}>
      {last ? (
        <Chart
          label={spectrumLabel(cloud.value ? number(cloud.value.rankMe, 1) : '?', last.spectrum.length)}
          height={height}
          options={() => ({
            padding: [8, 8, 0, 0],
            scales: { x: { time: false }, y: { distr: 3, log: 10, range: () => [least, 1] } },
            axes: [
              axis({ grid: { show: false }, size: 28, space: 60, incrs: [8, 16, 32, 64] }),
              axis({
                size: 64,
                space: 30,
                splits: powersOfTen,
                filter: (_, splits) => splits,
                values: (_, ticks) => ticks.map((tick) => (tick === null ? '' : `${short(100 * tick)}%`)),
              }),
            ],
            series: [{}, { stroke: styled('accent'), fill: styled('wash'), width: 2, points: { show: false } }],
          })}
          values={() => {
            const values = shares();
            return [values.map((_, i) => i + 1), values];
          }}
        />
      ) : (
        <Waiting />
      )}
    </Figure>
  );
}

/** Class names with the language's words, or what stands for none. */
export const classNameOf = (label: number | undefined): string | null => {
  const name = label === undefined ? undefined : data.value?.classes[label];
  return name === undefined ? null : className(name);
};
