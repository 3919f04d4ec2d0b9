#!/usr/bin/env node
/**
 * Draws the README's picture from runs of `tensegrity train`: the embedding's deviation and the correlation of its dimensions, step by step.
 * usage: node scripts/draw-collapse.mjs OUT.svg LABEL=RUN_FOLDER …
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const [out, ...runs] = process.argv.slice(2);
if (!out || runs.length === 0) {
  console.error('usage: node scripts/draw-collapse.mjs OUT.svg LABEL=RUN_FOLDER …');
  process.exit(2);
}
const colours = ['#0b6e99', '#c2571a', '#3a7d44', '#7b4b94'];
const curves = runs.map((run) => {
  const [label, folder] = run.split(/=(.*)/s);
  const lines = readFileSync(join(folder, 'metrics.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  return { label, lines };
});
const steps = Math.max(...curves.map(({ lines }) => lines.length));
const panels = [
  { title: 'std of the embedding (0: collapsed)', pick: (line) => line.deviation, top: 0.8 },
  { title: 'mean |correlation| of its dimensions (0: no redundancy)', pick: (line) => line.correlation, top: 0.6 },
];
const [width, height, left, top, gap] = [420, 210, 34, 30, 40];
/** Means over stretches of steps, so that a curve is a line and not a band. */
const smooth = (values, stretch = 8) =>
  Array.from({ length: Math.ceil(values.length / stretch) }, (_, i) => {
    const part = values.slice(i * stretch, (i + 1) * stretch);
    return [i * stretch, part.reduce((sum, value) => sum + value, 0) / part.length];
  });
const parts = panels.map(({ title, pick, top: highest }, panel) => {
  const x0 = left + panel * (width + gap);
  const x = (step) => x0 + (step / steps) * (width - left);
  const y = (value) => top + (1 - Math.min(value, highest) / highest) * height;
  const ticks = [0, 0.25, 0.5, 0.75, 1].map((share) => share * highest);
  return [
    `<text x="${x0}" y="${top - 12}" font-weight="600">${title}</text>`,
    ...ticks.map(
      (value) =>
        `<path d="M${x0} ${y(value).toFixed(1)}h${width - left}" stroke="#dde3e4"/><text x="${x0 - 6}" y="${(y(value) + 4).toFixed(1)}" text-anchor="end" fill="#5b6769">${value.toFixed(2)}</text>`,
    ),
    ...curves.map(
      ({ lines }, i) =>
        `<path fill="none" stroke="${colours[i % colours.length]}" stroke-width="2" d="M${smooth(lines.map(pick))
          .map(([step, value]) => `${x(step).toFixed(1)} ${y(value).toFixed(1)}`)
          .join('L')}"/>`,
    ),
    `<text x="${x0 + width - left}" y="${top + height + 16}" text-anchor="end" fill="#5b6769">${steps} steps</text>`,
  ].join('');
});
const legend = curves.map(
  ({ label }, i) =>
    `<path d="M${left + i * 210} ${top + height + 36}h18" stroke="${colours[i % colours.length]}" stroke-width="3"/><text x="${left + 24 + i * 210}" y="${top + height + 40}">${label}</text>`,
);
const [w, h] = [2 * width + gap + 10, top + height + 52];
writeFileSync(
  out,
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${w} ${h}" font-family="system-ui,sans-serif" font-size="13" fill="#1c2526"><title>Deviation and correlation of embeddings during training</title><rect width="${w}" height="${h}" fill="#fff"/>${parts.join('')}${legend.join('')}</svg>\n`,
);
