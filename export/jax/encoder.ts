import type { DType } from '../../engine/dtype.ts';
import type { Shape } from '../../engine/shape.ts';
import type { Slot } from '../../engine/slot.ts';
import type { Graph } from '../../engine/trace.ts';
import { bodyOf } from './body.ts';
import { Constants, described, indented, moduleOf, slotNames } from './module.ts';
import { numpyType, quoted, tuple } from './python.ts';
import type { Exported } from './step.ts';

/** An encoder's features of one image, as a graph. */
export interface EncoderGraph {
  /** Of an image as it is stored, [1, C, H, W]; its only result is [1, width]. */
  readonly graph: Graph;
  readonly images: { readonly dtype: DType; readonly shape: Shape };
  /** Its weights and running statistics, by the names that the file beside the module has. */
  readonly slots: ReadonlyMap<string, Slot>;
}

/** Reads the file of weights: safetensors, a header of JSON and then the arrays. */
const load = `
def load(path=pathlib.Path(__file__).with_name("encoder.safetensors")):
    """The weights of a file, by name."""
    content = pathlib.Path(path).read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    weights = {}
    for name, (dtype, shape) in WEIGHTS.items():
        if name not in header or tuple(header[name]["shape"]) != shape or header[name]["dtype"] != {"float32": "F32", "int32": "I32"}.get(dtype):
            raise ValueError(f"{path} has no {name} of {dtype} {shape}; it takes the file that was written with this module")
        first, end = header[name]["data_offsets"]
        weights[name] = np.frombuffer(content[start + first : start + end], dtype).reshape(shape)
    return weights
`.trim();

/**
 * An encoder in evaluation mode as a module of a function: `encode(weights, images) → features`, for any number of images, and `load()`, which gives the weights of the
 * file beside it.
 * @param about the first line of its docstring.
 * @throws TensegrityError `dtype` for a graph with f64.
 */
export async function encoderModule({ graph, images, slots }: EncoderGraph, about: string): Promise<Exported> {
  const constants = new Constants();
  const nameOf = slotNames(slots);
  const { lines, results } = await bodyOf(
    graph.leaves,
    {
      placeholder: () => 'image',
      slot: (slot) => `weights[${quoted(nameOf(slot))}]`,
      constant: (value, node) => constants.textOf(value, node),
    },
    new Map(),
  );
  const [, ...image] = images.shape;
  const one = [
    'def features_of(weights, image):',
    `    """Of one image ${numpyType(images.dtype)} ${tuple(images.shape)}."""`,
    ...lines.map(indented),
    `    return ${results[0]}`,
  ];
  const all = [
    '@jax.jit',
    'def encode(weights, images):',
    `    """Features of images ${numpyType(images.dtype)} (N, ${image.join(', ')}): float32 (N, width)."""`,
    `    if images.shape[1:] != ${tuple(image)} or images.dtype != ${quoted(numpyType(images.dtype))}:`,
    `        raise ValueError(f"encode takes images ${numpyType(images.dtype)} (N, ${image.join(', ')}), got {images.dtype} {images.shape}")`,
    '    return jax.vmap(lambda image: features_of(weights, image[None])[0])(images)',
  ];
  const parts = [`WEIGHTS = ${described(slots)}`, one.join('\n'), all.join('\n'), load];
  return { source: moduleOf(about, parts, constants), constants: constants.files };
}
