import {
  type AuditOptions,
  type AuditReport,
  auditLoss,
  familyNames,
  type InputForm,
  type Loss,
  moduleSubject,
  type Precision,
  programSubject,
  propertyNames,
  reportText,
  type Subject,
} from '../../audit/index.ts';
import { dialectsOf } from '../../audit/options.ts';
import { ourLoss } from '../../audit/ours.ts';
import { named, shown } from '../../engine/arguments.ts';
import { useBackend } from '../../engine/index.ts';
import { writeFileAtomically } from '../../models/io/files.ts';
import { asUsage, type Command, decimal, type Input, UsageError } from '../options.ts';
import { checkOutputs } from '../outputs.ts';
import { auditPage } from '../pages/audit.ts';
import { jsonOf, print, remark } from '../text.ts';

const families = [...familyNames, 'custom'] as const;
const inputForms = ['arrays', 'typed', 'tensors'] as const satisfies readonly InputForm[];
const precisions = ['f64', 'f32'] as const satisfies readonly Precision[];

type Given = Partial<AuditOptions>;

/** `temperature=.5,epsilon=1e-3` as options. */
function optionsOf(text: string | undefined): Record<string, number | string> {
  const entries = (text ?? '').split(',').filter((part) => part !== '');
  return Object.fromEntries(
    entries.map((part) => {
      const [, name, value] = /^([^=]+)=(.+)$/.exec(part) ?? [];
      if (name === undefined || value === undefined)
        throw new UsageError(`--set takes option=value, as temperature=.5; got ${shown(part)}`);
      const number = decimal(value);
      return [name, Number.isNaN(number) ? value : number] as const;
    }),
  );
}

/** What a call says, of all that an audit can be told. */
function givenOf(input: Input): Given {
  const properties = input.text('property')?.split(',');
  const entries: readonly (readonly [keyof AuditOptions, unknown])[] = [
    ['family', input.choice('family', families)],
    ['dialect', input.text('dialect')],
    ['options', input.text('set') === undefined ? undefined : optionsOf(input.text('set'))],
    ['input', input.choice('input', inputForms)],
    ['precision', input.choice('precision', precisions)],
    ['seed', input.whole('seed')],
    ['runs', input.whole('runs', 1)],
    ['properties', properties],
    ['embeddings', input.whole('embeddings', 1)],
    ['samples', input.whole('samples', 2)],
    ['dimensions', input.whole('dimensions', 1)],
    ['timeLimit', input.number('time-limit')],
    ['timeBudget', input.number('time-budget')],
    ['state', input.text('state')?.split(',')],
  ];
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined));
}

/** Options without a family are none. */
function withFamily(given: Given, family: string | undefined): AuditOptions {
  const chosen = given.family ?? families.find((name) => name === family);
  if (chosen === undefined)
    throw new UsageError(
      family === undefined
        ? `say which loss it is to be: --family ${families.join('|')}${'; a module may export it as family'}`
        : `the module's family ${shown(family)} is none of ${families.join(', ')}`,
    );
  return { ...given, family: chosen };
}

interface Audited {
  readonly loss: Loss | Subject;
  readonly options: AuditOptions;
}

/** What a call names: one loss; of a method, one in each of its dialects. */
async function auditedBy(input: Input): Promise<readonly Audited[]> {
  const [file] = input.positionals;
  const [method, command] = [input.text('method'), input.text('command')];
  const ways = [file, method, command].filter((way) => way !== undefined).length;
  if (ways !== 1) throw new UsageError('audit takes one loss: a FILE that exports it, --method NAME for ours, or --command for a program');
  const given = givenOf(input);
  const timeLimit = given.timeLimit ?? 10;
  if (input.text('export') !== undefined && file === undefined) throw new UsageError('--export names an export of a FILE');
  if (method !== undefined) {
    const family = familyNames.find((name) => name === method);
    if (family === undefined)
      throw new UsageError(`there is no loss ${shown(method)} with a definition to hold it to; there are ${familyNames.join(', ')}`);
    const precision = given.precision ?? 'f64';
    // Where doubles are computed, and where f32 is in most runs.
    await useBackend(precision === 'f64' ? 'cpu' : 'wasm');
    const dialects = given.dialect === undefined && given.options === undefined ? dialectsOf(family).map((options) => ({ options })) : [{}];
    return dialects.map((dialect) => ({ loss: ourLoss(family), options: { ...given, ...dialect, family, precision, input: 'tensors' } }));
  }
  if (command !== undefined) {
    const options = withFamily(given, undefined);
    return [{ loss: programSubject(command, { timeLimit }), options: { ...options, precision: options.precision ?? 'f64' } }];
  }
  const { subject, description } = await moduleSubject(file!, { export: input.text('export'), input: given.input, timeLimit });
  const { family, dialect, options: own } = description;
  const merged: Given = { ...(dialect !== undefined && { dialect }), ...given, ...(own && { options: { ...own, ...given.options } }) };
  try {
    return [{ loss: subject, options: withFamily(merged, family) }];
  } catch (error) {
    await subject.close?.();
    throw error;
  }
}

const worst = (reports: readonly AuditReport[]): number =>
  Math.max(...reports.map(({ verdict }) => ({ 'nothing found': 0, findings: 1, 'not audited': 2 })[verdict]));

export const audit: Command = {
  summary: 'Hold any loss to its mathematics: which properties it breaks, and which mistake it is',
  usage: '[FILE.mjs|.ts] [options]',
  positionals: [0, 1],
  options: {
    family: { type: 'string', value: families.join('|'), help: 'which loss it is to be; custom: the properties that are named' },
    export: { type: 'string', value: 'NAME', help: 'which export of FILE is the loss (loss, else the default)' },
    method: { type: 'string', value: 'NAME', help: 'audit our own loss of that family, in all its dialects' },
    command: { type: 'string', value: "'python3 loss.py'", help: 'audit a program, which is asked over its standard input: docs/audit.md' },
    dialect: { type: 'string', value: 'NAME', help: 'whose loss of that name, as official, paper or solo-learn' },
    set: {
      type: 'string',
      value: 'option=value',
      many: true,
      help: "an option of the family's loss, as temperature=.5 (the published ones)",
    },
    property: { type: 'string', value: 'NAME', many: true, help: 'ask for this property only' },
    input: { type: 'string', value: inputForms.join('|'), help: 'nested arrays, { data, shape }, or tensors of this package (arrays)' },
    precision: { type: 'string', value: precisions.join('|'), help: 'in which it computes: how exact it must be (f64)' },
    embeddings: { type: 'string', value: 'N', help: 'how many embeddings it takes, where there is a choice' },
    samples: { type: 'string', value: 'N', help: 'the only number of samples that it takes' },
    dimensions: { type: 'string', value: 'N', help: 'the only number of dimensions that it takes' },
    state: { type: 'string', value: 'NAME', many: true, help: 'an optional array that it takes, as queue1' },
    seed: { type: 'string', value: 'N', help: 'of all that is drawn; the same one draws the same (1)' },
    runs: { type: 'string', value: 'N', help: 'draws for each property (100)' },
    'time-limit': { type: 'string', value: 'SECONDS', help: 'within which the loss must answer (10)' },
    'time-budget': { type: 'string', value: 'SECONDS', help: 'for all of the audit, after which properties are drawn less often (60)' },
    html: { type: 'string', value: 'FILE', help: 'write the report as a page, too' },
  },
  about: {
    'exit codes': [
      ['0', 'nothing was found'],
      ['1', 'there are findings'],
      ['2', 'it could not be audited; the message says why'],
    ],
    properties: [['', propertyNames.join(', ')]],
  },
  examples: [
    ['tensegrity audit myLoss.ts --family vicreg', 'a function (za, zb) => number of nested arrays'],
    ["tensegrity audit --command 'python3 my_loss.py' --family simclr --precision f32", 'a PyTorch program'],
    ['tensegrity audit --method vicreg', 'our own, in every dialect'],
    ['tensegrity audit myLoss.ts --family vicreg --html review.html', 'with a page for a review'],
  ],
  run: async (input) => {
    const page = input.text('html');
    const file = input.positionals[0];
    await checkOutputs(file === undefined ? [] : [file], page === undefined ? [] : [page]);
    const json = input.flag('json') === true;
    const reports: AuditReport[] = [];
    try {
      for (const { loss, options } of await auditedBy(input)) reports.push(await asUsage(() => auditLoss(loss, options)));
    } catch (error) {
      if (!(error instanceof Error) || error.name !== 'Unauditable') throw error;
      const reason = `${named(file ?? 'the loss')} could not be audited: ${error.message}`;
      if (json) print(jsonOf({ verdict: 'not audited', reason: error.message }));
      else print(reason);
      return 2;
    }
    if (page !== undefined) {
      await writeFileAtomically(page, auditPage(reports));
      remark(`the page is ${named(page)}`);
    }
    print(json ? jsonOf(reports.length === 1 ? reports[0] : reports) : reports.map(reportText).join('\n\n'));
    return worst(reports);
  },
};
