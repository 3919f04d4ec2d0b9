let queue: Promise<unknown> = Promise.resolve();

/** Milliseconds after which the event loop gets its turn. */
const SPELL = 20;
/** Not at the edge, where a request that is called off while it rests would keep all others waiting. */
const edge = globalThis.navigator?.userAgent === 'Cloudflare-Workers' || 'EdgeRuntime' in globalThis;
let rested = performance.now();

/**
 * Runs a task when those asked for before it are done: plans run one at a time, in the order of the calls, and memory that a plan may be
 * reading is given back only after it. Now and then it rests first: nothing is finalized while a program only awaits what is there.
 */
export function inTurn<T>(task: () => T | Promise<T>): Promise<T> {
  const result = queue.then(() => (edge || performance.now() - rested < SPELL ? task() : rest().then(task)));
  queue = result.catch(() => undefined);
  return result;
}

// Those that were there first: what tests put in their place does not go off by itself.
const { setImmediate, MessageChannel, setTimeout } = globalThis;

/** Lets the event loop turn, once. */
export async function rest(): Promise<void> {
  await new Promise<void>((resolve) => {
    if (setImmediate) setImmediate(resolve);
    else if (MessageChannel) {
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = () => {
        port1.close();
        resolve();
      };
      port2.postMessage(null);
    } else setTimeout(resolve);
  });
  rested = performance.now();
}
