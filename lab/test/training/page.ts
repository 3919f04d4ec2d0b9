/** A page without anything but a training, for tests to drive: what it says is kept until it is asked for. */
import { connect } from '../../training/client.ts';
import { type Command, initialLevers, initialSetting, type Message, type Training } from '../../training/protocol.ts';

const kinds = [
  'status',
  'data',
  'steps',
  'batch',
  'cloud',
  'scores',
  'neighbours',
  'views',
  'plan',
  'saved',
  'encoder',
  'memory',
  'trouble',
] as const;

/** Numbers of an array that a test is given. */
const MOST = 4096;

/** What a message holds, as JSON does: arrays become lists, long ones are cut. */
function plain(value: unknown): unknown {
  if (ArrayBuffer.isView(value)) return plain(Array.from((value as Uint8Array).subarray(0, MOST)));
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value === 'number' && !Number.isFinite(value)) return String(value);
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, plain(part)]));
  return value;
}

export class Driver {
  #training: Training | null = null;
  #said: Message[] = [];
  /** What was last saved. */
  bytes: Uint8Array = new Uint8Array();

  /** Opens a training, in the lab's worker or in one whose GPU can be lost. */
  open(given: Partial<Extract<Command, { kind: 'open' }>>, worker: 'faults' | null): void {
    const training = worker === null ? connect() : connect(() => new Worker(new URL('./faults.ts', import.meta.url), { type: 'module' }));
    for (const kind of kinds)
      training.on(kind, (message: Message) => {
        if (message.kind === 'saved' || message.kind === 'encoder') this.bytes = message.bytes;
        this.#said.push(message);
      });
    this.#training = training;
    const data = new URL('images.safetensors.gz', document.baseURI).href;
    training.post({ kind: 'open', place: { backend: 'wasm' }, setting: initialSetting, levers: initialLevers, data, ...given });
  }

  post(command: Command): void {
    this.#training!.post(command);
  }

  /** What has been said since the last time. */
  take(): unknown {
    const said = this.#said;
    this.#said = [];
    return plain(said);
  }

  close(): void {
    this.#training!.close();
  }
}

declare global {
  var lab: Driver;
}
globalThis.lab = new Driver();
