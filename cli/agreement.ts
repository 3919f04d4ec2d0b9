/** Whether a run is still what its checkpoint says. */
import { isDeepStrictEqual } from 'node:util';
import { checkNames, named } from '../engine/arguments.ts';
import { check } from '../engine/errors.ts';
import type { Checkpoint } from '../models/io/node.ts';
import type { BackendChoice } from './backend.ts';
import type { DataIdentity } from './dataset.ts';
import { type RunConfig, type RunFolder, readRunConfig } from './runFolder.ts';

/** What a checkpoint says of its run. */
export interface SavedRun {
  readonly config: RunConfig;
  /** What its data was; null in checkpoints of version 0.1.0. */
  readonly identity: DataIdentity | null;
}

/** @throws TensegrityError `argument`, `format` for a checkpoint of something else than a run. */
function savedRun(checkpoint: Checkpoint): SavedRun {
  const { identity = null, ...config } = checkpoint.config;
  return { config: readRunConfig(config), identity: identity === null ? null : checkedIdentity(identity) };
}

function checkedIdentity(identity: unknown): DataIdentity {
  checkNames('identity', identity, { images: 0, labels: 0, testImages: 0, testLabels: 0, pairs: 0, mean: 0, deviation: 0 });
  // Of any type until each is checked here.
  const { mean, deviation, ...parts } = identity as Readonly<Record<string, unknown>>;
  const numbers = [mean, deviation].every((list) => Array.isArray(list) && list.every(Number.isFinite));
  const words = Object.values(parts).every((part) => part === null || typeof part === 'string');
  check(numbers && words && typeof parts['images'] === 'string', 'format', () => "the checkpoint's identity of the data is damaged");
  return identity as DataIdentity;
}

/**
 * A run goes on, and is scored, with the settings of its checkpoint: `config.json` may have been changed since. All settings of the training
 * count, since even the number of epochs decides about the learning rate of each step. Threads are no setting of a run; another backend
 * is for `--backend` to ask for, which is noted in `before`. Where the data lies may change, what it is may not: see {@link dataChanges}.
 * @returns what the checkpoint says.
 * @throws TensegrityError `format` naming each setting that differs, with both values.
 */
export function checkAgreement(folder: RunFolder, config: RunConfig, checkpoint: Checkpoint): SavedRun {
  const saved = savedRun(checkpoint);
  const was = saved.config;
  const settings = ({ training }: RunConfig): Readonly<Record<string, unknown>> => ({ ...training });
  const [now, then] = [settings(config), settings(was)];
  const differences = Object.keys({ ...now, ...then }).flatMap((name) =>
    isDeepStrictEqual(now[name], then[name]) ? [] : [[name, now[name], then[name]]],
  );
  // A run that has moved since has had the checkpoint's backends first.
  const past = backendsOf(was);
  if (!isDeepStrictEqual(backendsOf(config).slice(0, past.length), past)) differences.push(['backend', config.backend, was.backend]);
  if (!saved.identity && !isDeepStrictEqual(config.source, was.source)) differences.push(['source', config.source, was.source]);
  const text = (value: unknown): string => (value === undefined ? 'not there' : named(JSON.stringify(value)));
  check(
    differences.length === 0,
    'format',
    () =>
      `${named(folder.file('config.json'))} is not what the checkpoint was trained with: ${differences.map(([name, here, there]) => `${name} is ${text(here)} in config.json and ${text(there)} in the checkpoint`).join('; ')}. Put the checkpoint's back, or begin another run with other settings and --out`,
  );
  return saved;
}

/** The backends that a run has been on, in turn. */
function backendsOf({ before = [], backend }: RunConfig): BackendChoice[] {
  return [...before, backend].map(({ name, deterministic }) => ({ name, deterministic }));
}

/**
 * What has changed of a run's data since its checkpoint and matters to the scores only, in words; null if nothing has.
 * @throws TensegrityError `data` if it is the training images, with which the run would be another.
 */
export function dataChanges(now: DataIdentity, { source }: RunConfig, { config: was, identity: then }: SavedRun): string | null {
  if (!then) return null;
  check(
    now.images === then.images && now.pairs === then.pairs && isDeepStrictEqual([now.mean, now.deviation], [then.mean, then.deviation]),
    'data',
    () =>
      `the images are not those that the checkpoint was trained on: ${named(source.data)} holds ${now.images}; it was trained on ${named(then.images)}${now.pairs === then.pairs ? '' : `, with pairs: ${named(then.pairs ?? 'none')}; now ${named(now.pairs ?? 'none')}`}${was.source.data === source.data ? '' : `, from ${named(was.source.data)}`}. Put them back (config.json says where they are looked for), or begin another run on these with --out`,
  );
  const words = { labels: 'labels', testImages: 'test images', testLabels: "test images' labels" } as const;
  const changed = (Object.keys(words) as (keyof typeof words)[]).filter((name) => now[name] !== then[name]);
  if (changed.length === 0) return null;
  return `changed since the checkpoint: ${changed.map((name) => `${words[name]} (${now[name] ?? 'none'}; before ${named(then[name] ?? 'none')})`).join(', ')}; training does not use them, scores do`;
}
