let queue: Promise<unknown> = Promise.resolve();

/**
 * Runs a task when those asked for before it are done: plans run one at a time, in the order of the calls, and memory that a plan may be
 * reading is given back only after it.
 */
export function inTurn<T>(task: () => T | Promise<T>): Promise<T> {
  const result = queue.then(task);
  queue = result.catch(() => undefined);
  return result;
}
