/** A run as a program for JAX: `tensegrity export RUN --to jax`. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { named } from '../engine/arguments.ts';
import type { HostArray } from '../engine/dtype.ts';
import { useBackend } from '../engine/index.ts';
import { show } from '../engine/shape.ts';
import { stepModule } from '../export/jax/index.ts';
import { type ImageDataset, picturesOf } from '../models/data/images.ts';
import { readNpyHeader } from '../models/io/files.ts';
import { ensureFolder, readBytes, writeArray, writeFileAtomically } from '../models/io/node.ts';
import { methodNamed } from '../models/methods/index.ts';
import { Trainer } from '../models/train/trainer.ts';
import { checkAgreement, dataChanges } from './agreement.ts';
import { arrayIdentity, type DataSource, identityOf, openDataset, placesOf } from './dataset.ts';
import type { Input } from './options.ts';
import { checkOutputs } from './outputs.ts';
import { RunFolder } from './runFolder.ts';
import { jsonOf, print, shellWord } from './text.ts';

/** What is beside the step and the same for every run; at this place from the source, from dist/, and from the command in one file. */
const programs = fileURLToPath(new URL('../export/jax/files', import.meta.url));

/**
 * Writes a folder that holds the run, so that `train --resume` and `eval --run` take it, and a program that goes on with it.
 * @throws TensegrityError `storage` where the folder holds a run already, `argument` for a method whose step is not all of its training.
 */
export async function exportRun(input: Input, path: string, out: string): Promise<void> {
  const run = new RunFolder(path);
  const config = await run.config();
  const checkpoint = await run.checkpoint();
  const saved = checkpoint && checkAgreement(run, config, checkpoint);
  // Nothing is computed: it only holds the weights.
  await useBackend('cpu');
  const dataset = await openDataset(config.source);
  const identity = identityOf(dataset);
  if (saved) dataChanges(identity, config, saved);
  const trainer = new Trainer(config.training, dataset);
  if (checkpoint) trainer.restore(checkpoint);
  const { method, encoder, batchSize } = config.training;
  const graph = await trainer.graph();
  const about = `A training step of ${methodNamed(method).title}: ${encoder}, batches of ${batchSize}, as tensegrity has it.`;
  const { source, constants } = await stepModule(graph, about);

  const target = new RunFolder(out);
  using _lock = await target.lock();
  await checkOutputs(
    placesOf(config.source),
    RunFolder.files.map((name) => target.file(name)),
  );
  await target.checkUnused();
  await target.write('step.py', source);
  if (constants.length > 0) await ensureFolder(target.file('constants'));
  for (const { name, array } of constants) await writeArray(join(target.file('constants'), `${name}.npy`), array);
  const told = Array.from({ length: trainer.steps }, (_, step) => trainer.numbersAt(step));
  await writeArray(target.file('schedules.npy'), {
    dtype: 'f32',
    shape: [trainer.steps, graph.schedules.length],
    data: Float32Array.from(told.flat()),
  });
  await target.write('data.json', JSON.stringify(await pictureFiles(target, config.source, dataset), null, 2));
  for (const name of readdirSync(programs)) await writeFileAtomically(target.file(name), await readBytes(join(programs, name)));
  if (existsSync(run.file('metrics.jsonl')))
    await writeFileAtomically(target.file('metrics.jsonl'), await readBytes(run.file('metrics.jsonl')));
  await target.saveCheckpoint(trainer, config, identity);
  // The last: until then the folder is none of a run.
  await target.keep(config);

  const { step, steps } = trainer;
  print(
    input.flag('json')
      ? jsonOf({ out, step, steps, files: readdirSync(out) })
      : `${named(out)}: step ${step} of ${steps}. Go on there: pip install -r requirements.txt, and python ${shellWord(join(out, 'train.py'))} (README.md says how on many machines)`,
  );
}

/** Pictures as NumPy reads them. */
interface PictureFile {
  /** The file that the run has them of, if it is as it is trained on, else one beside the program. */
  readonly file: string;
  /** What it holds, as {@link arrayIdentity}. */
  readonly array: string;
}

async function pictureFiles(target: RunFolder, { data, pairs }: DataSource, { train }: ImageDataset): Promise<PictureFile[]> {
  // Images of a folder are decoded as rows are asked for: all rows, here.
  await train.pending?.ready(Array.from({ length: train.images.shape[0]! }, (_, row) => row));
  const files: PictureFile[] = [];
  for (const [i, array] of picturesOf(train).entries()) {
    const [given, own] = [[data, pairs][i], ['images.npy', 'pairs.npy'][i]!];
    const asItIs = given !== undefined && (await holdsAsItIs(given, array));
    if (!asItIs) await writeArray(target.file(own), array);
    files.push({ file: asItIs ? given : own, array: arrayIdentity(array) });
  }
  return files;
}

async function holdsAsItIs(path: string, { dtype, shape }: HostArray): Promise<boolean> {
  if (!path.endsWith('.npy')) return false;
  const header = await readNpyHeader(path);
  return header.element === dtype && header.littleEndian && !header.fortranOrder && show(header.shape) === show(shape);
}
