import { TensegrityError } from '../../errors.ts';
import { nodeModule } from './platform.ts';
import { workerProgram } from './worker.ts';

/** The arguments of the module's `run`, but for the thread's number: see wasm/index.ts. */
export interface Call {
  readonly commands: number;
  readonly end: number;
  readonly bases: number;
  /** One for each thread. */
  readonly workspaces: readonly number[];
  readonly barrier: number;
}

/** Threads that run plans together. The thread that asks never waits on an atomic, only for messages. */
export interface Team {
  /** @throws TensegrityError `backend` when a thread fails, once all of them have ended; `disposed` when disposed of meanwhile. */
  run(call: Call): Promise<void>;
  /** Ends the threads; a plan that is running fails. */
  dispose(): void;
}

/** What Node's and the web's workers have in common. */
interface Member {
  /** Throws what the platform throws for a message that cannot be copied. */
  post(message: unknown): void;
  /** Called with null for done, or a fault. */
  listen(reply: (fault: string | null) => void): void;
  /** Whether the process must stay for its sake. */
  hold(needed: boolean): void;
  /** Resolves when it has ended, where the platform says so. */
  end(): unknown;
}

type NodeThreads = typeof import('node:worker_threads');

const nodeThreads = (): NodeThreads | undefined => nodeModule<NodeThreads>('node:worker_threads');

/** @param file where the program lies, for pages that allow no worker but from files. */
function hire(file?: string): Member {
  const node = nodeThreads();
  if (node) {
    // What the user's program is run with (loaders, hooks, its environment) is not for these.
    const worker = new node.Worker(workerProgram, { eval: true, execArgv: [], env: {} });
    worker.unref();
    return {
      post: (message) => worker.postMessage(message),
      listen: (reply) => {
        worker.on('message', reply);
        for (const event of ['messageerror', 'error']) worker.on(event, (error) => reply(String(error)));
        worker.on('exit', (code) => reply(`it ended with code ${code}`));
      },
      hold: (needed) => (needed ? worker.ref() : worker.unref()),
      end: () => worker.terminate(),
    };
  }
  const address = file ?? URL.createObjectURL(new Blob([workerProgram], { type: 'text/javascript' }));
  const worker = new Worker(address);
  return {
    post: (message) => worker.postMessage(message),
    listen: (reply) => {
      worker.onmessage = ({ data }) => reply(data as string | null);
      worker.onmessageerror = () => reply('it could not be read');
      // One that a page's security policy forbids, or that is not there, has no message.
      worker.onerror = ({ message }) =>
        reply(
          message ||
            `the page forbids it; its Content-Security-Policy needs worker-src blob:, or { worker: a copy of tensegrity/wasm/worker.js }`,
        );
    },
    hold: () => undefined,
    end: () => {
      worker.terminate();
      if (file === undefined) URL.revokeObjectURL(address);
    },
  };
}

/** Why threads cannot have a memory in common here; null where they can. */
export function whyNotShared(): string | null {
  if (nodeThreads()) return typeof SharedArrayBuffer === 'undefined' ? 'this process has no SharedArrayBuffer' : null;
  if (typeof Worker === 'undefined') return 'this platform has no workers';
  // Without isolation there are shared memories, but no message takes them to a worker.
  const { crossOriginIsolated, self, top } = globalThis as { crossOriginIsolated?: boolean; self?: unknown; top?: unknown };
  if (crossOriginIsolated) return null;
  // A worker has no `top`; a frame's own headers do not isolate it.
  const [what, also, more] =
    top === undefined || top === self
      ? ['page', '', '']
      : ['frame', ' and the page around it', '; in a sandbox or from another origin also <iframe allow="cross-origin-isolated">'];
  return `this ${what} is not cross-origin isolated (serve it${also} with Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp${more})`;
}

/** The cores there are, as far as the platform says. Some count more of them than they have. */
export function cores(): number {
  return nodeThreads() ? process.getBuiltinModule('node:os').availableParallelism() : (globalThis.navigator?.hardwareConcurrency ?? 1);
}

/** Word of the barrier that tells the others that one has failed. */
const ABORT = 2;
/** Milliseconds in which threads must be ready. Some platforms let workers beyond their limit wait, and say nothing. */
const START = 30_000;

/**
 * Starts `threads` workers on one memory. When one fails all are ended, and every later run fails as that one did.
 * @throws TensegrityError `backend` where they do not start.
 */
export async function createTeam(module: WebAssembly.Module, memory: WebAssembly.Memory, threads: number, file?: string): Promise<Team> {
  const members: Member[] = [];
  let stopped: TensegrityError | null = null;
  let ended: Promise<unknown> | null = null;
  let waiting: { left: number; settle: () => void; barrier: number } | null = null;

  const stop = (error: TensegrityError): void => {
    if (stopped) return;
    stopped = error;
    if (waiting?.barrier) {
      const words = new Int32Array(memory.buffer, waiting.barrier, ABORT + 1);
      Atomics.store(words, ABORT, 1);
      Atomics.notify(words, 1);
    }
    ended = Promise.all(members.map((member) => member.end()));
    waiting?.settle();
  };
  const fail = (fault: string): void => {
    const alone = threads > 1 ? ', with { threads: 1 } if it happens again' : '';
    stop(
      new TensegrityError(
        'backend',
        `a thread of the wasm backend failed: ${fault}. Call useBackend('wasm') for a new backend${alone}; slots that the plan was updating may hold parts of the update, so load your last checkpoint`,
        { threads, fault },
      ),
    );
  };
  const all = async (messages: readonly unknown[], barrier: number): Promise<void> => {
    if (stopped === null) {
      await new Promise<void>((settle) => {
        waiting = { left: threads, settle, barrier };
        for (const [i, member] of members.entries()) {
          member.hold(true);
          try {
            member.post(messages[i]);
          } catch (error) {
            fail(String(error));
          }
        }
      });
      waiting = null;
      if (stopped === null) for (const member of members) member.hold(false);
    }
    if (stopped !== null) {
      // Until then they may write to the memory that slots are read from.
      await ended;
      throw stopped;
    }
  };

  try {
    while (members.length < threads) members.push(hire(file));
  } catch (error) {
    fail(String(error));
  }
  for (const member of members) {
    member.listen((fault) => {
      if (fault !== null) fail(fault);
      else if (waiting && --waiting.left === 0) waiting.settle();
    });
  }
  const late = setTimeout(() => fail(`it was not ready within ${START / 1000} seconds`), START);
  await all(
    members.map(() => ({ module, memory })),
    0,
  ).finally(() => clearTimeout(late));
  return {
    run: ({ commands, end, bases, workspaces, barrier }) =>
      all(
        members.map((_, thread) => [commands, end, bases, workspaces[thread], thread, threads, barrier]),
        barrier,
      ),
    dispose: () =>
      stop(
        new TensegrityError('disposed', 'the wasm backend was disposed of while it ran a plan; create another with createWasmBackend()'),
      ),
  };
}
