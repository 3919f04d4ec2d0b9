import { check } from '../engine/internal.ts';
import { type AuditOptions, type AuditReport, auditLoss, propertiesOf } from './audit.ts';
import { failureText } from './report.ts';
import type { Loss, Subject } from './subject.ts';

/** What registers tests: of vitest, jest or node:test. */
export interface TestFunctions {
  readonly describe: (name: string, body: () => void) => unknown;
  readonly it: (name: string, body: () => Promise<void>, timeout?: number) => unknown;
}

export interface DescribeOptions extends AuditOptions {
  /** Of the group; 'audit of <loss> as <family>', unless given. */
  readonly title?: string;
  /** The framework's functions; those that are global, unless given (jest; vitest with `globals`). node:test and vitest export them. */
  readonly describe?: TestFunctions['describe'];
  readonly it?: TestFunctions['it'];
}

/**
 * Makes a test of each property that a loss is to have; one audit serves them all. A test fails with the finding: what should hold, what was
 * seen, on which batch, and the cause.
 * @throws TensegrityError `argument` where there is no test framework, and for options that make no sense.
 */
export function describeLossAudit(loss: Loss | Subject, { title, describe, it, ...options }: DescribeOptions): void {
  const found = globalThis as {
    readonly describe?: TestFunctions['describe'];
    readonly it?: TestFunctions['it'];
    readonly test?: TestFunctions['it'];
  };
  const group = describe ?? found.describe;
  const test = it ?? found.it ?? found.test;
  check(
    group && test,
    'argument',
    () =>
      'describeLossAudit: there is no global describe and it; pass those of your framework: describeLossAudit(loss, { describe, it, … })',
  );
  const names = propertiesOf(options).map((property) => property.name);
  let audit: Promise<AuditReport> | null = null;
  const report = (): Promise<AuditReport> => {
    audit ??= auditLoss(loss, options);
    return audit;
  };
  const name = typeof loss === 'function' ? loss.name || 'a loss' : loss.title;
  // node:test has no use for the number.
  const limit = 1000 * (options.timeBudget ?? 60) + 30_000;
  group(title ?? `audit of ${name} as ${options.family}`, () => {
    test(
      'can be audited',
      async () => {
        const { verdict, reason } = await report();
        if (verdict === 'not audited') throw new Error(`it could not be audited: ${reason}`);
      },
      limit,
    );
    for (const property of names)
      test(
        property,
        async () => {
          const found = await report();
          if (found.properties.find((one) => one.name === property)?.outcome === 'broken') throw new Error(failureText(found, property));
        },
        limit,
      );
  });
}
