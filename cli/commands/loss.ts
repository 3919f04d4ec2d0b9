import { join } from 'node:path';
import { check } from '../../engine/errors.ts';
import { grad, type Tensor, tensor } from '../../engine/index.ts';
import { show } from '../../engine/shape.ts';
import { ensureFolder, readArray, writeArray } from '../../models/io/node.ts';
import { type MethodName, methodNamed, methods } from '../../models/methods/index.ts';
import { backendOptions, startBackend } from '../backend.ts';
import { methodOptionTable, readMethodOptions } from '../methodOptions.ts';
import { asUsage, type Command, chosen, type OptionTable } from '../options.ts';
import { columns } from '../table.ts';

const options: OptionTable = {
  ...methodOptionTable,
  grad: { type: 'string', value: 'FOLDER', help: 'write the gradients there, as za.npy and zb.npy' },
  seed: { type: 'string', value: 'N', help: 'of what the method draws at random (0)' },
  ...backendOptions,
};

export const loss: Command = {
  summary: 'Compute a loss and its gradients from embeddings that any framework wrote',
  usage: `${Object.keys(methods).join('|')} ZA.npy ZB.npy [options]`,
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
    const name = chosen('the method', word, Object.keys(methods) as MethodName[]);
    const compute = asUsage(() => methodNamed(name).configure(readMethodOptions(input, name)));
    const backend = await startBackend(input);
    const doubles = backend.dtypes.includes('f64');
    const [za, zb] = [await readEmbedding(pathA, doubles), await readEmbedding(pathB, doubles)];
    const { loss: total, ...parts } = compute(za, zb, input.number('seed') ?? 0);
    const gradients = grad(total, [za, zb]);
    const values = Object.fromEntries(
      await Promise.all(Object.entries({ loss: total, ...parts }).map(async ([part, value]) => [part, await value.item()] as const)),
    );
    const folder = input.text('grad');
    if (folder !== undefined) {
      await ensureFolder(folder);
      for (const [i, file] of ['za.npy', 'zb.npy'].entries()) await writeArray(join(folder, file), await gradients[i]!.toHost());
    }
    console.log(
      input.flag('json')
        ? JSON.stringify(values)
        : columns(Object.entries(values).map(([part, value]) => [part, String(value)])).join('\n'),
    );
  },
};

/** Embeddings as floats: f64 stays where the backend computes with it. */
async function readEmbedding(path: string, doubles: boolean): Promise<Tensor> {
  const z = await readArray(path);
  check(z.shape.length === 2, 'shape', () => `${path}: embeddings must be [n, d], got ${show(z.shape)}`);
  return tensor(z, { dtype: z.dtype === 'f64' && doubles ? 'f64' : 'f32' });
}
