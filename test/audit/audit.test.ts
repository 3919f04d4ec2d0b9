import { describe as group, it as test } from 'node:test';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  type AuditOptions,
  type AuditReport,
  auditLoss,
  describeLossAudit,
  type Family,
  type FamilyName,
  type Loss,
  propertyNames,
  reportText,
} from '../../audit/index.ts';
import { useBackend } from '../../engine/index.ts';
import { mistakes as heldOut } from './heldOut/index.ts';
import { centred, dot, logSoftmax, type Matrix, map, mean, normalized, softmax, transpose } from './implementations/arithmetic.ts';
import { type DeepCluster, scoresOf } from './implementations/contrast.ts';
import { lossOf } from './implementations/formula.ts';
import { type Implementation, implementations } from './implementations/index.ts';
import { mistakes } from './mistakes/index.ts';

const full = Boolean(process.env['TENSEGRITY_FULL']);

const certain = ({ findings }: AuditReport): boolean => findings.some((finding) => finding.certain);
const drawsOf = ({ properties }: AuditReport): number => properties.reduce((sum, { runs }) => sum + runs, 0);

/** How many of the mistakes may be found without being named. */
const UNNAMED: readonly string[] = [
  // The order and signs of eigenvectors are no formula's.
  'w-mse: not rotated back',
];

describe('mistakes that were made in public', () => {
  it.each([...mistakes, ...heldOut].map((mistake) => ({ mistake, title: `${mistake.family}: ${mistake.name}` })))(
    '$title',
    async ({ mistake, title }) => {
      const { family, dialect, options, loss } = mistake;
      const report = await auditLoss(loss as Loss, { family, dialect, options, runs: full ? 100 : 12 });
      expect(report.verdict, reportText(report)).toBe('findings');
      expect(certain(report), reportText(report)).toBe(!UNNAMED.includes(title));
    },
  );
});

const right = Object.entries<Implementation>(implementations).flatMap(([family, { loss, withGradients, dialects }]) =>
  (dialects.length === 0 ? [undefined] : dialects).map((dialect) => ({
    family: family as Exclude<Family, 'custom'>,
    dialect,
    loss,
    withGradients,
    title: `${family} ${dialect ?? ''}`.trim(),
  })),
);

describe('what is right gives no alarm', () => {
  it.each(right)('$title', async ({ family, dialect, loss, withGradients }) => {
    const options: AuditOptions = { family, dialect, timeBudget: 1e5 };
    const kinds: readonly (readonly [Loss, Partial<AuditOptions>])[] = [
      [loss as Loss, { runs: full ? 1200 : 25 }],
      [loss as Loss, { precision: 'f32', runs: full ? 260 : 25 }],
      ...(family === 'sigreg' || family === 'lejepa' ? [] : ([[withGradients as Loss, { runs: full ? 60 : 2 }]] as const)),
    ];
    for (const [given, own] of kinds) {
      const report = await auditLoss(given, { ...options, ...own });
      expect(report.verdict, reportText(report)).toBe('nothing found');
      expect(report.identity?.kind).toBe('definition');
      if (full && own.runs! > 200) expect(drawsOf(report)).toBeGreaterThan(own.precision === 'f32' ? 2000 : 10_000);
    }
  });
});

/** BYOL of projections, each form of array. */
function byol(z1: readonly (readonly number[])[], z2: readonly (readonly number[])[]): number {
  const cosine = (x: readonly number[], y: readonly number[]): number => {
    const dot = (a: readonly number[], b: readonly number[]): number => a.reduce((sum, value, i) => sum + value * b[i]!, 0);
    return dot(x, y) / (Math.max(Math.sqrt(dot(x, x)), 1e-6) * Math.max(Math.sqrt(dot(y, y)), 1e-6));
  };
  return 4 - 4 * mean(z1.map((row, i) => cosine(row, z2[i]!)));
}

const refused = async (audit: Promise<unknown>, message: RegExp): Promise<void> => {
  await expect(audit).rejects.toMatchObject({ code: 'argument', message: expect.stringMatching(message) });
};

describe('an audit', () => {
  beforeAll(async () => {
    await useBackend('cpu');
  });

  it('takes as many embeddings as the function', async () => {
    const report = await auditLoss(byol as Loss, { family: 'byol', runs: 20 });
    expect(report).toMatchObject({ verdict: 'nothing found', embeddings: ['z1', 'z2'], gradients: false });
  });

  it('takes typed arrays, promises and objects', async () => {
    type Flat = { readonly data: Float64Array; readonly shape: readonly [number, number] };
    const rows = ({ data, shape: [n, d] }: Flat): number[][] =>
      Array.from({ length: n }, (_, i) => Array.from(data.subarray(i * d, (i + 1) * d)));
    const loss = async (z1: Flat, z2: Flat): Promise<{ loss: number; note: string }> => ({ loss: byol(rows(z1), rows(z2)), note: '' });
    expect((await auditLoss(loss as Loss, { family: 'byol', input: 'typed', runs: 20 })).verdict).toBe('nothing found');
  });

  it('shrinks to small whole numbers, replays by its seed, and says one cause once', async () => {
    const half = ((z1: number[][], z2: number[][]) => byol(z1, z2) / 4) as Loss;
    const report = await auditLoss(half, { family: 'byol', seed: 7, runs: 30 });
    expect(report.findings).toHaveLength(1);
    expect(report.identity).toMatchObject({ kind: 'combination', combination: '0.25·the loss' });
    const [{ evidence, sentence }] = report.findings as [AuditReport['findings'][0]];
    expect(sentence).toContain('counts 0.25 times');
    expect(evidence.length).toBeGreaterThan(1);
    const [{ property, batch }] = evidence as [AuditReport['findings'][0]['evidence'][0]];
    expect(
      Object.values(batch.arrays)
        .flat(2)
        .every((x) => Number.isInteger(x) && Math.abs(x) <= 1),
    ).toBe(true);
    const again = await auditLoss(half, { family: 'byol', seed: 7, runs: 30, properties: [property] });
    expect(again.findings[0]!.evidence[0]!.batch).toEqual(batch);
  });

  it('of a loss of its own asks what is named', async () => {
    const distance = ((z1: number[][], z2: number[][]) =>
      mean(z1.flatMap((row, i) => row.map((x, j) => Math.abs(x - z2[i]![j]!))))) as Loss;
    const named = ['order of samples', 'order of dimensions', 'determinism', 'arguments unchanged'];
    expect((await auditLoss(distance, { family: 'custom', properties: named, runs: 20 })).verdict).toBe('nothing found');
    const first = ((z1: number[][]) => z1[0]![0]!) as Loss;
    const report = await auditLoss(first, { family: 'custom', properties: named, runs: 20 });
    expect(report.findings.flatMap(({ evidence }) => evidence.map(({ property }) => property))).toEqual([
      'order of samples',
      'order of dimensions',
    ]);
  });

  it('tells the conditioning from the formula', async () => {
    // Variances as mean squares less squared means, in one pass.
    const onePass = ((za: number[][], zb: number[][]) => {
      const standard = (z: number[][]): number[][] =>
        z[0]!.map((_, j) => {
          const column = z.map((row) => row[j]!);
          const m = mean(column);
          const variance = Math.max(0, mean(column.map((x) => x * x)) - m * m);
          return column.map((x) => (x - m) / Math.sqrt(variance + 1e-5));
        });
      const [a, b] = [standard(za), standard(zb)];
      return a.reduce(
        (sum, x, i) =>
          sum +
          b.reduce((part, y, j) => part + (mean(x.map((value, k) => value * y[k]!)) - Number(i === j)) ** 2 * (i === j ? 1 : 0.0051), 0),
        0,
      );
    }) as Loss;
    const report = await auditLoss(onePass, { family: 'barlow-twins', runs: 40 });
    expect(report.identity?.kind).toBe('definition');
    expect(report.findings.map(({ evidence }) => evidence[0]!.property)).toContain('large offset');
    expect(report.findings[0]!.sentence).toContain('one pass');
  });

  it('says an error once, and no cause that it does not know', async () => {
    let asked = 0;
    const loss = (): number => {
      asked += 1;
      if (asked > 40) throw { weird: 1 };
      return 1;
    };
    const { findings } = await auditLoss(loss as Loss, { family: 'vicreg', runs: 10 });
    const thrown = findings.filter(({ sentence }) => sentence.includes('throws'));
    expect(thrown).toHaveLength(1);
    expect(thrown[0]!.sentence).toMatch(/^the loss throws: an object/);
  });

  it('says how far off what looks alike is', async () => {
    const near = ((z1: number[][], z2: number[][]) => byol(z1, z2) * (1 + 1e-9)) as Loss;
    const text = reportText(await auditLoss(near, { family: 'byol', runs: 10, properties: ['opposition'] }));
    expect(text).toMatch(/expected 8, seen 8, off by 8\.0e-9/);
  });

  it('names a softmax taken twice, negatives of the key, and a hinge on variances with ε, whatever the seed', async () => {
    const twice = lossOf<readonly [Matrix], DeepCluster>(([z], _constants, { temperature = 0.1, prototypes, assignments }) => {
      const logits = map(scoresOf(z, prototypes), (value) => value / temperature).map(softmax);
      return -mean(logits.flatMap((row, i) => (assignments[i] === -100 ? [] : [logSoftmax(row)[assignments[i]!]!])));
    });
    const ofKeys = ((queries: Matrix, keys: Matrix, { temperature, queue }: { readonly temperature: number; readonly queue: Matrix }) => {
      const [q, k, negatives] = [normalized(queries), normalized(keys), normalized(queue)];
      const logits = q.map((row, i) => [dot(row, k[i]!), ...negatives.map((other) => dot(k[i]!, other))].map((x) => x / temperature));
      return -mean(logits.map((row) => logSoftmax(row)[0]!));
    }) as Loss;
    const vicreg = implementations.vicreg.loss as unknown as (za: Matrix, zb: Matrix, context: object) => number;
    const hinge = (z: Matrix): number =>
      mean(transpose(centred(z)).map((column) => Math.max(0, 1 - (dot(column, column) / (column.length - 1) + 1e-4))));
    const ofVariances = ((za: Matrix, zb: Matrix, context: object) =>
      vicreg(za, zb, { ...context, variance: 0 }) + (25 * (hinge(za) + hinge(zb))) / 2) as Loss;
    const said = async (loss: Loss, family: FamilyName, seed: number): Promise<string | undefined> =>
      (await auditLoss(loss, { family, seed, runs: 10 })).findings[0]?.sentence;
    expect(await said(twice as Loss, 'deepcluster', 1)).toContain('softmax is taken twice');
    expect(await said(ofKeys, 'moco', 1)).toContain('compared with the key, not with the query');
    for (const seed of [1, 7]) expect(await said(ofVariances, 'vicreg', seed)).toContain('gamma is 0.9999');
  });

  it('takes gradients by name', async () => {
    const loss = (p1: number[][], p2: number[][], z1: number[][], z2: number[][]) => ({
      loss: byol(p1, z2) + byol(p2, z1),
      gradients: { z1: p1 },
    });
    const { findings } = await auditLoss(loss as Loss, { family: 'byol', runs: 5, properties: ['stop-gradient'] });
    expect(findings.map(({ sentence }) => sentence).join()).toContain('z1');
  });

  it('allows for a diagonal that is taken from the whole', async () => {
    const { loss } = implementations.vicreg!;
    // The sum of squares of the Gram matrix is that of the covariance, added up otherwise.
    const rest = (z: number[][]): number => {
      const [n, d] = [z.length, z[0]!.length];
      const means = z[0]!.map((_, j) => z.reduce((sum, row) => sum + row[j]!, 0) / n);
      const x = z.map((row) => row.map((value, j) => value - means[j]!));
      const gram = x.flatMap((a) => x.map((b) => a.reduce((sum, value, j) => sum + value * b[j]!, 0) / (n - 1)));
      const diagonal = means.map((_, j) => x.reduce((sum, row) => sum + row[j]! ** 2, 0) / (n - 1));
      return (gram.reduce((sum, value) => sum + value ** 2, 0) - diagonal.reduce((sum, value) => sum + value ** 2, 0)) / d;
    };
    const call = loss as unknown as (za: number[][], zb: number[][], context: Readonly<Record<string, unknown>>) => number;
    const ours = (za: number[][], zb: number[][], context: Readonly<Record<string, unknown>>): number =>
      call(za, zb, { ...context, covariance: 0 }) + Number(context['covariance']) * (rest(za) + rest(zb));
    const report = await auditLoss(ours as Loss, { family: 'vicreg', runs: 50 });
    expect(report.verdict, reportText(report)).toBe('nothing found');
  });

  it('refuses what makes no sense', async () => {
    const loss = byol as Loss;
    await refused(auditLoss(loss, { family: 'bayol' as 'byol' }), /bayol/);
    await refused(auditLoss(loss, { family: 'custom' }), /name the properties/);
    await refused(auditLoss(loss, { family: 'byol', properties: ['hinge'] }), /no property 'hinge'/);
    await refused(auditLoss(loss, { family: 'byol', embeddings: 3 }), /3 embeddings/);
    await refused(auditLoss(loss, { family: 'byol', runs: 0 }), /runs/);
    await refused(auditLoss(loss, { family: 'byol', dialect: 'official' }), /no dialects/);
    await refused(auditLoss(loss, { family: 'moco', options: { tau: 1 } }), /tau/);
    await refused(auditLoss(3 as never, { family: 'byol' }), /takes a function/);
  });

  it('has a name of its own for each property', () => {
    expect(new Set(propertyNames).size).toBe(propertyNames.length);
  });
});

describeLossAudit(byol as Loss, { family: 'byol', runs: 10, describe, it });

describe('tests of an audit', () => {
  it('fail with the finding, and register anywhere', async () => {
    const bodies: (readonly [string, () => Promise<void>])[] = [];
    const register = {
      describe: (_: string, body: () => void) => body(),
      it: (name: string, body: () => Promise<void>) => bodies.push([name, body]),
    };
    describeLossAudit(((z1: number[][], z2: number[][]) => byol(z1, z2) - 4) as Loss, { family: 'byol', runs: 10, ...register });
    const [, wrong] = bodies.find(([name]) => name === 'definition')!;
    await expect(wrong()).rejects.toThrow(/a constant of -4/);
    const [, fine] = bodies.find(([name]) => name === 'order of samples')!;
    await fine();
    // The types of node:test fit.
    const typed: Parameters<typeof describeLossAudit>[1] = { family: 'byol', describe: group, it: test };
    expect(typed.describe).toBe(group);
  });
});
