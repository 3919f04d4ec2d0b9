/** What the devices of a program exchange, from the text of what XLA compiled. */

/** Of one kind, as `all-reduce`. */
export interface Collectives {
  readonly count: number;
  /** Of the results on one device, all together. */
  readonly bytes: number;
}

/** `%name = f32[8,4]{1,0} all-reduce(…` or, of several arrays at once, `%name = (f32[], f32[8]{0}) all-reduce(…`; of one in two parts the second has the result. */
const instruction = / = (.*?) (all-reduce|all-gather|reduce-scatter|all-to-all|collective-permute)(?:-done)?\(/;
const array = /\b(pred|[sufb]\w*?(\d+)\w*)\[([\d,]*)\]/g;

function bytesOf(shapes: string): number {
  let bytes = 0;
  for (const [, type, bits, dimensions] of shapes.matchAll(array)) {
    const elements = dimensions === '' ? 1 : dimensions!.split(',').reduce((product, n) => product * Number(n), 1);
    bytes += Math.ceil((elements * (type === 'pred' ? 8 : Number(bits))) / 8);
  }
  return bytes;
}

/** The collectives of a compiled program by their kinds. One within a loop counts once. */
export function collectivesOf(program: string): ReadonlyMap<string, Collectives> {
  const found = new Map<string, Collectives>();
  for (const line of program.split('\n')) {
    const [, shapes, kind] = instruction.exec(line) ?? [];
    if (shapes === undefined || kind === undefined) continue;
    const { count, bytes } = found.get(kind) ?? { count: 0, bytes: 0 };
    found.set(kind, { count: count + 1, bytes: bytes + bytesOf(shapes) });
  }
  return found;
}
