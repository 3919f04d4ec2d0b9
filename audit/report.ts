import type { AuditReport, BatchData, Evidence, Finding } from './audit.ts';

const number = (x: number): string => (Number.isInteger(x) ? String(x) : String(Number(x.toPrecision(7))));

/** A matrix on one line where it is small: [[1, 0], [0, 1]]. */
export function matrixText(rows: readonly (readonly number[])[]): string {
  const line = (row: readonly number[]): string => `[${row.map(number).join(', ')}]`;
  return rows.length === 1 ? line(rows[0]!) : `[${rows.map(line).join(', ')}]`;
}

/** The batch, array by array. */
export function batchLines({ arrays }: BatchData): string[] {
  return Object.entries(arrays).map(([name, rows]) => {
    const text = matrixText(rows);
    return `${name} = ${text.length <= 400 ? text : `${text.slice(0, 360)} … (${rows.length} rows)`}`;
  });
}

/** What should have been, and what was. */
export function numbersLine({ expected, seen, tolerance }: Evidence): string | null {
  if (seen === null) return null;
  const parts = [
    ...(expected === null ? [] : [`expected ${number(expected)}`]),
    `seen ${number(seen)}`,
    // What looks alike in the digits that are shown.
    ...(expected !== null && expected !== seen && number(expected) === number(seen)
      ? [`off by ${Math.abs(seen - expected).toExponential(1)}`]
      : []),
    ...(tolerance === null ? [] : [`tolerance ${tolerance.toExponential(1)}`]),
  ];
  return parts.join(', ');
}

export const replayOf = ({ property, seed }: Evidence): string => `--seed ${seed} --property '${property}'`;

function findingLines(finding: Finding, place: number): string[] {
  const [first, ...rest] = finding.evidence as readonly [Evidence, ...Evidence[]];
  const also = rest.map(({ property }) => property);
  const numbers = numbersLine(first);
  return [
    `${place}. ${finding.sentence}`,
    ...(finding.source ? [`   known from: ${finding.source}`] : []),
    `   property: ${first.property}: ${first.statement} (${first.source})`,
    `   ${first.sentence}${numbers === null ? '' : ` (${numbers})`}`,
    ...batchLines(first.batch).map((line) => `     ${line}`),
    ...(also.length > 0 ? [`   the same cause breaks: ${also.join(', ')}`] : []),
    `   replay: ${replayOf(first)}`,
  ];
}

/** What is said of the loss in one line. */
export function summaryOf({ verdict, reason, findings, properties }: AuditReport): string {
  if (verdict === 'not audited') return `could not be audited: ${reason}`;
  const ran = properties.filter(({ runs }) => runs > 0);
  const draws = ran.reduce((sum, { runs }) => sum + runs, 0);
  const held = `${ran.length === 1 ? 'one property' : `${ran.length} properties`}, ${draws} draws`;
  return verdict === 'nothing found'
    ? `nothing found: ${held}`
    : `${findings.length === 1 ? 'one finding' : `${findings.length} findings`} (${held})`;
}

/** What the loss computes, in one line; none where that could not be told. */
export function identityText({ identity }: AuditReport): string | null {
  if (!identity) return null;
  const residual = `(residual ${identity.residual.toExponential(1)})`;
  const trivial = identity.combination === '1·the loss';
  if (identity.kind === 'definition')
    return trivial ? `its values are those of the definition ${residual}` : `it computes ${identity.combination}, as it should ${residual}`;
  return trivial ? `what is said below gives all its values ${residual}` : `it computes ${identity.combination} ${residual}`;
}

/** The report for a terminal. */
export function reportText(report: AuditReport): string {
  const { findings, properties, remarks } = report;
  const said = identityText(report);
  const given = Object.entries(report.options).map(([name, value]) => `${name} ${value}`);
  const notAsked = properties.filter(({ outcome }) => outcome === 'not asked').map(({ name }) => name);
  const lines = [
    `${report.loss}, as ${report.title} (${report.source})`,
    `${report.embeddings.length > 0 ? `of ${report.embeddings.join(', ')}${report.gradients ? ', with gradients' : ''}; ` : ''}${report.precision}${given.length > 0 ? `; ${given.join(', ')}` : ''}`,
    '',
    summaryOf(report),
    ...(said === null ? [] : [said]),
    ...findings.flatMap((finding, i) => ['', ...findingLines(finding, i + 1)]),
    ...(notAsked.length > 0 ? ['', `not asked: ${notAsked.join(', ')}`] : []),
    ...remarks.map((remark) => `note: ${remark}`),
    '',
    `seed ${report.seed}; asked ${report.asked} times in ${report.seconds.toFixed(1)} s`,
  ];
  return lines.join('\n');
}

/** Why a property broke, as the message of a failed test. */
export function failureText(report: AuditReport, property: string): string {
  const place = report.findings.findIndex(({ evidence }) => evidence.some((one) => one.property === property));
  const finding = report.findings[place];
  if (!finding) return `${property} does not hold`;
  const evidence = finding.evidence.filter((one) => one.property === property);
  return findingLines({ ...finding, evidence }, place + 1).join('\n');
}
