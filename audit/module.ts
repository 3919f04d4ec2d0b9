import type { Worker } from 'node:worker_threads';
import type { InputForm } from './subject.ts';
import { type Answer, LossError, type Subject, Unauditable, within } from './subject.ts';

export interface ModuleOptions {
  /** The export that is the loss; `loss`, else the default, unless given. */
  readonly export?: string | undefined;
  readonly input?: InputForm | undefined;
  /** Seconds within which each question must be answered; 10, unless given. */
  readonly timeLimit?: number | undefined;
}

/** What a module says of its loss, beside the loss. */
export interface ModuleDescription {
  readonly parameters: number;
  readonly family?: string;
  readonly dialect?: string;
  readonly input?: string;
  readonly options?: Readonly<Record<string, number | string>>;
}

/** What the worker posts. */
export type Message =
  | { readonly kind: 'ready'; readonly description: ModuleDescription }
  | { readonly kind: 'answer'; readonly answer: Answer }
  | { readonly kind: 'threw'; readonly message: string }
  | { readonly kind: 'unauditable'; readonly message: string };

/**
 * A loss in a module, which runs in a thread of its own: a loop without end, `process.exit` and what is printed are kept there. Node only; of
 * TypeScript, what Node itself can run.
 * @param path of an ES module that exports the loss, and may export `family`, `dialect`, `options` and `input`.
 * @throws Unauditable where it cannot be loaded, or has no such export.
 */
export async function moduleSubject(
  path: string,
  { export: name, input, timeLimit = 10 }: ModuleOptions = {},
): Promise<{ readonly subject: Subject; readonly description: ModuleDescription }> {
  const [{ Worker }, { pathToFileURL }, { resolve }] = await Promise.all([
    import('node:worker_threads'),
    import('node:url'),
    import('node:path'),
  ]);
  const own = import.meta.url.endsWith('.ts') ? './moduleWorker.ts' : './moduleWorker.js';
  const url = pathToFileURL(resolve(path)).href;
  const worker: Worker = new Worker(new URL(own, import.meta.url), { workerData: { url, name, input }, stdout: true, stderr: true });
  let waiting: { resolve: (message: Message) => void; reject: (error: Error) => void } | null = null;
  let ended: Unauditable | null = null;
  let printed = '';
  const keep = (chunk: Uint8Array): void => {
    printed = (printed + new TextDecoder().decode(chunk)).slice(-2000);
  };
  worker.stdout.on('data', keep);
  worker.stderr.on('data', keep);
  const fail = (message: string): void => {
    ended ??= new Unauditable(message);
    waiting?.reject(ended);
  };
  worker.on('message', (message: Message) => waiting?.resolve(message));
  worker.on('error', (error) => fail(`the module failed: ${error instanceof Error ? error.message : String(error)}`));
  worker.on('exit', (code) => fail(`the loss ended its process (code ${code})`));

  const next = async (post: () => void, what: string, limit: number): Promise<Message> => {
    if (ended) throw ended;
    const message = new Promise<Message>((resolve, reject) => {
      waiting = { resolve, reject };
    });
    post();
    try {
      return await within(message, limit * 1000, what);
    } catch (error) {
      ended ??= error instanceof Unauditable ? error : new Unauditable(String(error));
      await worker.terminate();
      throw ended;
    } finally {
      waiting = null;
    }
  };

  const ready = await next(() => undefined, 'the module', Math.max(timeLimit, 30));
  if (ready.kind !== 'ready') {
    await worker.terminate();
    throw new Unauditable(ready.kind === 'answer' ? 'the module answered before it was asked' : ready.message);
  }
  const { description } = ready;
  const subject: Subject = {
    title: `${path}${name === undefined ? '' : `, ${name}`}`,
    parameters: description.parameters,
    ask: async (question) => {
      const message = await next(() => worker.postMessage(question), 'the loss', timeLimit);
      if (message.kind === 'answer') return message.answer;
      if (message.kind === 'threw') throw new LossError(message.message);
      throw new Unauditable(message.kind === 'unauditable' ? message.message : 'the module began anew');
    },
    remarks: () => (printed.trim() === '' ? [] : [`the loss prints, as '${printed.trim().split('\n').at(-1)!.slice(0, 80)}'`]),
    close: async () => {
      ended ??= new Unauditable('the audit is over');
      await worker.terminate();
    },
  };
  return { subject, description };
}
