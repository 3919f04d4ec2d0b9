/** What the page knows of the training, as signals that its figures read; and what it asks of it. */
import { signal, batch as together } from '@preact/signals';
import {
  type Command,
  initialLevers,
  initialSetting,
  type LeverName,
  type Levers,
  leversOf,
  type Message,
  type MessageOf,
  type Place,
  type Setting,
  type StepNumbers,
  type Training,
} from '../training/protocol.ts';
import { History } from './history.ts';

/** The last message of a kind, or null before the first. */
const last = <Kind extends Message['kind']>() => signal<MessageOf<Kind> | null>(null);

export const status = last<'status'>();
export const data = last<'data'>();
export const batch = last<'batch'>();
export const cloud = last<'cloud'>();
export const scores = last<'scores'>();
export const neighbours = last<'neighbours'>();
export const views = last<'views'>();
export const plan = last<'plan'>();
/** Of the last step; the page is told of several steps at once. */
export const latest = signal<StepNumbers | null>(null);
/** Steps of a second, of the last two. */
export const speed = signal<number | null>(null);
/** What the visitor asked for: the page's own, since the worker's answer lags behind a hand on a slider. */
export const setting = signal<Setting>(initialSetting);
export const levers = signal<Levers>(initialLevers);
export const place = signal<Place>({ backend: 'auto' });
/** The image whose neighbours are shown. */
export const chosen = signal(0);
/** Whether it is to train. */
export const wanted = signal<'running' | 'paused'>('running');

/** Something to be told to the visitor, until he puts it away. */
export interface Notice {
  readonly name: MessageOf<'trouble'>['trouble'] | 'badLink';
  /** Details, in English. */
  readonly message: string;
}
export const notices = signal<readonly Notice[]>([]);

export const history = new History();
/** Counts up when `history` has changed, a few times a second. */
export const drawn = signal(0);

let training: Training | null = null;
/** A saved run is being opened: the status after that says what holds. */
let adopt = false;
const waiting = new Map<'saved' | 'encoder', (bytes: Uint8Array) => void>();

function post(command: Command): void {
  training?.post(command);
}

export function notice(name: Notice['name'], message: string): void {
  if (!notices.value.some((each) => each.name === name && each.message === message)) {
    notices.value = [...notices.value.filter((each) => each.name !== name), { name, message }];
  }
}

export function dismiss(name: Notice['name']): void {
  notices.value = notices.value.filter((each) => each.name !== name);
}

/** Forgets what was measured of another training. */
function forget(): void {
  history.clear();
  told.length = 0;
  together(() => {
    latest.value = null;
    batch.value = null;
    cloud.value = null;
    scores.value = null;
    neighbours.value = null;
    drawn.value += 1;
  });
}

/** Listens to a training, and has it begin. */
export function begin(made: Training, address: string): void {
  training = made;
  for (const [kind, target] of Object.entries({ data, batch, cloud, scores, neighbours, views, plan }) as [
    'data' | 'batch',
    typeof data | typeof batch,
  ][]) {
    // Each signal stands beside its own kind above.
    made.on(kind, (message) => {
      (target as { value: unknown }).value = message;
    });
  }
  made.on('data', () => choose(0));
  made.on('status', (message) => {
    together(() => {
      status.value = message;
      if (adopt && message.phase !== 'compiling') hold(message);
    });
  });
  made.on('steps', ({ steps }) => {
    const newest = steps.at(-1);
    if (!newest) return;
    if (latest.value && newest.step < latest.value.step) history.clear();
    for (const each of steps) history.push(each);
    told.push({ at: performance.now(), step: newest.step });
    draw(newest);
  });
  made.on('scores', ({ step, nearest }) => history.score(step, nearest));
  made.on('cloud', ({ step, rankMe }) => history.rank(step, rankMe));
  made.on('saved', ({ bytes }) => answered('saved', bytes));
  made.on('encoder', ({ bytes }) => answered('encoder', bytes));
  made.on('trouble', ({ trouble, message, command }) => {
    // What was refused does not hold; the status before this says what does.
    if (status.value && (command === 'set' || command === 'load')) hold(status.value);
    notice(trouble, message);
    // What a link asks for may be what cannot be trained: it trains as for everybody, then.
    if (command === 'open' && trouble === 'badSetting' && setting.value !== initialSetting) {
      together(() => {
        setting.value = initialSetting;
        levers.value = leversOf(initialSetting.method);
      });
      open();
    }
  });
  const open = (): void => post({ kind: 'open', place: place.value, setting: setting.value, levers: levers.value, data: address });
  open();
  document.addEventListener('visibilitychange', () => post({ kind: 'visible', visible: !document.hidden }));
}

/** What the worker says of setting and levers is what holds. */
function hold(message: MessageOf<'status'>): void {
  adopt = false;
  setting.value = message.setting;
  levers.value = message.levers;
}

function answered(kind: 'saved' | 'encoder', bytes: Uint8Array): void {
  waiting.get(kind)?.(bytes);
  waiting.delete(kind);
}

const told: { readonly at: number; readonly step: number }[] = [];
let scheduled: StepNumbers | null = null;

/** Has the numbers shown, but not as often as there are steps. */
function draw(newest: StepNumbers): void {
  const first = scheduled === null;
  scheduled = newest;
  if (!first) return;
  setTimeout(() => {
    const now = performance.now();
    while (told.length > 2 && now - told[0]!.at > 2000) told.shift();
    const [from, to] = [told[0], told.at(-1)];
    together(() => {
      // What came before a restart is no news.
      latest.value = to ? scheduled : null;
      speed.value = from && to && to.at > from.at && to.step > from.step ? ((to.step - from.step) / (to.at - from.at)) * 1000 : null;
      drawn.value += 1;
    });
    scheduled = null;
  }, 200);
}

/** Changes what a plan is compiled for. Levers that were left as the method has them are as the next one has them. */
export function change(changes: Partial<Setting>): void {
  const [before, after] = [leversOf(setting.value.method), leversOf(changes.method ?? setting.value.method)];
  const moved = Object.entries(after).filter(([name, value]) => {
    const lever = name as LeverName;
    return value !== before[lever] && levers.value[lever] === before[lever];
  });
  if (moved.length > 0) pull(Object.fromEntries(moved));
  setting.value = { ...setting.value, ...changes };
  if ('seed' in changes) forget();
  post({ kind: 'set', setting: changes });
}

export function pull(changes: Partial<Levers>): void {
  levers.value = { ...levers.value, ...changes };
  post({ kind: 'levers', levers: changes });
}

export const lever = (name: LeverName, value: number): void => pull({ [name]: value });

export function run(): void {
  wanted.value = 'running';
  post({ kind: 'run' });
}

export function pause(): void {
  wanted.value = 'paused';
  post({ kind: 'pause' });
}

export function step(): void {
  wanted.value = 'paused';
  post({ kind: 'step' });
}

export function restart(): void {
  forget();
  post({ kind: 'restart' });
}

export function move(to: Place): void {
  place.value = to;
  post({ kind: 'move', place: to });
}

export function choose(image: number): void {
  chosen.value = image;
  post({ kind: 'choose', image });
}

export function askForPlan(): void {
  post({ kind: 'plan' });
}

export function useImages(files: readonly File[], labels?: readonly string[]): void {
  dismiss('badImages');
  forget();
  post({ kind: 'images', files, names: files.map(({ name }) => name), ...(labels ? { labels } : {}) });
}

/** The run, or its encoder, as the bytes of a file. */
export function ask(kind: 'saved' | 'encoder'): Promise<Uint8Array> {
  return new Promise((resolve) => {
    waiting.set(kind, resolve);
    post({ kind: kind === 'saved' ? 'save' : 'encoder' });
  });
}

export function open(bytes: Uint8Array): void {
  dismiss('badRun');
  adopt = true;
  history.clear();
  post({ kind: 'load', bytes });
}
