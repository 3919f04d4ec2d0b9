import { TensegrityError } from '../../errors.ts';

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
  run(call: Call): Promise<void>;
  /** Ends the threads; a plan that is running fails. */
  dispose(): void;
}

/** What Node's and the web's workers have in common. */
interface Member {
  post(message: unknown): void;
  /** Called with null for done, or a fault. */
  listen(reply: (fault: string | null) => void): void;
  /** Whether the process must stay for its sake. */
  hold(needed: boolean): void;
  end(): void;
}

/** A worker's whole program: it makes its own instance of the module on the common memory, and answers each call with null or a fault. */
const PROGRAM = `
const port = globalThis.process?.getBuiltinModule?.('node:worker_threads').parentPort ?? globalThis;
let kernels;
const receive = async (message) => {
  try {
    if (message.module) kernels = (await WebAssembly.instantiate(message.module, { env: { memory: message.memory } })).exports;
    else kernels.run(...message);
    port.postMessage(null);
  } catch (error) {
    port.postMessage(String(error));
  }
};
if (port.on) port.on('message', receive);
else port.onmessage = ({ data }) => receive(data);
`;

type NodeThreads = typeof import('node:worker_threads');

function nodeThreads(): NodeThreads | undefined {
  // Asked for at run time, so that bundlers for browsers find no import to resolve.
  return typeof process === 'undefined' ? undefined : (process.getBuiltinModule?.('node:worker_threads') as NodeThreads | undefined);
}

function hire(): Member {
  const node = nodeThreads();
  if (node) {
    const worker = new node.Worker(PROGRAM, { eval: true });
    worker.unref();
    return {
      post: (message) => worker.postMessage(message),
      listen: (reply) => {
        worker.on('message', reply);
        worker.on('error', (error) => reply(String(error)));
        worker.on('exit', (code) => reply(`the thread ended with code ${code}`));
      },
      hold: (needed) => (needed ? worker.ref() : worker.unref()),
      end: () => void worker.terminate(),
    };
  }
  const address = URL.createObjectURL(new Blob([PROGRAM], { type: 'text/javascript' }));
  const worker = new Worker(address);
  return {
    post: (message) => worker.postMessage(message),
    listen: (reply) => {
      worker.onmessage = ({ data }) => reply(data as string | null);
      worker.onerror = ({ message }) => reply(message);
    },
    hold: () => undefined,
    end: () => {
      worker.terminate();
      URL.revokeObjectURL(address);
    },
  };
}

/** How many threads there are to have: the cores, or 1 where memory cannot be shared. */
export function availableThreads(): number {
  const isolated = (globalThis as { crossOriginIsolated?: boolean }).crossOriginIsolated ?? true;
  if (typeof SharedArrayBuffer === 'undefined' || !isolated) return 1;
  if (nodeThreads()) return process.getBuiltinModule('node:os').availableParallelism();
  return typeof Worker === 'undefined' ? 1 : (globalThis.navigator?.hardwareConcurrency ?? 1);
}

/** Word of the barrier that tells the others that one has failed. */
const ABORT = 2;

/** Starts `threads` workers on one memory. @throws TensegrityError `backend` where they do not start. */
export async function createTeam(module: WebAssembly.Module, memory: WebAssembly.Memory, threads: number): Promise<Team> {
  const members = Array.from({ length: threads }, hire);
  let failure: string | null = null;
  let waiting: { left: number; settle: () => void; barrier: number } | null = null;

  const fail = (fault: string): void => {
    failure ??= fault;
    if (waiting?.barrier) {
      const words = new Int32Array(memory.buffer, waiting.barrier, ABORT + 1);
      Atomics.store(words, ABORT, 1);
      Atomics.notify(words, 1);
    }
    waiting?.settle();
  };
  for (const member of members) {
    member.listen((fault) => {
      if (fault !== null) fail(fault);
      else if (waiting && --waiting.left === 0) waiting.settle();
    });
  }
  const all = async (messages: readonly unknown[], barrier: number): Promise<void> => {
    if (failure === null) {
      await new Promise<void>((settle) => {
        waiting = { left: threads, settle, barrier };
        members.forEach((member, i) => {
          member.hold(true);
          member.post(messages[i]);
        });
      });
      waiting = null;
      for (const member of members) member.hold(false);
    }
    if (failure !== null) {
      for (const member of members) member.end();
      throw new TensegrityError(
        'backend',
        `a thread of the wasm backend failed (${failure}); call useBackend('wasm') for a new one, with { threads: 1 } if it happens again`,
      );
    }
  };
  await all(
    members.map(() => ({ module, memory })),
    0,
  );
  return {
    run: ({ commands, end, bases, workspaces, barrier }) =>
      all(
        members.map((_, thread) => [commands, end, bases, workspaces[thread], thread, threads, barrier]),
        barrier,
      ),
    dispose: () => {
      failure ??= 'it was disposed of';
      for (const member of members) member.end();
      waiting?.settle();
    },
  };
}
