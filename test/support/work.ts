/** Counts what code does with collections, which does not depend on the machine as time does. */

type Method = (this: unknown, ...args: unknown[]) => unknown;

const walking = [
  ...[
    'map',
    'filter',
    'flatMap',
    'forEach',
    'reduce',
    'some',
    'every',
    'find',
    'findIndex',
    'findLast',
    'findLastIndex',
    'includes',
    'indexOf',
  ],
  ...[
    'lastIndexOf',
    'slice',
    'splice',
    'concat',
    'join',
    'sort',
    'toSorted',
    'reverse',
    'toReversed',
    'entries',
    'keys',
    'values',
    Symbol.iterator,
  ],
];

/**
 * How many elements `run` walks over at most, how often it looks something up, and how often it adds something: a method of an array counts the array's
 * length, one of a map or set counts one, and walking or copying one of these counts its size. Nothing else may run in the meantime.
 */
export function workOf(run: () => void): number {
  let work = 0;
  const restore: (() => void)[] = [];
  const patch = (prototype: object, name: PropertyKey, cost: (self: unknown) => number): void => {
    const descriptor = Object.getOwnPropertyDescriptor(prototype, name)!;
    const method = descriptor.value as Method;
    const counted = function (this: unknown, ...args: unknown[]): unknown {
      work += cost(this);
      return Reflect.apply(method, this, args);
    };
    Object.defineProperty(prototype, name, { ...descriptor, value: counted });
    restore.push(() => Object.defineProperty(prototype, name, descriptor));
  };
  const lengthOf = (self: unknown): number => (self as { length: number }).length;
  const sizeOf = (self: unknown): number => (self as { size: number }).size;
  try {
    for (const name of walking) patch(Array.prototype, name, lengthOf);
    for (const name of ['push', 'pop']) patch(Array.prototype, name, () => 1);
    for (const prototype of [Map.prototype, Set.prototype]) {
      for (const name of ['has', 'delete', ...(prototype === Map.prototype ? ['get', 'set'] : ['add'])]) patch(prototype, name, () => 1);
      for (const name of ['forEach', 'keys', 'values', 'entries', Symbol.iterator]) patch(prototype, name, sizeOf);
    }
    run();
  } finally {
    for (const undo of restore.reverse()) undo();
  }
  return work;
}
