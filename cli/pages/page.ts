import { type Content, Html, html } from './html.ts';
import { COLOURS, PAPER } from './palette.ts';

/** A part of a page, with a heading. */
export interface Section {
  readonly title: string;
  /** What there is to see, in a sentence or two. */
  readonly text?: Content;
  readonly content: Content;
}

export interface Verdict {
  readonly kind: 'good' | 'bad' | 'plain';
  readonly text: string;
}

export interface Page {
  /** Also the window's title: plain text. */
  readonly title: string;
  /** Under the title: where it is from, when, how much. */
  readonly subtitle?: Content;
  /** The one thing to know first, and whether it is good news. */
  readonly verdict?: Verdict;
  /** Those that are null are left out. */
  readonly sections: readonly (Section | null)[];
}

/** The variables of a style sheet on light paper (0) or dark (1). */
function variables(side: 0 | 1): string {
  const [line, card, good, bad] = [
    ['#d5dddf', '#f6f8f8', '#1b7a53', '#b3401f'],
    ['#2c3a3e', '#172124', '#56b68b', '#f08a6c'],
  ][side]!;
  const named = Object.entries(PAPER).map(([name, pair]) => `--${name}:${pair[side]}`);
  return [...named, ...COLOURS.map((pair, i) => `--c${i}:${pair[side]}`), `--line:${line};--card:${card};--good:${good};--bad:${bad}`].join(
    ';',
  );
}

/** Widths are of the window's: nothing is wider, but what scrolls in a box of its own. */
const style = `
:root{color-scheme:light dark;${variables(0)}}
@media (prefers-color-scheme:dark){:root{${variables(1)}}}
*{box-sizing:border-box}
body{font:.9375rem/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif;max-width:80rem;margin:0 auto;padding:1.5rem 1rem 4rem;color:var(--ink);background:var(--paper);overflow-wrap:anywhere}
h1{font-size:1.6rem;line-height:1.25;margin:0 0 .25rem}h2{font-size:1.15rem;margin:2.75rem 0 .5rem;padding-top:.75rem;border-top:1px solid var(--line)}
details{margin:.8rem 0}summary{cursor:pointer}.arrays{display:flex;flex-wrap:wrap;gap:1rem 2rem}.arrays>*{min-width:0}
p{max-width:46rem;margin:.4rem 0 .8rem}.faint,figcaption p,.note{color:var(--faint)}
.verdict{max-width:none;padding:.6rem .9rem;border:1px solid var(--line);border-left:.35rem solid var(--faint);background:var(--card);border-radius:.25rem}
.verdict.good{border-left-color:var(--good)}.verdict.bad{border-left-color:var(--bad)}
dl{max-width:46rem;font-size:.85rem;margin:.75rem 0;display:grid;grid-template-columns:minmax(6rem,max-content) 1fr;gap:.15rem 1rem}dt{color:var(--ink)}dd{margin:0}code{font:.85em ui-monospace,SFMono-Regular,Consolas,monospace;background:var(--card);padding:.15rem .3rem;border-radius:.2rem}
.scroll{overflow-x:auto;max-width:100%}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;overflow-wrap:normal}caption{text-align:left;font-weight:600;padding-bottom:.3rem}
th,td{padding:.3rem .6rem;border-bottom:1px solid var(--line);text-align:right;vertical-align:top}thead th{vertical-align:bottom;font-weight:600}
th small{display:block;font-weight:400;color:var(--faint)}
tbody th{font-weight:400}tbody th[scope=row],thead th:first-child{position:sticky;left:0;background:var(--paper)}.l{text-align:left}td{white-space:nowrap}td.l{white-space:normal;min-width:12rem;overflow-wrap:anywhere}tbody th{min-width:7.5rem;max-width:20rem;overflow-wrap:anywhere}td.best{font-weight:700}td.best::after{content:" ★";font-weight:400}
tbody tr.group th{font-weight:600;padding-top:1rem}
.grid{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(20rem,100%),1fr));gap:0 1.5rem}.grid>figure{display:grid;grid-template-rows:subgrid;grid-row:span 4;row-gap:0;align-content:start;margin-bottom:1.75rem}
figure{margin:0;min-width:0;break-inside:avoid}figcaption{font-weight:600;line-height:1.35;margin-bottom:.35rem}figcaption p{font-weight:400;font-size:.85rem;margin:.1rem 0 0}
figure.wide{max-width:46rem}section>figure,.families{margin-top:2rem}.panels{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(12.5rem,100%),1fr));gap:1rem 1.25rem;margin-top:.6rem}.panels svg{overflow:hidden}.panels figure{display:grid;grid-template-rows:subgrid;grid-row:span 3;row-gap:0}.note{font-size:.85rem;margin:.3rem 0 0}
svg{display:block;width:100%;height:auto;overflow:visible}svg text{font-size:11px;fill:var(--faint);font-family:inherit}
svg.big text{font-size:12.5px}@media (max-width:30rem){.panels{grid-template-columns:1fr 1fr}svg.big text{font-size:17px}}svg .strong{fill:var(--ink);font-weight:600}svg .plain{font-weight:400}svg .halo{paint-order:stroke;stroke:var(--paper);stroke-width:3.5px;stroke-linejoin:round}
.rule{stroke:var(--line);fill:none}.axis{stroke:var(--faint);fill:none}.curve{fill:none;stroke-width:1.6;stroke-linejoin:round}.pale{stroke-width:.8;opacity:.4}
.legend{display:flex;flex-wrap:wrap;gap:.1rem .9rem;font-size:.85rem;margin:.25rem 0 0;padding:0;list-style:none}.legend svg{display:inline-block;vertical-align:middle;margin-right:.35rem}
.legend b{font-weight:400;color:var(--faint);font-variant-numeric:tabular-nums}
img{image-rendering:pixelated;display:block;width:100%;height:auto;background:var(--card)}
.matches{display:grid;gap:.9rem;grid-template-columns:repeat(auto-fill,minmax(min(21rem,100%),1fr))}
.matches h3{font-size:.85rem;margin:0 0 .15rem;font-weight:400}.match span{display:block;overflow:hidden;text-overflow:ellipsis}.match{display:grid;grid-template-columns:repeat(7,minmax(0,1fr));gap:.3rem;font-size:.68rem;line-height:1.25;overflow-wrap:normal;margin:0;padding:0;list-style:none;font-variant-numeric:tabular-nums}
.match li{padding:3px;border:2px solid transparent;border-radius:3px;min-width:0}.match li:first-child{border-color:var(--faint)}.match .same{border-color:var(--good)}.match .other{border:2px dashed var(--bad)}
@media print{:root{color-scheme:light;${variables(0)}}html{font-size:11px}body{max-width:none;padding:0}.scroll{overflow:visible}h2{break-after:avoid}tr,.match{break-inside:avoid}*{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
`;

/** Nothing that is not in the page itself is ever loaded, whatever it says: no script, no address, pictures only as data. */
const POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";

/**
 * A whole page that needs nothing else: no network, no script; light or dark as the reader's system is, on a phone, wide, or printed.
 *
 * `writeFile(path, page({ title: 'Audit of loss.ts', sections: [{ title: 'Findings', content: dataTable({ … }) }] }))`. What a section holds is made by
 * {@link html}, which escapes all that is put into it, by `dataTable` (table.ts), `figure` here, and the pictures: `lineChart`, `histogram` (chart.ts),
 * `heatMap`, `scatter`, `imageTag`. Several figures side by side: {@link grid}.
 */
export function page({ title, subtitle, verdict, sections }: Page): string {
  const shown = sections.filter((section) => section !== null);
  return html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="${POLICY}"><meta name="viewport" content="width=device-width,initial-scale=1"><title>${title}</title>
<style>${new Html(style)}</style></head>
<body><h1>${title}</h1>${subtitle === undefined ? null : html`<p class="faint">${subtitle}</p>`}
${verdict ? html`<p class="verdict ${verdict.kind}" role="status">${MARKS[verdict.kind]}${verdict.text}</p>` : null}
${shown.map((section) => html`<section><h2>${section.title}</h2>${section.text === undefined ? null : html`<p>${section.text}</p>`}${section.content}</section>\n`)}</body></html>
`.text;
}

/** What is said where no measurement tells a collapse. */
export const HEALTHY = 'nothing here says that it has collapsed';

/** What a monitor says, as a verdict; null where it has nothing to say. */
export function judged(warning: string | null): Verdict {
  return warning === null ? { kind: 'good', text: HEALTHY } : { kind: 'bad', text: warning };
}

/** Good and bad by a sign, too, not by colour alone. */
const MARKS = { good: '✓ ', bad: '✗ ', plain: '' } as const;

/** Figures side by side, as many as there is room for. */
export function grid(figures: Content): Html {
  return html`<div class="grid">${figures}</div>`;
}

export interface Figure {
  readonly title: string;
  /** How to read it. */
  readonly text?: Content;
  readonly content: Content;
  /** Under the picture: what it leaves out. */
  readonly note?: Content;
  readonly wide?: boolean;
}

/** A picture with its caption. */
export function figure({ title, text, content, note = null, wide = false }: Figure): Html {
  const explained = text === undefined ? null : html`<p>${text}</p>`;
  const remark = note === null ? null : html`<p class="note">${note}</p>`;
  return html`<figure${wide ? html` class="wide"` : null}><figcaption>${title}${explained}</figcaption>${content}${remark}</figure>`;
}
