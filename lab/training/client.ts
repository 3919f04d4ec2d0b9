import type { Command, Message, MessageOf, Training } from './protocol.ts';

type Listeners = { readonly [Kind in Message['kind']]: Set<(message: MessageOf<Kind>) => void> };

const listenersOf = (): Listeners => ({
  status: new Set(),
  data: new Set(),
  steps: new Set(),
  batch: new Set(),
  cloud: new Set(),
  scores: new Set(),
  neighbours: new Set(),
  views: new Set(),
  plan: new Set(),
  saved: new Set(),
  encoder: new Set(),
  memory: new Set(),
  trouble: new Set(),
});

/** Milliseconds in which a worker must have said something after it was asked to open. */
const PATIENCE = 20_000;

/**
 * Starts the worker, or, where none starts, a session on the page's own thread, and says so. Commands may be posted at once.
 * @param start makes the worker; the lab's own, unless given.
 */
export function connect(start: () => Worker = () => new Worker(new URL('./worker.ts', import.meta.url), { type: 'module' })): Training {
  const listeners = listenersOf();
  const tell = <Kind extends Message['kind']>(message: MessageOf<Kind>): void => {
    // A message is of its kind.
    for (const listener of listeners[message.kind as Kind]) (listener as (message: MessageOf<Kind>) => void)(message);
  };
  /** What has been posted before anything was heard: it is posted again where the worker does not start. */
  let unheard: Command[] | null = [];
  let receive: (command: Command) => void = () => undefined;
  let end: () => void = () => undefined;

  const onOwnThread = async (why: string): Promise<void> => {
    end();
    end = () => undefined;
    receive = () => undefined;
    tell({
      kind: 'trouble',
      trouble: 'noWorker',
      message: `No worker starts here (${why}), so this trains on the page's own thread, which will stutter.`,
      goesOn: true,
      command: null,
    });
    const { Session } = await import('./session.ts');
    const session = new Session(tell, false);
    receive = (command) => session.receive(command);
    for (const command of unheard ?? []) receive(command);
    unheard = null;
  };

  const inWorker = (): void => {
    const worker = start();
    const timer = setTimeout(() => {
      if (unheard) void onOwnThread(`it said nothing for ${PATIENCE / 1000} seconds`);
    }, PATIENCE);
    worker.onmessage = ({ data }: MessageEvent<Message>) => {
      unheard = null;
      clearTimeout(timer);
      tell(data);
    };
    worker.onerror = ({ message }) => {
      clearTimeout(timer);
      if (unheard) void onOwnThread(message || 'the page forbids it');
      else
        tell({
          kind: 'trouble',
          trouble: 'fault',
          message: `The worker failed: ${message || 'it was ended'}.`,
          goesOn: false,
          command: null,
        });
    };
    receive = (command) => worker.postMessage(command);
    end = () => {
      clearTimeout(timer);
      worker.terminate();
    };
  };

  try {
    inWorker();
  } catch (error) {
    void onOwnThread(error instanceof Error ? error.message : String(error));
  }
  return {
    post: (command) => {
      unheard?.push(command);
      receive(command);
    },
    on: (kind, listener) => {
      listeners[kind].add(listener);
      return () => void listeners[kind].delete(listener);
    },
    close: () => {
      receive({ kind: 'close' });
      end();
    },
  };
}
