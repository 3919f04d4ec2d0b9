import type { AuditReport, Evidence, Finding } from './audit.ts';
import { identityText, numbersLine, replayOf, summaryOf } from './report.ts';

const escaped = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
const number = (x: number): string => (Number.isInteger(x) ? String(x) : String(Number(x.toPrecision(7))));

function arrayTable(name: string, rows: readonly (readonly number[])[]): string {
  const shown = rows.slice(0, 12);
  const body = shown
    .map(
      (row) =>
        `<tr>${row
          .slice(0, 12)
          .map((x) => `<td>${number(x)}</td>`)
          .join('')}</tr>`,
    )
    .join('');
  return `<figure><figcaption>${escaped(name)} [${rows.length}, ${rows[0]?.length ?? 0}]</figcaption><table class="array">${body}</table></figure>`;
}

function evidenceHtml(evidence: Evidence): string {
  const numbers = numbersLine(evidence);
  return `<p><b>${escaped(evidence.property)}</b>: ${escaped(evidence.statement)}. <span class="source">${escaped(evidence.source)}</span></p>
<p>${escaped(evidence.sentence)}${numbers === null ? '' : ` <span class="source">(${escaped(numbers)})</span>`}</p>
<div class="arrays">${Object.entries(evidence.batch.arrays)
    .map(([name, rows]) => arrayTable(name, rows))
    .join('')}</div>
<p class="source">replay: <code>${escaped(replayOf(evidence))}</code></p>`;
}

function findingHtml({ sentence, source, certain, evidence }: Finding): string {
  const [first, ...rest] = evidence as readonly [Evidence, ...Evidence[]];
  const more =
    rest.length === 0
      ? ''
      : `<details><summary>The same cause breaks ${rest.length} more: ${escaped(rest.map(({ property }) => property).join(', '))}</summary>${rest.map(evidenceHtml).join('<hr>')}</details>`;
  return `<section><h2>${escaped(sentence)}</h2><p class="source">${certain ? 'told from its values, to rounding' : 'the likeliest cause'}${source ? `; known from ${escaped(source)}` : ''}</p>${evidenceHtml(first)}${more}</section>`;
}

/** The report as a page that needs nothing else, to go with a review. */
export function auditPage(report: AuditReport): string {
  const { findings, properties, remarks } = report;
  const said = identityText(report);
  const rows = properties
    .map(
      ({ name, statement, outcome, runs }) =>
        `<tr class="${outcome.replace(' ', '-')}"><td>${escaped(name)}</td><td>${escaped(statement)}</td><td>${outcome}</td><td>${runs}</td></tr>`,
    )
    .join('');
  const given = Object.entries(report.options)
    .map(([name, value]) => `${name} ${value}`)
    .join(', ');
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Audit: ${escaped(report.loss)}</title>
<style>
body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1c2426;background:#fff}
h1{font-size:1.4rem}h2{font-size:1.1rem;margin:0 0 .3rem}section{border-left:4px solid #c2571a;padding:.2rem 1rem;margin:1.5rem 0}
table{border-collapse:collapse}td,th{padding:.2rem .6rem;border-bottom:1px solid #e3e8e9;text-align:left;vertical-align:top}
.array td{text-align:right;font:13px ui-monospace,monospace;border:1px solid #e3e8e9}.arrays{display:flex;flex-wrap:wrap;gap:1rem}
figure{margin:0}figcaption,.source{color:#5b6769;font-size:.9rem}code{font:13px ui-monospace,monospace}
.broken td{background:#fbeee6}.not-asked td{color:#8a9496}.verdict{font-size:1.1rem}
</style>
<h1>${escaped(report.loss)}, as ${escaped(report.title)}</h1>
<p class="source">${escaped(report.source)}; ${report.precision}${given === '' ? '' : `; ${escaped(given)}`}</p>
<p class="verdict">${escaped(summaryOf(report))}</p>
${said === null ? '' : `<p>${escaped(said)}</p>`}
${findings.map(findingHtml).join('\n')}
<h2>Properties</h2><table><tr><th>property</th><th>what should hold</th><th>outcome</th><th>draws</th></tr>${rows}</table>
${remarks.length === 0 ? '' : `<h2>Notes</h2><ul>${remarks.map((remark) => `<li>${escaped(remark)}</li>`).join('')}</ul>`}
<p class="source">seed ${report.seed}; asked ${report.asked} times in ${report.seconds.toFixed(1)} s</p>
</html>
`;
}
