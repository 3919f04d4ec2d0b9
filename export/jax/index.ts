/**
 * A training step for JAX: the graph of a step as a Python module of `jax.numpy` and `lax` calls, public interface only, which XLA compiles for any number of
 * devices. It imports nothing but JAX and NumPy.
 *
 * `stepModule(await trainer.graph(), about)` gives the text of `step.py`, and the arrays that belong in a folder `constants` beside it, each as NAME.npy (most
 * steps have none). The module has:
 *
 * - `train_step(state, batch, step, learning_rate, …) → (state, metrics)`, jitted, with `state` donated; without its decorator it is `train_step.__wrapped__`.
 *   - `state`: a dict of arrays by the names that a checkpoint has (`Trainer.namedSlots`): weights, running statistics, teachers and queues, the optimiser's
 *     moments and its count of steps. Shapes and types are in `STATE`, as `{name: (dtype, shape)}`. What comes back has the same names.
 *   - `batch`: a dict, as `BATCH` says: `indices`, i32 [n], the rows of the data that the step is made of; `images`, [n, C, H, W] as they are stored (of
 *     data in pairs `images_1` and `images_2`). Views are made in the step.
 *   - `step`: how many steps were done before, i32. Everything random is drawn from it and from the seed, which is written into the module; no key is passed.
 *   - `learning_rate`, and then what else changes from step to step (a teacher's momentum, …), each an f32 scalar, in the order of `SCHEDULES`. Their values are
 *     `Trainer.numbersAt(step)`: computed on the host, so a run needs them as a table.
 *   - `metrics`: `loss`, `deviation`, `normalizedDeviation`, `correlation`, `probeAccuracy` where there is a probe, each a scalar, and `parts`, a dict of them;
 *     as a line of metrics.jsonl has them.
 * - `PRECISION`, of products and convolutions.
 *
 * `encoderModule` gives the text of `encoder.py`: an encoder alone, in evaluation mode, as `encode(weights, images)`.
 *
 * Statistics over the batch are over the whole of it: with `batch` divided among devices (`NamedSharding`), XLA puts in the collectives.
 */
export { type EncoderGraph, encoderModule } from './encoder.ts';
export { type Exported, stepModule } from './step.ts';
