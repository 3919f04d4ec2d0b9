/**
 * Dawn for Node asks whether its GPU is done at every turn of the event loop: with a CPU that plays the GPU, on a core that this one needs. Once a
 * millisecond is enough, and halves the time that such tests take of the machine.
 */
const { setImmediate: soon } = globalThis;
const isDawns = (callback: unknown): boolean => /\{\s*\[native code\]\s*\}$/.test(Function.prototype.toString.call(callback));

globalThis.setImmediate = Object.assign(
  (...given: Parameters<typeof soon>) => (isDawns(given[0]) ? setTimeout(given[0], 1) : soon(...given)) as unknown as NodeJS.Immediate,
  soon,
);
