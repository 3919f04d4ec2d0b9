import { join } from 'node:path';
import { named } from '../../engine/arguments.ts';
import { check } from '../../engine/errors.ts';
import { grad, type Tensor } from '../../engine/index.ts';
import { ensureFolder, writeArray } from '../../models/io/node.ts';
import { type ArrayLoss, namesOf, type StateArray } from '../../models/methods/arrayLoss.ts';
import { losses } from '../../models/methods/losses.ts';
import { epsilonAdvice } from '../../models/train/monitor.ts';
import { backendOptions, startBackend } from '../backend.ts';
import { checkAlike, checkFinite, ofFiles, readEmbedding, readState } from '../embeddings.ts';
import { grouped, kebab, optionTableOf, readOptions } from '../methodOptions.ts';
import { asUsage, type Command, chosen, type Input, type OptionTable, UsageError } from '../options.ts';
import { checkOutputs } from '../outputs.ts';
import { columns } from '../table.ts';
import { jsonOf, print } from '../text.ts';

const lossOptions = optionTableOf(losses);

/** A flag for each array of state, with the losses that take it. */
const stateOptions: OptionTable = Object.fromEntries(
  grouped(
    Object.entries(losses).flatMap(([loss, { state }]) => Object.entries(state).map(([name, array]) => ({ loss, name, array }))),
    ({ name }) => kebab(name),
  ).map(([flag, uses]) => {
    const help = uses.map(
      ({ loss, array: { shape, description, optional } }) => `${loss}: ${shape}, ${description}${optional ? '' : ' (needed)'}`,
    );
    return [flag, { type: 'string', value: 'FILE.npy', help: help.join('; ') }];
  }),
);

/** The files that a loss takes, as its usage says it. */
function filesOf({ embeddings }: ArrayLoss): string {
  return embeddings
    .map(({ names, more }) => [...names.map((name) => `${name.toUpperCase()}.npy`), ...(more ? ['…'] : [])].join(' '))
    .join(' | ');
}

export const loss: Command = {
  summary: 'Compute a loss and its gradients from embeddings that any framework wrote',
  usage: 'LOSS FILES.npy… [options]',
  positionals: [2, Infinity],
  options: {
    ...lossOptions,
    ...stateOptions,
    grad: { type: 'string', value: 'FOLDER', help: 'write the gradients there, one file for each input, as za.npy and zb.npy' },
    seed: { type: 'string', value: 'N', help: 'of what the loss draws at random (0)' },
    ...backendOptions,
  },
  about: { losses: Object.entries(losses).map(([name, row]) => [name, `${filesOf(row)}: ${row.title} (${row.source})`]) },
  examples: [
    ['tensegrity loss vicreg za.npy zb.npy', 'the loss and its parts, of two views [n, d]'],
    ['tensegrity loss vicreg za.npy zb.npy --dialect paper --grad out', 'in another dialect, with gradients'],
    ['tensegrity loss w-mse za.npy zb.npy --sub-batch 128 --json', 'whitened in sub-batches; JSON'],
    ['tensegrity loss simsiam p1.npy p2.npy z1.npy z2.npy', 'of predictions and projections'],
    ['tensegrity loss vicreg za.npy zb.npy --backend cpu', 'in double precision, for f64 files'],
  ],
  run: async (input) => {
    const [word, ...paths] = input.positionals as [string, ...string[]];
    const name = chosen('the loss', word, Object.keys(losses));
    const row = losses[name]!;
    const names = namesOf(row, paths.length);
    if (!names)
      throw new UsageError(`${row.title} takes ${filesOf(row)}, got ${paths.length === 1 ? 'one file' : `${paths.length} files`}`);
    const given = readOptions(input, row, lossOptions);
    const statePaths = readStatePaths(input, row);
    const advice = epsilonAdvice(row, given);
    const seed = input.whole('seed') ?? 0;
    refuseIdle(input, row, statePaths);
    const folder = input.text('grad');
    const learned = Object.keys(statePaths).filter((array) => row.state[array]!.learned);
    const results = folder === undefined ? [] : [...names, ...learned.map(kebab)].map((input) => join(folder, `${input}.npy`));
    await checkOutputs([...paths, ...Object.values(statePaths)], results);
    const backend = await startBackend(input);
    const doubles = backend.dtypes.includes('f64');
    const read = [];
    for (const path of paths) read.push(await readEmbedding(path, doubles));
    const embeddings = read.map(({ z }) => z);
    checkAlike(paths, embeddings);
    const beyond = read.find((file) => file.beyond !== null)?.beyond ?? null;
    const state: Record<string, Tensor> = {};
    for (const [array, path] of Object.entries(statePaths)) state[array] = await readState(path, embeddings[0]!.dtype, row.state[array]!);
    const { loss: total, ...parts } = asUsage(() =>
      ofFiles([...paths, ...Object.values(statePaths)], () => row.compute(embeddings, given, state, seed)),
    );
    const inputs = [...embeddings, ...learned.map((array) => state[array]!)];
    const gradients = grad(total, inputs);
    const values = Object.fromEntries(
      await Promise.all(Object.entries({ loss: total, ...parts }).map(async ([part, value]) => [part, await value.item()] as const)),
    );
    const lost = Object.entries(values).filter(([, value]) => !Number.isFinite(value));
    const { dtype } = embeddings[0]!;
    check(
      lost.length === 0,
      'data',
      () =>
        `${row.title} of these finite embeddings is not finite in ${dtype}: ${lost.map(([part, value]) => `${part} is ${value}`).join(', ')}; ${beyond ?? advice ?? 'their values or their covariance may be out of range'}${dtype === 'f64' ? '' : ' (--backend cpu computes f64 files in f64)'}`,
    );
    // Over an infinite deviation all is 0, which looks like a result.
    check(beyond === null, 'data', () => beyond ?? '');
    if (folder !== undefined) {
      const arrays = await Promise.all(gradients.map((gradient) => gradient.toHost()));
      const sources = [...paths, ...learned.map((array) => statePaths[array]!)];
      for (const [i, { data, shape }] of arrays.entries()) checkFinite(data, shape, `the gradient of ${sources[i]}`, advice);
      await ensureFolder(folder);
      for (const [i, array] of arrays.entries()) await writeArray(results[i]!, array);
    }
    print(input.flag('json') ? jsonOf(values) : columns(Object.entries(values).map(([part, value]) => [part, String(value)])).join('\n'));
  },
};

/** The files of the loss's state, by name. @throws UsageError for one that it does not take, and for one that it needs and was not given. */
function readStatePaths(input: Input, { title, state }: ArrayLoss): Record<string, string> {
  const own = new Map(Object.keys(state).map((name) => [kebab(name), name]));
  const foreign = Object.keys(stateOptions).find((flag) => input.text(flag) !== undefined && !own.has(flag));
  if (foreign !== undefined) {
    const flags = [...own.keys()].map((flag) => `--${flag}`).join(', ');
    throw new UsageError(`${title} takes no --${foreign}${own.size === 0 ? '' : `; it takes ${flags}`}`);
  }
  const missing = Object.entries(state).find(([name, { optional }]) => !optional && input.text(kebab(name)) === undefined);
  if (missing) throw new UsageError(`${title} needs ${needed(...missing)}`);
  return Object.fromEntries([...own].flatMap(([flag, name]) => (input.text(flag) === undefined ? [] : [[name, input.text(flag)!]])));
}

/** @throws UsageError for what would count for nothing: how an array would be made that is given, and a seed of a loss that draws nothing. */
function refuseIdle(input: Input, { title, state, draws }: ArrayLoss, given: Readonly<Record<string, string>>): void {
  for (const [name, { insteadOf }] of Object.entries(state))
    if (insteadOf && name in given) input.refuse([...insteadOf.map(kebab), 'seed'], `--${kebab(name)} gives what would be drawn`);
  if (!draws) input.refuse(['seed'], `${title} draws nothing at random`);
}

function needed(name: string, { shape, description }: StateArray): string {
  return `--${kebab(name)} FILE.npy: ${named(shape)}, ${description}`;
}
