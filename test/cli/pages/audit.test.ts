import { describe, expect, it } from 'vitest';
import type { AuditReport, Evidence } from '../../../audit/index.ts';
import { auditPage } from '../../../cli/pages/audit.ts';
import { expectWhole, textsOf } from './support.ts';

const hostile = '</td><script>alert(1)</script>"\u202e';
const evidence: Evidence = {
  property: hostile,
  statement: hostile,
  source: hostile,
  sentence: hostile,
  expected: 1,
  seen: NaN,
  tolerance: 1e-9,
  batch: { arrays: { [hostile]: Array.from({ length: 20 }, (_, i) => [i, -i / 3]), queue: [] }, options: {} },
  seed: 1,
  path: '0',
};
const report: AuditReport = {
  verdict: 'findings',
  reason: null,
  loss: hostile,
  family: 'vicreg',
  title: 'VICReg',
  source: hostile,
  options: { gamma: 1 },
  precision: 'f64',
  seed: 1,
  embeddings: ['za', 'zb'],
  gradients: false,
  identity: null,
  findings: [{ sentence: hostile, source: hostile, certain: true, evidence: [evidence, evidence] }],
  properties: [{ name: 'definition', statement: hostile, outcome: 'broken', runs: 1 }],
  remarks: [hostile],
  asked: 1234,
  seconds: 0.5,
};

describe('the page of an audit', () => {
  it('holds for names and numbers of any kind', () => {
    const page = auditPage([report]).replaceAll('seen NaN', '');
    expectWhole(page);
    expect(textsOf(page, 'h2')).toEqual(['&lt;/td&gt;&lt;script&gt;alert(1)&lt;/script&gt;&quot;\\u{202e}', 'Properties', 'Notes']);
    expect(page).toContain('✗ one finding (one property, 1 draws)');
    expect(page).toContain('[20, 2], the first 12 shown');
  });

  it('has all of several losses', () => {
    const page = auditPage([report, { ...report, verdict: 'nothing found', loss: 'mine', findings: [], remarks: [] }]).replaceAll(
      'seen NaN',
      '',
    );
    expectWhole(page);
    expect(textsOf(page, 'h2')).toContain('mine, as VICReg');
  });
});
