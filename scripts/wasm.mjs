/** Packs a compiled module: engine/backends/wasm/unpack.ts says how, and why. */
import {
  CODE_COUNT,
  CODES,
  codeOf,
  FIRST_PREFIX,
  FUSED_BYTES,
  HEADS,
  LOCALS,
  MULTIPLY_ADD,
  MULTIPLY_SUBTRACT,
  PLAIN,
  ROUNDED_BYTES,
  TABLE,
  UNUSED,
} from '../engine/backends/wasm/unpack.ts';

/** What follows the codes of instructions: hints of alignment, numbers, bytes. A code that is not here is followed by nothing. */
const behind = {
  none: [0, 0, 0],
  heads: [0, 0, 0],
  locals: [0, 1, 0],
  plain: [0, 0, 0],
  types: [0, 1, 0],
  labels: [0, 1, 0],
  branches: [0, TABLE, 0],
  functions: [0, 1, 0],
  globals: [0, 1, 0],
  addresses: [1, 1, 0],
  pages: [0, 1, 0],
  integers: [0, 1, 0],
  longs: [0, 1, 0],
  floats: [0, 0, 4],
  doubles: [0, 0, 8],
  memories: [0, 2, 0],
  filled: [0, 1, 0],
  vectorAddresses: [1, 1, 0],
  vectors: [0, 0, 16],
  lanes: [0, 0, 1],
  laneAddresses: [1, 1, 1],
  fences: [0, 1, 0],
  // Their alignment is no hint.
  atomicAddresses: [0, 2, 0],
};
const kinds = Object.keys(behind);

/** First code, last code, and what follows. */
const codes = [
  [0x02, 0x04, 'types'],
  [0x0c, 0x0d, 'labels'],
  [0x0e, 0x0e, 'branches'],
  [0x10, 0x10, 'functions'],
  [0x20, 0x22, 'locals'],
  [0x23, 0x24, 'globals'],
  [0x28, 0x3e, 'addresses'],
  [0x3f, 0x40, 'pages'],
  [0x41, 0x41, 'integers'],
  [0x42, 0x42, 'longs'],
  [0x43, 0x43, 'floats'],
  [0x44, 0x44, 'doubles'],
  [codeOf(0xfc, 10), codeOf(0xfc, 10), 'memories'],
  [codeOf(0xfc, 11), codeOf(0xfc, 11), 'filled'],
  [codeOf(0xfd, 0), codeOf(0xfd, 11), 'vectorAddresses'],
  [codeOf(0xfd, 12), codeOf(0xfd, 13), 'vectors'],
  [codeOf(0xfd, 21), codeOf(0xfd, 34), 'lanes'],
  [codeOf(0xfd, 84), codeOf(0xfd, 91), 'laneAddresses'],
  [codeOf(0xfd, 92), codeOf(0xfd, 93), 'vectorAddresses'],
  [codeOf(0xfe, 0), codeOf(0xfe, 2), 'atomicAddresses'],
  [codeOf(0xfe, 3), codeOf(0xfe, 3), 'fences'],
  [codeOf(0xfe, 16), codeOf(0xfe, 78), 'atomicAddresses'],
];

const VECTOR = 0x7b;

/** LEB128. */
function written(number) {
  const bytes = [];
  for (let rest = number; ; rest = Math.floor(rest / 128)) {
    bytes.push((rest % 128) + (rest < 128 ? 0 : 128));
    if (rest < 128) return bytes;
  }
}

class Reader {
  constructor(bytes, at = 0) {
    Object.assign(this, { bytes, at });
  }

  number() {
    for (let [value, scale] = [0, 1]; ; scale *= 128) {
      const byte = this.bytes[this.at++];
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  }

  list(element) {
    return Array.from({ length: this.number() }, element);
  }
}

function* sectionsOf(module) {
  for (const reader = new Reader(module, 8); reader.at < module.length; ) {
    const start = reader.at;
    const id = module[reader.at++];
    const length = reader.number();
    yield { id, start, at: reader.at, end: reader.at + length };
    reader.at += length;
  }
}

/** How many parameters each function has. */
function parametersOf(module, sections) {
  const read = (id, element) => {
    const reader = new Reader(module, sections.find((section) => section.id === id).at);
    return reader.list(() => element(reader));
  };
  const types = read(1, (reader) => {
    reader.at++;
    const [parameters] = [0, 0].map(() => reader.list(() => reader.at++).length);
    return parameters;
  });
  return read(3, (reader) => types[reader.number()]);
}

/** @returns its bytes, and what `unpack` must know of them. */
export function pack(module) {
  const sections = [...sectionsOf(module)];
  const parameters = parametersOf(module, sections);
  const code = sections.find(({ id }) => id === 10);
  const streams = kinds.map(() => []);
  const table = new Array(CODE_COUNT).fill(CODES);
  for (const [first, last, kind] of codes) table.fill(kinds.indexOf(kind), first, last + 1);
  const instructions = [];

  const reader = new Reader(module, code.at);
  const heads = reader.list(() => 0);
  for (const k of heads.keys()) {
    const end = reader.number() + reader.at;
    const groups = reader.list(() => [reader.number(), module[reader.at++]]);
    const local = parameters[k] + groups.reduce((sum, [count]) => sum + count, 0);
    const start = reader.at;
    let multiplyAdds = 0;
    while (reader.at < end) {
      const first = module[reader.at++];
      const instruction = first < FIRST_PREFIX ? first : codeOf(first, reader.number());
      instructions.push(instruction);
      if (instruction === MULTIPLY_ADD || instruction === MULTIPLY_SUBTRACT) {
        if (local > 126) throw new Error(`function ${k} has ${local} locals, and a multiply-add in it takes another below 128`);
        multiplyAdds += 1;
        streams[LOCALS].push(local);
        continue;
      }
      const [hints, numbers, bytes] = behind[kinds[table[instruction]]];
      // A hint of 64 or more says that a number follows it: of another memory.
      for (let rest = hints; rest > 0; rest--) if (reader.number() >= 64) throw new Error(`function ${k} knows of several memories`);
      const operands = reader.at;
      for (let rest = numbers === TABLE ? reader.number() + 1 : numbers; rest > 0; rest--) reader.number();
      reader.at += bytes;
      streams[table[instruction]].push(...module.subarray(operands, reader.at));
    }
    if (multiplyAdds > 0) groups.push([2, VECTOR]);
    const types = [...written(groups.length), ...groups.flatMap(([count, type]) => [...written(count), type])];
    const size = types.length + end - start + multiplyAdds * (ROUNDED_BYTES - FUSED_BYTES);
    heads[k] = { size, bytes: [...written(size), ...types] };
  }
  const used = [...new Set(instructions)].sort((a, b) => a - b);
  if (used.length > UNUSED) throw new Error(`the module uses ${used.length} instructions, and a byte tells ${UNUSED} apart`);
  const ranks = new Map(used.map((code, rank) => [code, rank]));
  streams[CODES] = instructions.map((code) => ranks.get(code));
  streams[HEADS] = heads.flatMap(({ bytes }) => bytes);
  const count = written(heads.length);
  const length = heads.reduce((sum, { size }) => sum + written(size).length + size, count.length);
  const before = [...module.subarray(0, code.start), 10, ...written(length), ...count];
  const after = module.subarray(code.end);
  streams[PLAIN] = [...before, ...after];
  return {
    bytes: Uint8Array.from([...table.map((stream, code) => (ranks.has(code) ? stream : UNUSED)), ...streams.flat()]),
    packing: {
      size: before.length - count.length + length + after.length,
      start: before.length,
      functions: heads.length,
      streams: streams.map((stream, k) => [stream.length, ...behind[kinds[k]]]),
    },
  };
}
