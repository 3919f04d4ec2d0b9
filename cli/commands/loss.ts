import { join } from 'node:path';
import { check } from '../../engine/errors.ts';
import { grad } from '../../engine/index.ts';
import { ensureFolder, writeArray } from '../../models/io/node.ts';
import { methodNamed, pairLosses } from '../../models/methods/index.ts';
import { epsilonAdvice } from '../../models/train/monitor.ts';
import { backendOptions, startBackend } from '../backend.ts';
import { checkFinite, readEmbedding } from '../embeddings.ts';
import { methodOptionTable, readMethodOptions } from '../methodOptions.ts';
import { asUsage, type Command, chosen, type OptionTable } from '../options.ts';
import { checkOutputs } from '../outputs.ts';
import { columns } from '../table.ts';
import { jsonOf, print } from '../text.ts';

const options: OptionTable = {
  ...methodOptionTable,
  grad: { type: 'string', value: 'FOLDER', help: 'write the gradients there, as za.npy and zb.npy' },
  seed: { type: 'string', value: 'N', help: 'of what the method draws at random (0)' },
  ...backendOptions,
};

export const loss: Command = {
  summary: 'Compute a loss and its gradients from embeddings that any framework wrote',
  usage: `${pairLosses.join('|')} ZA.npy ZB.npy [options]`,
  positionals: [3, 3],
  options,
  examples: [
    ['tensegrity loss vicreg za.npy zb.npy', 'the loss and its parts, of two views [n, d]'],
    ['tensegrity loss vicreg za.npy zb.npy --dialect paper --grad out', 'in another dialect, with gradients'],
    ['tensegrity loss w-mse za.npy zb.npy --sub-batch 128 --json', 'whitened in sub-batches; JSON'],
    ['tensegrity loss vicreg za.npy zb.npy --backend cpu', 'in double precision, for f64 files'],
  ],
  run: async (input) => {
    const [word, pathA, pathB] = input.positionals as [string, string, string];
    const name = chosen('the method', word, pairLosses);
    const { title, configure } = methodNamed(name);
    const given = readMethodOptions(input, name);
    // Those of `pairLosses` have one.
    const compute = asUsage(() => configure!(given));
    const advice = epsilonAdvice(name, given);
    const seed = input.whole('seed') ?? 0;
    const folder = input.text('grad');
    const results = folder === undefined ? [] : ['za.npy', 'zb.npy'].map((file) => join(folder, file));
    await checkOutputs([pathA, pathB], results);
    const backend = await startBackend(input);
    const doubles = backend.dtypes.includes('f64');
    const [{ z: za, beyond: beyondA }, { z: zb, beyond: beyondB }] = [
      await readEmbedding(pathA, doubles),
      await readEmbedding(pathB, doubles),
    ];
    const beyond = beyondA ?? beyondB;
    const { loss: total, ...parts } = compute(za, zb, seed);
    const gradients = grad(total, [za, zb]);
    const values = Object.fromEntries(
      await Promise.all(Object.entries({ loss: total, ...parts }).map(async ([part, value]) => [part, await value.item()] as const)),
    );
    const lost = Object.entries(values).filter(([, value]) => !Number.isFinite(value));
    check(
      lost.length === 0,
      'data',
      () =>
        `${title} of these finite embeddings is not finite in ${za.dtype}: ${lost.map(([part, value]) => `${part} is ${value}`).join(', ')}; ${beyond ?? advice ?? 'their values or their covariance may be out of range'}${za.dtype === 'f64' ? '' : ' (--backend cpu computes f64 files in f64)'}`,
    );
    // Over an infinite deviation all is 0, which looks like a result.
    check(beyond === null, 'data', () => beyond ?? '');
    if (folder !== undefined) {
      const arrays = await Promise.all(gradients.map((gradient) => gradient.toHost()));
      for (const [i, { data, shape }] of arrays.entries()) checkFinite(data, shape, `the gradient of ${i === 0 ? pathA : pathB}`, advice);
      await ensureFolder(folder);
      for (const [i, array] of arrays.entries()) await writeArray(results[i]!, array);
    }
    print(input.flag('json') ? jsonOf(values) : columns(Object.entries(values).map(([part, value]) => [part, String(value)])).join('\n'));
  },
};
