import { describe, expect, it } from 'vitest';
import { type AuditReport, auditLoss, type Loss, reportText } from '../../audit/index.ts';
import { leastSquares } from '../../audit/leastSquares.ts';

type Rows = readonly (readonly number[])[];

const mean = (x: readonly number[]): number => x.reduce((sum, value) => sum + value, 0) / x.length;

function covariance(z: Rows): number[][] {
  const means = z[0]!.map((_, j) => mean(z.map((row) => row[j]!)));
  const centred = z.map((row) => row.map((x, j) => x - means[j]!));
  return means.map((_, j) => means.map((_unused, k) => centred.reduce((sum, row) => sum + row[j]! * row[k]!, 0) / (z.length - 1)));
}

type Weights = readonly [invariance: number, varianceA: number, varianceB: number, covarianceA: number, covarianceB: number];
const official: Weights = [25, 12.5, 12.5, 1, 1];

/** VICReg with a weight for each term of each view. */
function vicreg(za: Rows, zb: Rows, [s, va, vb, ca, cb]: Weights = official): number {
  const terms = [za, zb].map((z) => {
    const c = covariance(z);
    const hinges = c.map((row, j) => Math.max(0, 1 - Math.sqrt(row[j]! + 1e-4)));
    return [mean(hinges), c.flatMap((row, j) => row.filter((_, k) => k !== j)).reduce((sum, x) => sum + x * x, 0) / c.length] as const;
  });
  const invariance = mean(za.flatMap((row, i) => row.map((x, j) => (x - zb[i]![j]!) ** 2)));
  return s * invariance + va * terms[0]![0] + vb * terms[1]![0] + ca * terms[0]![1] + cb * terms[1]![1];
}

/** Gradients by differences of fourth order. */
function gradients(of: (za: Rows, zb: Rows) => number, views: readonly [Rows, Rows]): number[][][] {
  return views.map((z, v) =>
    z.map((row, i) =>
      row.map((_, j) => {
        const at = (step: number): number => {
          const moved = views.map((view, u) =>
            u === v ? view.map((r, a) => (a === i ? r.map((x, b) => (b === j ? x + step : x)) : r)) : view,
          );
          return of(moved[0]!, moved[1]!);
        };
        const h = 1e-4;
        return (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h);
      }),
    ),
  );
}

const audit = (loss: unknown, options = {}): Promise<AuditReport> => auditLoss(loss as Loss, { family: 'vicreg', runs: 20, ...options });

/** The one cause that is found. */
async function causeOf(loss: unknown, options = {}): Promise<string> {
  const report = await audit(loss, options);
  expect(
    report.findings.filter(({ certain }) => certain),
    reportText(report),
  ).toHaveLength(1);
  return report.findings[0]!.sentence;
}

describe('least squares', () => {
  it('gives coefficients, and 0 to a column that others make up', () => {
    const rows = [1, 2, 3, 5].map((x) => [x, 1, 2 * x + 3]);
    const found = leastSquares(
      rows,
      rows.map(([x]) => 4 * x! - 7),
    )!;
    expect(found.coefficients[2]).toBe(0);
    expect(found.coefficients[0]).toBeCloseTo(4, 12);
    expect(found.coefficients[1]).toBeCloseTo(-7, 12);
    expect(found.residual).toBeLessThan(1e-12);
    expect(leastSquares([[1, 2]], [1])).toBeNull();
  });
});

describe('identification', () => {
  it('says the combination, and a dialect by its name', async () => {
    const report = await audit((za: Rows, zb: Rows) => vicreg(za, zb, [25, 25, 25, 1, 1]));
    expect(report.identity).toMatchObject({ kind: 'dialect', combination: '25·invariance + 50·variance + 1·covariance' });
    expect(report.findings).toHaveLength(1);
    const given = await audit((za: Rows, zb: Rows) => vicreg(za, zb, [25, 25, 25, 1, 1]), { dialect: 'solo-learn' });
    expect(given.verdict).toBe('nothing found');
  });

  it.each<[Weights, RegExp]>([
    [[25, 12.5, 12.5, 0, 0], /covariance is 0, not 1: it is missing/],
    [[25, 12.5, 12.5, 1, 0], /covariance of zb is missing/],
    [[25, 12.5, 12.5, -1, -1], /covariance term has the opposite sign/],
    [[1, 12.5, 12.5, 1, 1], /invariance is 1, not 25/],
    [[1, 0.5, 0.5, 25, 25], /invariance term counts 0.04 times.*variance term counts 0.04 times.*covariance term counts 25 times/],
  ])('finds the weights %j', async (weights, said) => {
    expect(await causeOf((za: Rows, zb: Rows) => vicreg(za, zb, weights))).toMatch(said);
  });

  it('finds a sum in the place of a mean, and the value of an option', async () => {
    expect(await causeOf((za: Rows, zb: Rows) => vicreg(za, zb) * za.length)).toMatch(/the loss is n times as large/);
    expect(await causeOf((za: Rows, zb: Rows) => vicreg(za, zb, [50, 25, 25, 2, 2]))).toMatch(/counts twice/);
    const epsilon = (za: Rows, zb: Rows) => vicreg(za, zb) + 0;
    expect(await causeOf(epsilon, { options: { epsilon: 0.04 } })).toMatch(/epsilon is 0.0001, not 0.04/);
  });

  it.each<[string, Weights, Weights, RegExp]>([
    [
      'a term',
      [25, 12.5, 12.5, 0, 0],
      [25, 12.5, 12.5, 0, 0],
      /covariance of za gives za no gradient: it is detached there; the covariance of zb/,
    ],
    ['a view', official, [0, 0, 0, 0, 0], /zb gets no gradient: it is detached/],
    ['a term in one view', official, [0, 12.5, 12.5, 1, 1], /the invariance gives zb no gradient/],
  ])('tells a gradient without %s', async (_, first, second, said) => {
    const loss = (za: Rows, zb: Rows) => ({
      loss: vicreg(za, zb),
      gradients: [gradients((a, b) => vicreg(a, b, first), [za, zb])[0], gradients((a, b) => vicreg(a, b, second), [za, zb])[1]],
    });
    expect(await causeOf(loss)).toMatch(said);
  });
});
