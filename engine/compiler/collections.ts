/** What keeps the passes near-linear in the size of the graph. */

/** Adds to the list that a map has under `key`. */
export function append<Key, Value>(map: Map<Key, Value[]>, key: Key, value: Value): void {
  const list = map.get(key);
  if (list) list.push(value);
  else map.set(key, [value]);
}

/** A binary heap: gives what comes first, whatever the order in which it was added. */
export class Heap<T> {
  readonly #items: T[] = [];
  readonly #before: (a: T, b: T) => boolean;

  constructor(before: (a: T, b: T) => boolean) {
    this.#before = before;
  }

  get first(): T | undefined {
    return this.#items[0];
  }

  push(item: T): void {
    const items = this.#items;
    let at = items.length;
    for (let up = (at - 1) >> 1; at > 0 && this.#before(item, items[up]!); up = (at - 1) >> 1) {
      items[at] = items[up]!;
      at = up;
    }
    items[at] = item;
  }

  pop(): T | undefined {
    const items = this.#items;
    const first = items[0];
    const last = items.pop()!;
    if (items.length === 0) return first;
    let at = 0;
    for (;;) {
      let down = 2 * at + 1;
      if (down + 1 < items.length && this.#before(items[down + 1]!, items[down]!)) down++;
      if (down >= items.length || !this.#before(items[down]!, last)) break;
      items[at] = items[down]!;
      at = down;
    }
    items[at] = last;
    return first;
  }
}

/** How much of a graph one question may look at: an answer that is further away is worth less than its search. */
const MOST_STEPS = 2048;

/**
 * Tells whether one kernel needs another, of kernels in an order in which they can run. Merging two, or making one wait for a later one, ties together
 * all that lies between; what lies before everything that is tied to a kernel cannot need it, and is not looked at.
 */
export class Reach {
  /** For each place, itself or one that it is tied to before it. */
  readonly #tied: number[] = [];

  /** The first place that is tied to this one. */
  #start(place: number): number {
    const tied = this.#tied;
    let at = place;
    for (let next = tied[at] ?? at; next !== at; next = tied[at] ?? at) {
      tied[at] = tied[next] ?? next;
      at = next;
    }
    return at;
  }

  tie(from: number, to: number): void {
    for (let at = this.#start(to); at > from; at = this.#start(at)) this.#tied[at] = at - 1;
  }

  /**
   * Whether one of `from` is `goal`, or needs it; yes, too, where that would take too long to find out.
   * @param needs what a kernel needs at once.
   */
  reaches<T>(from: Iterable<T>, goal: T, needs: (kernel: T) => Iterable<T>, placeOf: (kernel: T) => number): boolean {
    const first = this.#start(placeOf(goal));
    const seen = new Set<T>();
    const stack: T[] = [];
    const look = (kernels: Iterable<T>): void => {
      for (const kernel of kernels) {
        if (seen.has(kernel) || placeOf(kernel) < first) continue;
        seen.add(kernel);
        stack.push(kernel);
      }
    };
    look(from);
    for (let kernel = stack.pop(); kernel !== undefined; kernel = stack.pop()) {
      if (kernel === goal || seen.size > MOST_STEPS) return true;
      look(needs(kernel));
    }
    return false;
  }
}
