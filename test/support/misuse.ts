/** Calls that plain JavaScript may make: what comes is a typed error, or a result, and never a raw TypeError. */
import { expect } from 'vitest';
import { TensegrityError, Tensor, zeros } from '../../engine/index.ts';

/** What nobody should give, and what may be right in another place. */
const junk: readonly unknown[] = [undefined, null, 3, Number.NaN, 'x', {}, [], () => 0, [1, 'a'], { x: 1 }, zeros([2, 3]), [3]];

/** Calls with one wrong argument among right ones, or fewer than there should be. */
function* calls(right: readonly unknown[]): Generator<readonly unknown[]> {
  for (let length = 0; length < right.length; length++) yield right.slice(0, length);
  for (const [at] of right.entries()) for (const wrong of junk) yield right.with(at, wrong);
  for (const wrong of junk) yield [...right, wrong];
}

/** What a call throws, at once or later; null where it does not. */
export async function errorOf(action: () => unknown): Promise<unknown> {
  try {
    await action();
  } catch (error) {
    return error;
  }
  return null;
}

async function raw(call: () => unknown): Promise<unknown> {
  const error = await errorOf(async () => {
    const result = await call();
    if (typeof result !== 'object' || result === null) return;
    if (Symbol.iterator in result) [...(result as Iterable<unknown>)];
    if (Symbol.asyncIterator in result) for await (const _ of result as AsyncIterable<unknown>);
  });
  return error instanceof TensegrityError ? null : error;
}

/** Calls a function with its right arguments, but for one that is junk, missing, or too many. */
export async function expectTyped(name: string, call: (args: readonly unknown[]) => unknown, right: readonly unknown[]): Promise<void> {
  for (const args of [...calls(right), ...(right.length === 0 ? junk.map((value) => [value]) : [])]) {
    const error = await raw(() => call(args));
    expect(
      error,
      `${name}(${args.map((value) => (value instanceof Tensor ? 'Tensor' : JSON.stringify(value)) ?? String(value)).join(', ')}): ${error instanceof Error ? error.stack : ''}`,
    ).toBeNull();
  }
}
