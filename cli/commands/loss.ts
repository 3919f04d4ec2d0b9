import { join } from 'node:path';
import { check } from '../../engine/errors.ts';
import { grad, type Tensor, tensor } from '../../engine/index.ts';
import { show } from '../../engine/shape.ts';
import { ensureFolder, readArray, writeArray } from '../../models/io/node.ts';
import { methodNamed, methods } from '../../models/methods/index.ts';
import { backendOptions, startBackend } from '../backend.ts';
import { methodOptionTable, readMethodOptions } from '../methodOptions.ts';
import type { Command, OptionTable } from '../options.ts';
import { columns } from '../options.ts';

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
    const [name, pathA, pathB] = input.positionals as [string, string, string];
    const compute = methodNamed(name).configure(readMethodOptions(input, name));
    const backend = await startBackend(input);
    const [za, zb] = await Promise.all(
      [pathA, pathB].map(async (path) => embedding(tensor(await readArray(path)), path, backend.dtypes.includes('f64'))),
    );
    const { loss: total, ...parts } = compute(za!, zb!, input.number('seed') ?? 0);
    const gradients = grad(total, [za!, zb!]);
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
function embedding(z: Tensor, path: string, doubles: boolean): Tensor {
  check(z.rank === 2, 'shape', () => `${path}: embeddings must be [n, d], got ${show(z.shape)}`);
  return z.dtype === 'f64' && doubles ? z : tensor({ dtype: z.dtype, shape: z.shape, data: dataOf(z) }, { dtype: 'f32' });
}

function dataOf(z: Tensor) {
  const { storage } = z.node;
  check(storage && ArrayBuffer.isView(storage), 'argument', () => 'embeddings that were read from a file are in ordinary memory');
  return storage;
}
