/** An encoder as a function for JAX: `tensegrity export RUN --to jax --encoder`. */
import { join } from 'node:path';
import { named } from '../engine/arguments.ts';
import type { DType } from '../engine/dtype.ts';
import { type Tensor, zeros } from '../engine/index.ts';
import { graphOf, inTurn } from '../engine/internal.ts';
import { encoderModule } from '../export/jax/index.ts';
import type { ImageDataset } from '../models/data/images.ts';
import { ensureFolder, writeArray, writeFileAtomically, writeSafetensors } from '../models/io/node.ts';
import type { EncoderName } from '../models/nn/encoders.ts';
import type { Encoder } from '../models/nn/networks.ts';
import { featureMapOf } from '../models/train/evaluate.ts';
import type { Input } from './options.ts';
import { jsonOf, print } from './text.ts';

/** What it writes. */
export const encoderFiles = ['encoder.py', 'encoder.safetensors'] as const;

interface Images {
  readonly dtype: DType;
  /** [C, H, W] */
  readonly image: readonly number[];
  readonly scale: Pick<ImageDataset, 'mean' | 'deviation'>;
}

/** Writes `encoder.py` and `encoder.safetensors` into a folder. */
export async function exportEncoder(
  input: Input,
  encoder: Encoder,
  name: EncoderName,
  { dtype, image, scale }: Images,
  out: string,
): Promise<void> {
  const images = { dtype, shape: [1, ...image] };
  const graph = await inTurn(() => graphOf((one: Tensor) => featureMapOf(encoder, one, scale).mean([2, 3]), [zeros(images.shape, dtype)]));
  const about = `The encoder ${name}, as tensegrity has it: features = encode(load(), images).`;
  const { source, constants } = await encoderModule({ graph, images, slots: new Map(encoder.namedSlots()) }, about);
  await ensureFolder(out);
  if (constants.length > 0) await ensureFolder(join(out, 'constants'));
  for (const { name: own, array } of constants) await writeArray(join(out, 'constants', `${own}.npy`), array);
  await writeSafetensors(join(out, 'encoder.safetensors'), await encoder.stateDict(), []);
  await writeFileAtomically(join(out, 'encoder.py'), source);
  print(
    input.flag('json')
      ? jsonOf({ out, files: encoderFiles })
      : `${named(out)}: encoder.py and encoder.safetensors; encode(load(), images): ${dtype} [N, ${image.join(', ')}] → f32 [N, ${encoder.width}]`,
  );
}
