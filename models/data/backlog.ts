/** Items in the order in which they are wanted, and how far it has been gone through. */
interface Queue {
  readonly items: ArrayLike<number>;
  next: number;
}

/** One that somebody waits for: the first `met` of its items are done. */
interface Wait extends Queue {
  met: number;
  readonly resolve: () => void;
  readonly reject: (cause: unknown) => void;
}

const WAITING = 0;
const BEGUN = 1;
const DONE = 2;

/**
 * Work on items 0 … count − 1, each once, `width` of them at a time: those first that somebody waits for, then, while somebody has said that all will be
 * wanted, the others. It stands still when nobody wants anything. The first failure ends all of it, and is told to who waits, then or later.
 */
export class Backlog {
  readonly #work: (item: number) => Promise<void>;
  readonly #states: Uint8Array;
  readonly #waits = new Set<Wait>();
  readonly #orders = new Set<Queue>();
  readonly #rest: Queue;
  #free: number;
  #left: number;
  #failure: { readonly cause: unknown } | null = null;

  constructor(count: number, width: number, work: (item: number) => Promise<void>) {
    this.#work = work;
    this.#states = new Uint8Array(count);
    this.#rest = { items: Int32Array.from({ length: count }, (_, item) => item), next: 0 };
    this.#free = width;
    this.#left = count;
  }

  has(item: number): boolean {
    return this.#states[item] === DONE;
  }

  /** Resolves when these are done, which go before others. @throws what the work has failed with, unless they were done before. */
  async ready(items: ArrayLike<number>): Promise<void> {
    if (this.#left === 0) return;
    return new Promise((resolve, reject) => {
      this.#waits.add({ items, next: 0, met: 0, resolve, reject });
      this.#goOn();
    });
  }

  /** Goes on without being waited for, with these first, in their order, and then with all others, until it is disposed of. */
  ahead(items: ArrayLike<number>): Disposable {
    const order = { items, next: 0 };
    this.#orders.add(order);
    this.#goOn();
    return { [Symbol.dispose]: () => void this.#orders.delete(order) };
  }

  #goOn(): void {
    for (const wait of this.#waits) {
      while (wait.met < wait.items.length && this.has(wait.items[wait.met]!)) wait.met++;
      const met = wait.met === wait.items.length;
      if (met) wait.resolve();
      else if (this.#failure) wait.reject(this.#failure.cause);
      if (met || this.#failure) this.#waits.delete(wait);
    }
    while (this.#free > 0 && !this.#failure) {
      const item = this.#next();
      if (item === undefined) return;
      void this.#do(item);
    }
  }

  #next(): number | undefined {
    for (const queue of [...this.#waits, ...this.#orders, ...(this.#orders.size > 0 ? [this.#rest] : [])])
      while (queue.next < queue.items.length) {
        const item = queue.items[queue.next++]!;
        if (this.#states[item] === WAITING) return item;
      }
    return undefined;
  }

  async #do(item: number): Promise<void> {
    this.#states[item] = BEGUN;
    this.#free--;
    try {
      await this.#work(item);
      this.#states[item] = DONE;
      this.#left--;
    } catch (cause) {
      this.#failure ??= { cause };
    }
    this.#free++;
    this.#goOn();
  }
}
