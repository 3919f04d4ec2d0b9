import { type Backend, type HostArray, memoryBytes, TensegrityError } from 'tensegrity';
import {
  checkpointBytes,
  checkpointIn,
  diagnose,
  type ImageSplit,
  nearestNeighbours,
  type StepRecord,
  serializeSafetensors,
  Trainer,
  type TrainerState,
  takeRows,
} from 'tensegrity/models';
import { embeddedImages, first, type Images, ownImages, picturesOf } from './images.ts';
import { kernelTimes } from './kernelTimes.ts';
import { nearestTo, PictureMaker } from './pictures.ts';
import { messageOf, settle } from './place.ts';
import { planTree } from './planTree.ts';
import {
  type Command,
  type CommandOf,
  initialLevers,
  initialSetting,
  type Levers,
  type Message,
  type MessageOf,
  type Place,
  type Setting,
  type StepNumbers,
  type Trouble,
  type Verdict,
  type Whereabouts,
} from './protocol.ts';
import { configOf, conflictIn, planKey, steeringOf, withLevers, withSetting } from './settings.ts';
import { sha256 } from './sha256.ts';
import { Share } from './share.ts';

/** Of what a saved run holds; another is another version. */
const RUN_VERSION = 1;
/** Plans that are kept for when their setting comes back. */
const MOST_KEPT = 6;
/** Steps after which a verdict is given, and over which what it is of is averaged. */
const EARLY = 8;
/** Steps after which dimensions that repeat each other are no longer a beginning. */
const SETTLED = 100;
const RECENT = 4;
/** Steps over which the probe's accuracy is averaged. */
const PROBED = 20;
/** Images among whose features neighbours are sought for the accuracy, and how many are taken at a time. */
const BANK = 1024;
const CHUNK = 256;
/** On the cpu backend an image takes tenths of a second: so many are shown, and taken at a time. */
const FEW = 16;
const NEIGHBOURS = 8;
const ONE_THREAD = 'one thread computes, not one for each core';
/** Images of the strip of views. */
const STRIP = 8;

type Phase = MessageOf<'status'>['phase'];

/** A run with a plan of its own: of one setting, on one backend, of some images. */
interface Run {
  readonly setting: Setting;
  readonly trainer: Trainer;
  /** Where its steps come from: another after each state that it goes on from, since this one knows which images are next. */
  steps: AsyncGenerator<StepRecord, void, undefined>;
  readonly pictures: PictureMaker;
  /** The state it began with, without which there is no restart. */
  readonly initial: TrainerState;
}

/** A complaint that the page shows, about what was asked of the session. */
class Complaint extends Error {
  readonly trouble: Trouble;

  constructor(trouble: Trouble, message: string) {
    super(message);
    this.trouble = trouble;
  }
}

const isTyped = (error: unknown, code: TensegrityError['code']): error is TensegrityError =>
  error instanceof TensegrityError && error.code === code;

/**
 * A training that a page looks at and steers. Commands are done one after the other, between two steps, so none meets a half-done step; pictures are made between steps, too,
 * for a share of the time.
 */
export class Session {
  readonly #post: (message: Message) => void;
  readonly #inWorker: boolean;
  readonly #commands: Command[] = [];
  #wake: () => void = () => undefined;

  #phase: Phase = 'loading';
  #at: Whereabouts | null = null;
  #backend: Backend | null = null;
  #setting = initialSetting;
  #levers = initialLevers;
  #images: Images | null = null;
  /** Those of the images that are shown. */
  #shown: ImageSplit | null = null;
  #embedded: { readonly address: string; readonly images: Images | null } | null = null;
  #run: Run | null = null;
  readonly #kept = new Map<string, Run>();
  #compiled = 0;
  #visible = true;
  #closed = false;
  /** A state to go on from where a backend is lost. */
  #last: TrainerState | null = null;

  /** Steps since the last restart, for verdicts; and what they measured lately. */
  #recent: StepRecord[] = [];
  #since = 0;
  #unsent: StepNumbers[] = [];
  #chosen: number | null = null;
  #before: HostArray | null = null;
  #now: HostArray | null = null;
  /** Features of the bank so far. */
  #bank: HostArray[] = [];

  readonly #sending = new Share(1, 50);
  readonly #batchPictures = new Share(0.05, 80);
  readonly #clouds = new Share(0.1, 100);
  readonly #scores = new Share(0.03, 200);
  readonly #strips = new Share(0.02, 2000);
  readonly #memories = new Share(0.01, 2000);
  readonly #keeping = new Share(0.02, 3000);

  /** @param post takes messages to the page, and their arrays with them. */
  constructor(post: (message: Message) => void, inWorker: boolean) {
    this.#post = post;
    this.#inWorker = inWorker;
    void this.#live();
  }

  receive(command: Command): void {
    this.#commands.push(command);
    this.#wake();
  }

  async #live(): Promise<void> {
    while (!this.#closed) {
      const command = this.#commands.shift();
      if (command) await this.#guarded(command.kind, () => this.#do(command));
      else if (this.#phase === 'running') await this.#guarded(null, () => this.#advance());
      else
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
    }
  }

  /** Does something, and says what went wrong with it. What fails leaves the session as it was, or says that it is broken. */
  async #guarded(command: Command['kind'] | null, task: () => Promise<void>): Promise<void> {
    try {
      await task();
    } catch (error) {
      if (error instanceof Complaint) {
        this.#say(error.trouble, error.message, true, command);
        return;
      }
      if (isTyped(error, 'backend') && this.#at?.backend === 'webgpu') {
        await this.#guarded(command, () =>
          this.#leave(error, { trouble: 'gpuLost', place: { backend: 'wasm' }, words: ['The GPU', 'WebAssembly'] }),
        );
        return;
      }
      // A thread that failed, or did not start though it was asked for.
      if (isTyped(error, 'backend') && this.#at?.backend === 'wasm' && this.#at.threads > 1 && 'fault' in error.details) {
        const place = { backend: 'wasm', threads: 1 } as const;
        await this.#guarded(command, () => this.#leave(error, { trouble: 'oneThread', place, words: ['A thread', 'one'] }));
        return;
      }
      const memory = isTyped(error, 'backend') && /memory/.test(error.message);
      this.#enter(this.#run ? 'paused' : 'broken');
      const rest = this.#run ? 'it rests; go on, restart or choose another setting' : 'it cannot go on; open it again';
      this.#say(memory ? 'noMemory' : 'fault', `${messageOf(error)} (${rest})`, false, command);
    }
  }

  #say(trouble: Trouble, message: string, goesOn: boolean, command: Command['kind'] | null = null): void {
    this.#post({ kind: 'trouble', trouble, message, goesOn, command });
  }

  #enter(phase: Phase): void {
    this.#phase = phase;
    this.#tell();
  }

  #tell(): void {
    this.#post({
      kind: 'status',
      phase: this.#phase,
      at: this.#at,
      setting: this.#setting,
      levers: this.#levers,
      step: this.#run?.trainer.step ?? 0,
      compiled: this.#compiled,
    });
  }

  readonly #doings: { readonly [Kind in Command['kind']]: (command: CommandOf<Kind>) => Promise<void> } = {
    open: async ({ place, setting, levers, data, paused = false }) => {
      this.#setting = settingFrom(setting, initialSetting);
      this.#levers = leversFrom(levers, initialLevers);
      this.#enter('loading');
      this.#embedded = { address: data, images: null };
      // The images come while the backend starts.
      const coming = embeddedImages(data).catch((error: unknown) => new Complaint('noData', messageOf(error)));
      await this.#settle(place);
      const images = await coming;
      if (images instanceof Complaint) {
        this.#enter('broken');
        this.#say('noData', `${images.message}. Images of your own can be dropped here all the same.`, false, 'open');
        return;
      }
      this.#embedded = { address: data, images };
      this.#take(images);
      await this.#begin();
      this.#enter(paused ? 'paused' : 'running');
      if (paused) await this.#picture();
    },
    set: async ({ setting }) => {
      const next = settingFrom(setting, this.#setting);
      if (!this.#images) {
        this.#setting = next;
        this.#tell();
        return;
      }
      const restarts = next.seed !== this.#setting.seed;
      const before = this.#run;
      await this.#resuming(async () => {
        await this.#change(next, restarts ? null : before);
      });
    },
    levers: async ({ levers }) => {
      const strength = this.#levers.strength;
      this.#levers = leversFrom(levers, this.#levers);
      this.#steer();
      this.#tell();
      if (!this.#run || this.#levers.strength === strength) return;
      // While a hand is on the slider, the last of many positions counts.
      this.#strips.hurry();
      const moving = this.#commands.some(({ kind }) => kind === 'levers');
      if (this.#phase === 'paused' && !moving) await this.#strips.now(() => this.#strip());
    },
    run: async () => {
      if (this.#run) this.#enter('running');
    },
    pause: async () => {
      if (this.#phase !== 'running') return;
      this.#enter('paused');
      await this.#picture();
    },
    step: async () => {
      if (!this.#run) return;
      if (this.#phase !== 'paused') this.#enter('paused');
      await this.#step();
      await this.#picture();
      this.#tell();
    },
    restart: async () => {
      const run = this.#run;
      if (!run) return;
      restore(run, run.initial);
      await this.#afresh();
      this.#tell();
      if (this.#phase === 'paused') await this.#picture();
    },
    move: async ({ place }) => {
      await this.#resuming(async () => {
        const state = (await this.#run?.trainer.state()) ?? null;
        const slow = this.#slow;
        await this.#settle(place);
        if (this.#images && slow !== this.#slow) this.#take(this.#images);
        await this.#rebuild(state);
      });
    },
    images: async (command) => this.#changeImages(command),
    choose: async ({ image }) => {
      const count = this.#shown?.images.shape[0] ?? 0;
      if (!Number.isInteger(image) || image < 0 || image >= count)
        throw new Complaint('fault', `There is no shown image ${image}; there are ${count}.`);
      this.#chosen = image;
      this.#tellNeighbours();
    },
    plan: async () => {
      const { trainer } = this.#needed();
      const plan = await trainer.prepare();
      // A GPU that measures has times of the steps so far; elsewhere each kernel is run by itself.
      const measured = await trainer.explain({ times: true }).catch(() => null);
      const times = measured === null && this.#at?.backend === 'wasm' ? await kernelTimes(this.#backend!, plan) : null;
      this.#post({ kind: 'plan', plan: planTree(plan, measured ?? (await trainer.explain()), times) });
    },
    save: async () => {
      const { trainer } = this.#needed();
      const state = await trainer.state();
      const [, channels, height, width] = this.#images!.shown.images.shape;
      const images = { name: this.#images!.name, channels: channels!, height: height!, width: width!, labelled: this.#labelled };
      const config = { lab: RUN_VERSION, setting: { ...this.#setting }, levers: { ...this.#levers }, images };
      const bytes = checkpointBytes({ ...state, key: [], config, metrics: [] }, sha256);
      this.#post({ kind: 'saved', bytes, step: state.step });
    },
    load: async ({ bytes }) => this.#load(bytes),
    encoder: async () => {
      const { trainer } = this.#needed();
      const { mean, deviation, classes } = this.#images!.dataset;
      const metadata = { encoder: 'small-conv', mean: mean.join(' '), deviation: deviation.join(' '), classes: classes.join('\n') };
      const bytes = serializeSafetensors(await trainer.encoder.stateDict(), Object.entries(metadata));
      this.#post({ kind: 'encoder', bytes, step: trainer.step });
    },
    visible: async ({ visible }) => {
      this.#visible = visible;
    },
    close: async () => {
      this.#closed = true;
      this.#forget();
      this.#backend?.dispose();
    },
  };

  #do<Kind extends Command['kind']>(command: CommandOf<Kind>): Promise<void> {
    const doing: ((command: CommandOf<Kind>) => Promise<void>) | undefined = this.#doings[command.kind as Kind];
    if (!doing) throw new Complaint('fault', `There is no command '${String(command.kind)}'.`);
    return doing(command);
  }

  #needed(): Run {
    if (!this.#run) throw new Complaint('fault', 'Nothing trains yet.');
    return this.#run;
  }

  get #slow(): boolean {
    return this.#at?.backend === 'cpu';
  }

  get #labelled(): boolean {
    return this.#images?.dataset.train.labels !== undefined;
  }

  /** Does what may take a while; then it goes on as before. */
  async #resuming(task: () => Promise<void>): Promise<void> {
    const phase = this.#phase === 'running' || this.#phase === 'paused' ? this.#phase : 'running';
    this.#enter('compiling');
    try {
      await task();
    } finally {
      // What failed with a Complaint has left the run as it was.
      this.#enter(this.#run ? phase : 'broken');
    }
    if (this.#phase === 'paused') await this.#picture();
  }

  async #settle(place: Place): Promise<void> {
    // Plans are of the backend that they were made for.
    this.#forget();
    const old = this.#backend;
    const { at, backend: settled, remarks } = await settle(place, this.#inWorker);
    this.#at = at;
    this.#backend = settled;
    old?.dispose();
    for (const { trouble, message } of remarks) this.#say(trouble, message, true);
  }

  #forget(): void {
    for (const run of this.#kept.values()) disposeOf(run);
    this.#kept.clear();
    this.#run = null;
  }

  #take(images: Images): void {
    this.#images = images;
    this.#shown = this.#slow ? first(images.shown, FEW) : images.shown;
    this.#chosen = null;
    const shown = this.#shown;
    const { dataset, name, count } = images;
    this.#post({
      kind: 'data',
      name,
      count,
      classes: dataset.classes,
      shown: picturesOf(shown.images),
      labels: Uint8Array.from(shown.labels?.data ?? []),
    });
  }

  /** The setting with as many images a step as there are at most. */
  #fitted(setting: Setting): Setting {
    return { ...setting, batchSize: Math.min(setting.batchSize, this.#images!.dataset.train.images.shape[0]!) };
  }

  /** The run of a setting, which may have been before; at its beginning. */
  async #runOf(given: Setting): Promise<Run> {
    const setting = this.#fitted(given);
    const conflict = conflictIn(setting);
    if (conflict !== null) throw new Complaint('badSetting', `${conflict}.${this.#run ? ' It trains on as before.' : ''}`);
    const name = planKey(setting);
    const kept = this.#kept.get(name);
    if (kept) {
      this.#kept.delete(name);
      this.#kept.set(name, kept);
      return kept;
    }
    let trainer: Trainer;
    try {
      trainer = new Trainer(configOf(setting, { labelled: this.#labelled }), this.#images!.dataset, { steered: true });
    } catch (error) {
      throw isTyped(error, 'argument') || isTyped(error, 'shape')
        ? new Complaint('badSetting', `${error.message}. It trains on as before.`)
        : error;
    }
    try {
      await trainer.prepare();
    } catch (error) {
      trainer.dispose();
      throw isTyped(error, 'argument') || isTyped(error, 'shape')
        ? new Complaint('badSetting', `${error.message}. It trains on as before.`)
        : error;
    }
    this.#compiled++;
    this.#countThreads();
    const run: Run = {
      setting,
      trainer,
      steps: trainer.run(),
      pictures: new PictureMaker(setting, trainer.learner, this.#images!.dataset, this.#shown!.images),
      initial: await trainer.state(),
    };
    this.#kept.set(name, run);
    for (const [other, old] of this.#kept) {
      if (this.#kept.size <= MOST_KEPT) break;
      if (old === this.#run || old === run) continue;
      disposeOf(old);
      this.#kept.delete(other);
    }
    return run;
  }

  /** Whether the threads have started, which a page may forbid, shows when there is a plan for them. */
  #countThreads(): void {
    const at = this.#at;
    const { threads } = (this.#backend ?? {}) as { readonly threads?: number };
    if (at?.backend !== 'wasm' || threads === undefined || threads >= at.threads) return;
    this.#at = { ...at, threads };
    this.#say('oneThread', `${capital(ONE_THREAD)}: the page lets no further workers start (its worker-src needs blob:).`, true);
  }

  /** Begins anew, with the setting as it is. */
  async #begin(): Promise<void> {
    const run = await this.#runOf(this.#setting);
    restore(run, run.initial);
    this.#run = run;
    this.#steer();
    await this.#afresh();
  }

  /** Changes to another setting. What is learned so far stays, as far as there is a place for it, unless it is null. */
  async #change(setting: Setting, from: Run | null): Promise<void> {
    const state = await from?.trainer.state();
    const run = await this.#runOf(setting);
    this.#setting = setting;
    if (from && state && run !== from) restore(run, carried(state, run.initial, from.setting.method === setting.method));
    else if (!from) restore(run, run.initial);
    this.#run = run;
    this.#steer();
    if (from) this.#newCourse();
    else await this.#afresh();
  }

  /** Builds the run on another backend, from a state. */
  async #rebuild(state: TrainerState | null): Promise<void> {
    if (!this.#images) return;
    const run = await this.#runOf(this.#setting);
    restore(run, state ?? run.initial);
    this.#run = run;
    this.#steer();
    if (!state) await this.#afresh();
  }

  #steer(): void {
    const trainer = this.#run?.trainer;
    trainer?.steer(steeringOf(this.#levers, Object.keys(trainer.steering)));
  }

  /** What has been measured says nothing of what comes. */
  #newCourse(): void {
    this.#recent = [];
    this.#since = 0;
    this.#bank = [];
    // A state of another setting fits no other.
    this.#last = null;
    for (const share of [this.#batchPictures, this.#clouds, this.#scores, this.#strips, this.#keeping]) share.hurry();
  }

  /** At new weights. */
  async #afresh(): Promise<void> {
    this.#newCourse();
    const { picture, features } = await this.#needed().pictures.cloud();
    this.#before = features;
    this.#now = features;
    this.#post({ kind: 'cloud', step: this.#run!.trainer.step, ...picture });
    await this.#strips.now(() => this.#strip());
  }

  /** Goes on elsewhere, from the last state that was kept. */
  async #leave(
    error: TensegrityError,
    {
      trouble,
      place,
      words: [lost, instead],
    }: { readonly trouble: Trouble; readonly place: Place; readonly words: readonly [string, string] },
  ): Promise<void> {
    const state = this.#last;
    const phase = this.#phase;
    this.#enter('compiling');
    await this.#settle(place);
    await this.#rebuild(state);
    const from = state ? `from step ${state.step}` : 'from the beginning';
    this.#say(trouble, `${lost} failed (${error.message}). It goes on with ${instead}, ${from}.`, true);
    this.#enter(phase === 'paused' ? 'paused' : this.#run ? 'running' : 'broken');
  }

  async #changeImages({ files, names, labels }: CommandOf<'images'>): Promise<void> {
    let next: Images;
    if (files.length === 0) {
      const address = this.#embedded?.address ?? '';
      next =
        this.#embedded?.images ??
        (await embeddedImages(address).catch((error: unknown) => {
          throw new Complaint('noData', `${messageOf(error)}. It trains on as before.`);
        }));
      this.#embedded = { address, images: next };
    } else {
      const { images, remarks } = await ownImages({ files, ...(names && { names }), ...(labels && { labels }) }, this.#setting.batchSize);
      const some = remarks.length > 6 ? [...remarks.slice(0, 5), `and ${remarks.length - 5} more`] : remarks;
      if (!images) {
        const last = this.#run ? 'It trains on as before.' : '';
        throw new Complaint(
          'badImages',
          `At least two images are needed, and fewer could be read: ${some.join('; ') || 'there was none'}. ${last}`.trim(),
        );
      }
      if (some.length > 0) this.#say('badImages', `It trains on ${images.count} images; ${some.join('; ')}.`, true, 'images');
      next = images;
    }
    await this.#resuming(async () => {
      this.#forget();
      this.#take(next);
      await this.#begin();
    });
  }

  async #load(bytes: Uint8Array): Promise<void> {
    const bad = (message: string): Complaint => new Complaint('badRun', `${message}. It trains on as before.`);
    let saved: ReturnType<typeof checkpointIn>;
    try {
      saved = checkpointIn(bytes, sha256);
    } catch (error) {
      throw bad(messageOf(error));
    }
    const { lab, setting, levers, images } = saved.config as Readonly<Record<string, unknown>>;
    if (lab === undefined) throw bad('The file is a run of the command, not of the lab');
    if (lab !== RUN_VERSION)
      throw bad(
        `The run was saved by another version of the lab (its runs have version ${String(lab)}, and this one reads ${RUN_VERSION})`,
      );
    const next = withSetting(setting);
    const steered = withLevers(levers);
    const fault = 'fault' in next ? next.fault : 'fault' in steered ? steered.fault : null;
    if (fault !== null || 'fault' in next || 'fault' in steered) throw bad(`The run does not fit this lab: ${fault}`);
    if (!this.#images) throw bad('There are no images yet to go on with');
    const [, channels, height, width] = this.#images.shown.images.shape;
    const here = { channels: channels!, height: height!, width: width!, labelled: this.#labelled };
    const there = Object(images) as Readonly<Record<string, unknown>>;
    const fits = Object.entries(here).every(([name, value]) => there[name] === value);
    if (!fits) {
      const own = there['name'] === 'own';
      throw bad(
        `The run is of ${own ? 'own images, which no file of a run holds: drop them first' : 'the embedded images: go back to those first'}`,
      );
    }
    await this.#resuming(async () => {
      const before = { run: this.#run, state: await this.#run?.trainer.state() };
      const run = await this.#runOf(next.value);
      try {
        restore(run, saved);
      } catch (error) {
        if (before.run === run && before.state) restore(run, before.state);
        throw bad(messageOf(error));
      }
      this.#setting = next.value;
      this.#levers = steered.value;
      this.#run = run;
      this.#steer();
      this.#newCourse();
    });
  }

  /** A step, and what is looked at then. */
  async #advance(): Promise<void> {
    await this.#step();
    await this.#keeping.when(async () => {
      this.#last = await this.#needed().trainer.state();
    });
    await this.#sending.when(() => this.#send());
    await this.#memories.when(() => this.#remember());
    if (!this.#visible) return;
    await this.#batchPictures.when(() => this.#pictureBatch());
    await this.#clouds.when(() => this.#pictureCloud());
    await this.#scores.when(() => this.#score());
    await this.#strips.when(() => this.#strip());
  }

  /** All that is looked at, at once: where it rests. */
  async #picture(): Promise<void> {
    this.#send();
    await this.#batchPictures.now(() => this.#pictureBatch());
    await this.#clouds.now(() => this.#pictureCloud());
  }

  async #step(): Promise<void> {
    const run = this.#needed();
    const start = performance.now();
    const { value: record } = await run.steps.next().catch((error: unknown) => {
      // One that has thrown gives no more.
      run.steps = run.trainer.run();
      throw error;
    });
    if (!record) throw new Error('the run has come to its end');
    this.#since++;
    this.#recent = [...this.#recent, record].slice(-PROBED);
    this.#unsent.push({
      step: record.step,
      loss: record.loss,
      parts: record.parts,
      deviation: record.deviation,
      directions: record.normalizedDeviation,
      correlation: record.correlation,
      probe: record.probeAccuracy ?? null,
      milliseconds: performance.now() - start,
    });
  }

  #send(): void {
    if (this.#unsent.length === 0) return;
    this.#post({ kind: 'steps', steps: this.#unsent });
    this.#unsent = [];
  }

  /** Dimensions repeat each other for a while at first, and then come apart, unless what parts them was taken away. */
  #settling(): boolean {
    const { covariance, offDiagonal } = this.#levers;
    return this.#since < SETTLED && covariance >= initialLevers.covariance && offDiagonal >= initialLevers.offDiagonal;
  }

  #verdict(): Verdict {
    const recent = this.#recent.slice(-RECENT);
    const mean = (of: 'deviation' | 'normalizedDeviation' | 'correlation'): number =>
      recent.reduce((sum, record) => sum + record[of], 0) / recent.length;
    const last = recent.at(-1);
    if (!last) return { state: 'early', measured: null, message: null };
    const { method, methodOptions } = this.#needed().trainer.config;
    const measured = { deviation: mean('deviation'), normalizedDeviation: mean('normalizedDeviation'), correlation: mean('correlation') };
    const warning = diagnose({ ...measured, loss: last.loss, step: last.step, method, methodOptions });
    if (warning?.kind === 'diverged')
      return { state: 'diverged', measured: { name: 'loss', value: last.loss }, message: plainly(warning.message) };
    if (this.#since < EARLY || (warning?.kind === 'redundant' && this.#settling()))
      return { state: 'early', measured: null, message: null };
    if (!warning) return { state: 'healthy', measured: null, message: null };
    const name = /mean \|correlation\|/.test(warning.message)
      ? 'correlation'
      : /directions/.test(warning.message)
        ? 'directions'
        : 'deviation';
    const value = name === 'directions' ? measured.normalizedDeviation : measured[name];
    return { state: warning.kind, measured: { name, value }, message: plainly(warning.message) };
  }

  async #pictureBatch(): Promise<void> {
    const { trainer, pictures } = this.#needed();
    const [za, zb] = trainer.embedded;
    if (!za || !zb) return;
    const picture = await pictures.batch(za, zb);
    this.#post({ kind: 'batch', step: trainer.step, ...picture, verdict: this.#verdict() });
  }

  async #pictureCloud(): Promise<void> {
    const { trainer, pictures } = this.#needed();
    const { picture, features } = await pictures.cloud();
    this.#now = features;
    this.#post({ kind: 'cloud', step: trainer.step, ...picture });
    this.#tellNeighbours();
  }

  #tellNeighbours(): void {
    const image = this.#chosen;
    if (image === null || !this.#before || !this.#now) return;
    const [before, now] = [this.#before, this.#now].map((features) => nearestTo(features, image, NEIGHBOURS));
    this.#post({ kind: 'neighbours', step: this.#needed().trainer.step, image, before: before!, now: now! });
  }

  /** A part of the bank's features, or, when they are together, what they tell. */
  async #score(): Promise<void> {
    const { trainer, pictures } = this.#needed();
    const { dataset } = this.#images!;
    const shown = this.#shown!;
    const { images, labels } = dataset.train;
    if (!labels) return;
    const size = Math.min(BANK, images.shape[0]!);
    const done = this.#bank.reduce((sum, { shape }) => sum + shape[0]!, 0);
    if (done < size) {
      const rows = Array.from({ length: Math.min(this.#slow ? FEW : CHUNK, size - done) }, (_, i) => done + i);
      this.#bank.push(await pictures.features(takeRows(images, rows)));
      return;
    }
    const bank = joined(this.#bank);
    this.#bank = [];
    const finite = [bank, this.#now!].every(({ data }) => data.every(Number.isFinite));
    const nearest =
      finite && shown.labels && this.#images!.name === 'embedded'
        ? (
            await nearestNeighbours(
              {
                features: bank,
                labels: takeRows(
                  labels,
                  Array.from({ length: size }, (_, i) => i),
                ),
              },
              { features: this.#now!, labels: shown.labels },
            )
          ).accuracy
        : null;
    const probed = this.#recent.flatMap(({ probeAccuracy }) => (probeAccuracy === undefined ? [] : [probeAccuracy]));
    const probe = probed.length > 0 ? probed.reduce((sum, value) => sum + value, 0) / probed.length : null;
    this.#post({ kind: 'scores', step: trainer.step, nearest, probe });
  }

  /** The first images shown, and views of them. */
  async #strip(): Promise<void> {
    const { images } = this.#shown!;
    const count = Math.min(STRIP, images.shape[0]!);
    const some = takeRows(
      images,
      Array.from({ length: count }, (_, i) => i),
    );
    const { trainer, pictures } = this.#needed();
    const views = await pictures.views(some, trainer.step, this.#levers.strength);
    this.#post({ kind: 'views', images: picturesOf(some), views: views.map(picturesOf) });
  }

  async #remember(): Promise<void> {
    const memory = (performance as { readonly memory?: { readonly usedJSHeapSize: number } }).memory;
    this.#post({ kind: 'memory', engineBytes: await memoryBytes(), heapBytes: memory?.usedJSHeapSize ?? null });
  }
}

/** A state of another run, of what has the same name and shape in the one that begins: all of it, or of the encoder and the probe alone, which are no method's. */
function carried(state: TrainerState, initial: TrainerState, all: boolean): TrainerState {
  const tensors = new Map(
    [...initial.tensors].map(([name, own]) => {
      const other = state.tensors.get(name);
      const fits = other && other.shape.length === own.shape.length && other.shape.every((size, axis) => size === own.shape[axis]);
      return [name, fits && (all || /^(encoder|probe)\./.test(name)) ? other : own];
    }),
  );
  return { ...state, tensors };
}

function restore(run: Run, state: Pick<TrainerState, 'step' | 'tensors'>): void {
  run.trainer.restore(state);
  run.steps = run.trainer.run();
}

function disposeOf({ trainer, pictures }: Run): void {
  for (const each of [pictures, trainer]) {
    try {
      each.dispose();
    } catch {
      // On a GPU that is lost there is nothing to give back.
    }
  }
}

/** Rows of arrays [n, d] of one width, together. */
function joined(parts: readonly HostArray[]): HostArray {
  const data = new Float32Array(parts.reduce((sum, part) => sum + part.data.length, 0));
  let at = 0;
  for (const part of parts) {
    data.set(part.data, at);
    at += part.data.length;
  }
  const width = parts[0]!.shape[1]!;
  return { dtype: 'f32', shape: [data.length / width, width], data };
}

/** What the command's users are told, without its flags. */
function plainly(message: string): string {
  return message
    .replaceAll(/ \(--[^)]*\)/g, '')
    .replaceAll('--lr', 'the learning rate')
    .replaceAll(/,? or lengthen --warmup/g, '');
}

function settingFrom(given: Partial<Setting>, over: Setting): Setting {
  const merged = withSetting(given, over);
  if ('fault' in merged) throw new Complaint('badSetting', `${capital(merged.fault)}.`);
  return merged.value;
}

function leversFrom(given: Partial<Levers>, over: Levers): Levers {
  const merged = withLevers(given, over);
  if ('fault' in merged) throw new Complaint('badSetting', `${capital(merged.fault)}.`);
  return merged.value;
}

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
