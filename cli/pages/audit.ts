import type { AuditReport, Evidence, Finding, PropertyOutcome } from '../../audit/index.ts';
import { identityText, numbersLine, replayOf, summaryOf } from '../../audit/report.ts';
import { type Content, html, shownCount } from './html.ts';
import { page, type Section, type Verdict } from './page.ts';
import { dataTable } from './table.ts';

/** The page of an audit, to go with a review: of one loss, or of several. */
export function auditPage(reports: readonly AuditReport[]): string {
  const [first] = reports;
  const several = reports.length > 1;
  return page({
    title: several ? `Audit of ${reports.length} losses` : `${first?.loss}, as ${first?.title}`,
    ...(!several && first && { subtitle: whatOf(first), verdict: verdictOf(first) }),
    sections: reports.flatMap((report) => sectionsOf(report, several)),
  });
}

/** What was audited, and how. */
function whatOf({ source, precision, options, seed, asked, seconds }: AuditReport): string {
  const given = Object.entries(options).map(([name, value]) => `${name} ${value}`);
  return [source, precision, ...given, `seed ${seed}`, `asked ${shownCount(asked)} times in ${seconds.toFixed(1)} s`].join('; ');
}

function verdictOf(report: AuditReport): Verdict {
  const kind = report.verdict === 'findings' ? 'bad' : report.verdict === 'nothing found' ? 'good' : 'plain';
  return { kind, text: [summaryOf(report), identityText(report)].filter((text) => text !== null).join('; ') };
}

function sectionsOf(report: AuditReport, several: boolean): readonly (Section | null)[] {
  const { findings, properties, remarks, loss, title } = report;
  const inFull = [
    ...findings.map(findingSection),
    properties.length === 0 ? null : { title: 'Properties', content: propertyTable(properties) },
    remarks.length === 0 ? null : { title: 'Notes', content: html`<ul>${remarks.map((remark) => html`<li>${remark}</li>`)}</ul>` },
  ];
  return several
    ? [{ title: `${loss}, as ${title}`, text: `${verdictOf(report).text}. ${whatOf(report)}`, content: null }, ...inFull]
    : inFull;
}

const OUTCOMES: Readonly<Record<PropertyOutcome['outcome'], string>> = { held: '✓ held', broken: '✗ broken', 'not asked': '– not asked' };

function propertyTable(properties: readonly PropertyOutcome[]): Content {
  return dataTable({
    columns: [{ name: 'property' }, { name: 'what should hold', text: true }, { name: 'outcome', text: true }, { name: 'draws' }],
    rows: properties.map(({ name, statement, outcome, runs }) => [name, statement, OUTCOMES[outcome], runs]),
  });
}

/** The plainest evidence; the others are said to be there, and are in the report's data. */
function findingSection({ sentence, source, certain, evidence }: Finding): Section {
  const [first, ...rest] = evidence;
  return {
    title: sentence,
    text: `${certain ? 'Told from its values, to rounding' : 'The likeliest cause'}${source ? `; known from ${source}` : ''}.`,
    content: [
      first ? evidenceOf(first) : null,
      rest.length === 0
        ? null
        : html`<details><summary>The same cause breaks ${rest.length} more: ${rest.map(({ property }) => property).join(', ')}</summary>${rest.map(evidenceOf)}</details>`,
    ],
  };
}

function evidenceOf(evidence: Evidence): Content {
  const { property, statement, source, sentence, batch } = evidence;
  const numbers = numbersLine(evidence);
  return html`<p><b>${property}</b>: ${statement}. <span class="faint">${source}</span></p><p>${sentence}${numbers === null ? null : html` <span class="faint">(${numbers})</span>`}</p><div class="arrays">${Object.entries(batch.arrays).map(([name, rows]) => arrayTable(name, rows))}</div><p class="faint">replay: <code>${replayOf(evidence)}</code></p>`;
}

/** Rows and columns of an array that are shown. */
const MOST = 12;

function arrayTable(name: string, rows: readonly (readonly number[])[]): Content {
  const width = rows[0]?.length ?? 0;
  const shown = rows.slice(0, MOST).map((row, i) => [`${i}`, ...row.slice(0, MOST).map(String)]);
  const columns = [{ name: '' }, ...Array.from({ length: Math.min(width, MOST) }, (_, j) => ({ name: String(j) }))];
  const more = rows.length > MOST || width > MOST ? `, the first ${MOST} shown` : '';
  return dataTable({ caption: `${name} [${rows.length}, ${width}]${more}`, columns, rows: shown });
}
