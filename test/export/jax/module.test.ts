/** What a module is made of, and what cannot be one. */
import { describe, expect, it } from 'vitest';
import { arange, tensor, useBackend } from '../../../engine/index.ts';
import { graphOf } from '../../../engine/internal.ts';
import { bodyOf } from '../../../export/jax/body.ts';
import { stepModule } from '../../../export/jax/index.ts';
import { ops } from '../../../export/jax/ops.ts';
import { atom, identifier, literal, Names, substituted } from '../../../export/jax/python.ts';
import { scalarTexts } from '../../../export/jax/scalars.ts';
import { loadDataset } from '../../../models/data/node.ts';
import { readArray, writeArray, writeSafetensors } from '../../../models/io/node.ts';
import { encoders } from '../../../models/nn/encoders.ts';
import { trainingConfig } from '../../../models/train/config.ts';
import { Trainer } from '../../../models/train/trainer.ts';
import { fails, succeeds, temporaryFolder } from '../../cli/support.ts';
import { relativeError } from '../../engine/values.ts';
import { hasJax, run } from './python.ts';

const sources = { placeholder: (i: number) => `x${i}`, slot: () => '', constant: () => '' };

it('the type checker asks for a row of each primitive and each scalar function', () => {
  const { matmul: _, ...primitives } = ops;
  const { tanh: __, ...functions } = scalarTexts;
  // @ts-expect-error a primitive has no row
  const incomplete: { readonly [Op in keyof typeof ops]: unknown } = primitives;
  // @ts-expect-error a scalar function has none
  const lacking: { readonly [Name in keyof typeof scalarTexts]: unknown } = functions;
  expect([incomplete, lacking]).toHaveLength(2);
});

it('refuses double precision, which JAX has not unless it is told so', async () => {
  const { leaves } = graphOf((x) => x.exp(), [tensor([1, 2], { dtype: 'f64' })]);
  await expect(bodyOf(leaves, sources, new Map())).rejects.toThrow(
    /^export: JAX computes in 32 bits, and this graph has f64; build it of f32/,
  );
});

it('writes operands that are repeated as they are, and numbers as numbers', async () => {
  const { leaves } = graphOf((x) => x.sub(x.mean(1, true)).mul(0.1).add(arange(3).cast('f32')), [tensor([[1, 2, 3]])]);
  const { lines, results } = await bodyOf(leaves, sources, new Map([[leaves[0]!, 'centred rows']]));
  expect(lines).toEqual([
    'centred_rows = ((x0 - (jnp.sum(x0, axis=(1,)).reshape((1, 1)) / 3.0)) * 0.1) + jnp.arange(3, dtype=jnp.int32).astype(jnp.float32)  # f32 [1, 3]',
  ]);
  expect(results).toEqual(['centred_rows']);
});

it('names are Python’s, each once', () => {
  expect(['encoder.0.weight', 'learningRate', '0.1', 'lambda', 'größe'].map(identifier)).toEqual([
    'encoder_0_weight',
    'learning_rate',
    'x_0_1',
    'x_lambda',
    'gr_e',
  ]);
  const names = new Names(['conv2d']);
  expect(['conv2d', 'sum', 'sum'].map((name) => names.of(name))).toEqual(['conv2d_2', 'sum', 'sum_2']);
});

it('expressions keep their order, and floats their bits', () => {
  expect(substituted('jnp.where(a, b, c)', ['x < 0', '-y', 'f(a, b)'])).toBe('jnp.where(x < 0, -y, f(a, b))');
  expect(substituted('a - b', ['x - y', '-1.0'])).toBe('(x - y) - (-1.0)');
  expect([atom('x[0].y(1, 2)'), atom('-x'), atom('2.0')]).toEqual(['x[0].y(1, 2)', '(-x)', '(2.0)']);
  expect([0.1, -0, 1e-45, 16777216, 3e38].map((value) => literal(Math.fround(value), 'f32'))).toEqual([
    '0.1',
    '-0.0',
    '1e-45',
    '16777216.0',
    '3e+38',
  ]);
  expect([NaN, Infinity, -Infinity].map((value) => literal(value, 'f32'))).toEqual(['jnp.nan', 'jnp.inf', '-jnp.inf']);
});

describe('a step', () => {
  it('of a method that looks at all images between steps is refused', async () => {
    await useBackend('cpu');
    const trainer = new Trainer(trainingConfig({ method: 'deepcluster', batchSize: 64 }), await loadDataset('fashion-mnist-subset'));
    await expect(trainer.graph()).rejects.toThrow(/^a step of deepcluster is no whole: before each epoch it looks at all images/);
    trainer.dispose();
  });

  it('says which JAX it needs', { skip: !hasJax, timeout: 60_000 }, async () => {
    await useBackend('cpu');
    const trainer = new Trainer(trainingConfig({ batchSize: 8 }), await loadDataset('fashion-mnist-subset'));
    const { source } = await stepModule(await trainer.graph(), 'A step.');
    trainer.dispose();
    const old =
      'import jax\njax.__version__, jax.__version_info__ = "0.4.30", (0, 4, 30)\ntry:\n    import step\nexcept ImportError as error:\n    print(error)\n';
    const { printed } = await run({ 'step.py': source, 'old.py': old }, 'old.py');
    expect(printed).toBe('this module needs JAX 0.5.0 or later, and here is 0.4.30; pip install --upgrade jax\n');
  });
});

describe('tensegrity export --to jax --encoder', () => {
  const folder = temporaryFolder();
  const path = (name: string): string => `${folder}/${name}`;

  it('is a function of any number of images, with the features of embed', { skip: !hasJax, timeout: 120_000 }, async () => {
    const weights = await encoders['small-conv']({ key: 1, inputs: 1 }).stateDict();
    const said = { encoder: 'small-conv', mean: '0.2861', deviation: '0.353', size: '12,10', pixels: 'u8' };
    await writeSafetensors(path('w.safetensors'), weights, Object.entries(said));
    const data = Uint8Array.from({ length: 3 * 120 }, (_, i) => (i * i * 31) % 256);
    await writeArray(path('x.npy'), { dtype: 'u8', shape: [3, 1, 12, 10], data });
    const { stdout } = await succeeds(['export', path('w.safetensors'), '--to', 'jax', '--encoder', '--out', path('features')]);
    expect(stdout).toMatch(/encoder\.py and encoder\.safetensors; encode\(load\(\), images\): u8 \[N, 1, 12, 10\] → f32 \[N, 128\]\n$/);
    await succeeds(['embed', '--weights', path('w.safetensors'), path('x.npy'), '--out', path('z.npy')]);
    const program = [
      'import sys',
      `sys.path.insert(0, ${JSON.stringify(path('features'))})`,
      'import encoder, numpy as np',
      `images = np.load(${JSON.stringify(path('x.npy'))})`,
      'features = encoder.encode(encoder.load(), images)',
      'assert np.allclose(features[:1], encoder.encode(encoder.load(), images[:1]), atol=1e-6)',
      `np.save(${JSON.stringify(path('jax.npy'))}, features)`,
      'try:',
      '    encoder.encode(encoder.load(), images[:, :, :5])',
      'except ValueError as error:',
      '    print(error)',
    ];
    const { printed } = await run({ 'encode.py': program.join('\n') }, 'encode.py');
    expect(printed).toBe('encode takes images uint8 (N, 1, 12, 10), got uint8 (3, 1, 5, 10)\n');
    const [ours, theirs] = [await readArray(path('z.npy')), await readArray(path('jax.npy'))];
    expect(theirs.shape).toEqual(ours.shape);
    expect(relativeError(theirs.data, ours.data, 1e-3)).toBeLessThan(1e-5);
  });

  it('takes no options of a plan, and a run without --encoder none of an encoder', async () => {
    await fails(
      ['export', folder, '--to', 'jax', '--encoder', '--batch', '8', '--out', path('f')],
      2,
      /takes any number of images, and f32 weights; leave out --batch/,
    );
    await fails(
      ['export', folder, '--to', 'jax', '--size', '28', '--out', path('f')],
      2,
      /exported with its own settings; leave out --size/,
    );
  });
});
