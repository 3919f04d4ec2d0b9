/** Saved plans from anywhere: bytes that are none are refused with words, and what is accepted runs in its own memory. `TENSEGRITY_RUNS=25000` tries so many of each kind. */
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import type { BufferSpec, Plan } from '../../../engine/compiler/plan.ts';
import { planFaults } from '../../../engine/compiler/validate.ts';
import { workOf } from '../../../engine/compiler/work.ts';
import { dtypes, type HostArray, type TypedArray } from '../../../engine/dtype.ts';
import { TensegrityError } from '../../../engine/errors.ts';
import { compile, slot, tensor, useBackend, zeros } from '../../../engine/index.ts';
import { aligned, bytesOf, dtypeOf, HEAD, type Header, type StoredArray, VERSION, write } from '../../../engine/plan/format.ts';
import { loadPlan } from '../../../engine/plan/load.ts';
import { open } from '../../../engine/plan/open.ts';
import { fileOf } from '../../../engine/plan/save.ts';
import { sizeOf } from '../../../engine/shape.ts';
import { propertyTogether } from '../../support/property.ts';
import { runOn } from '../backends/wasm/shares.ts';
import { basePlans, type Mutant, mutants, mutate } from '../compiler/mutants.ts';
import { reference } from '../support.ts';
import { array } from './support.ts';

const RUNS = Number(process.env['TENSEGRITY_RUNS'] ?? 400);
const HOUR = 3_600_000;

/** A plan of the compiler as a file would have it, with one or two plans. */
function headerOf(plans: readonly Plan[]): Header {
  const [slots, constants]: [Header['slots'][number][], StoredArray[]] = [[], []];
  const all = plans.map((plan) => {
    const specs = (numbers: readonly number[]) => numbers.map((k) => ({ dtype: plan.buffers[k]!.dtype, shape: [plan.buffers[k]!.length] }));
    const place = (into: StoredArray[], numbers: readonly number[]): number[] =>
      specs(numbers).map(({ dtype, shape }) => into.push({ ...(into === slots && { name: `s${into.length}` }), stored: dtype, shape }) - 1);
    return {
      arguments: specs(plan.inputs),
      inputs: plan.inputs.map((_, k) => k),
      constants: place(constants, plan.constants),
      slots: place(slots, plan.slots),
      outputs: specs(plan.outputs),
      result: { list: plan.outputs.map((_, k) => k) },
      plan,
    };
  });
  return { slots, constants, plans: all };
}

const plans = basePlans(30, 11);
const bases = plans.map((plan, k) => headerOf(k % 3 === 0 ? [plan, plans[(k + 1) % plans.length]!] : [plan]));

/** Small whole numbers, as all that is bound to plans here. */
function values(dtype: BufferSpec['dtype'], length: number, seed: number): TypedArray {
  return dtypes[dtype].allocate(length).map((_: number, i: number) => (i * 7 + seed) % 5) as TypedArray;
}

function fileOfHeader(header: Header): Uint8Array {
  const arrays = [...header.slots, ...header.constants].map((stored, k) => {
    const { buffer } = stored.stored === 'f16' ? new Uint16Array(sizeOf(stored.shape)) : values(dtypeOf(stored), sizeOf(stored.shape), k);
    return new Uint8Array(buffer);
  });
  return fileOf(header, arrays);
}

/** The header changed as text can be, in a file whose arrays are those of the sound one. */
function withHeader(base: Header, drawn: Mutant): Uint8Array | null {
  const changed = mutate([base], drawn);
  try {
    const text = JSON.stringify(changed, (key, value) => (Array.isArray(value) && value.length > 1e5 ? [] : write(key, value)));
    // Half of them with arrays that fit the changed header, as far as it says what they are.
    if (drawn.base % 2 === 0) {
      const parsed = JSON.parse(text) as Header;
      const stored = [...parsed.slots, ...parsed.constants];
      if (stored.every((each) => bytesOf(each) < 1e6))
        return fileOf(
          changed as Header,
          stored.map((each) => new Uint8Array(bytesOf(each))),
        );
    }
    const arrays = fileOfHeader(base);
    const start = HEAD + new DataView(arrays.buffer).getUint32(12, true);
    const encoded = new TextEncoder().encode(text);
    const padded = new Uint8Array(aligned(encoded.length)).fill(32);
    padded.set(encoded);
    const file = new Uint8Array(HEAD + padded.length + arrays.length - start);
    file.set(arrays.subarray(0, HEAD));
    new DataView(file.buffer).setUint32(12, padded.length, true);
    file.set(padded, HEAD);
    file.set(arrays.subarray(start), HEAD + padded.length);
    return file;
  } catch {
    // Not every value has a text.
    return null;
  }
}

const noted = new Map<string, number>();
const note = (what: string): null => {
  noted.set(what, (noted.get(what) ?? 0) + 1);
  return null;
};

const MOST = 1e6;
function isLarge(plan: Plan): boolean {
  const views = plan.kernels.flatMap(({ inputs, outputs }) => [...inputs, ...outputs]);
  const shapes = [...views, ...plan.kernels.flatMap((kernel) => ('shape' in kernel ? [kernel] : []))];
  const bytes = [plan.arenaBytes, ...plan.buffers.map(({ length, dtype }) => length * dtypes[dtype].bytes)];
  const work = plan.kernels.map(workOf).flatMap(({ flops, bytes: moved }) => [flops, moved]);
  return [...shapes.map(({ shape }) => sizeOf(shape)), ...bytes, ...work].some((amount) => !(amount <= MOST));
}

/** What is wrong with how bytes are taken, or null. */
async function faultOf(file: Uint8Array | null): Promise<string | null> {
  if (!file) return note('has no text');
  const before = file.slice();
  let held: ReturnType<typeof open>;
  try {
    held = open(file);
  } catch (error) {
    if (!(error instanceof TensegrityError) || error.code !== 'format') return `threw ${(error as Error).stack}`;
    return note('refused');
  } finally {
    if (!file.every((byte, i) => byte === before[i])) note('changed');
  }
  if (held.plans.some(({ plan }) => isLarge(plan))) return note('accepted, too large to run here');
  try {
    for (const { plan, constants, slots } of held.plans) {
      if (planFaults(plan).length > 0) return 'a plan that is none was accepted';
      const bound = (numbers: readonly number[]): TypedArray[] =>
        numbers.map((number, k) => values(plan.buffers[number]!.dtype, plan.buffers[number]!.length, k));
      if (JSON.stringify(plan).includes('"f64"')) note('of f64');
      else
        runOn(3, plan, bound(plan.inputs), {
          constants: constants.map((k) => held.constants[k]!.data),
          slots: slots.map((k) => held.slots[k]!.data),
        });
    }
    const loaded = await loadPlan(file, { backend: reference });
    for (const signature of loaded.signatures) {
      if (signature.some(({ shape }) => sizeOf(shape) > MOST)) continue;
      await loaded(...signature.map(({ dtype, shape }, k): HostArray => ({ dtype, shape, data: values(dtype, sizeOf(shape), k) })));
    }
    loaded.dispose();
    return note('accepted, ran');
  } catch (error) {
    if (error instanceof TensegrityError && error.code === 'backend') return note('accepted, refused by a backend');
    return `what was accepted: ${(error as Error).stack}`;
  }
}

async function tried<T>(arbitrary: fc.Arbitrary<T>, make: (drawn: T) => Uint8Array | null): Promise<void> {
  noted.clear();
  await propertyTogether([arbitrary], RUNS, async (draws) => {
    const faults: (string | null)[] = [];
    for (const [drawn] of draws) faults.push(await faultOf(make(drawn)));
    return faults;
  });
  if (process.env['TENSEGRITY_RUNS']) console.log(Object.fromEntries(noted));
  expect(noted.get('changed')).toBeUndefined();
}

const choice = fc.nat(2 ** 30);
type Damage = readonly (readonly [where: number, what: number])[];
const damages: fc.Arbitrary<readonly [number, Damage]> = fc.tuple(
  choice,
  fc.array(fc.tuple(choice, choice), { minLength: 1, maxLength: 4 }),
);

const words = [0, 1, 8, 0x7f, 0xff, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff];
const ways: readonly ((file: Uint8Array, where: number, what: number) => Uint8Array)[] = [
  (file, where, what) => file.with(where, what & 255),
  (file, where) => file.slice(0, where),
  (file, where, what) =>
    Uint8Array.from([...file.subarray(0, where), ...file.subarray(where, where + (what % 64)), ...file.subarray(where)]),
  (file, where, what) => Uint8Array.from([...file.subarray(0, where), ...file.subarray(where + (what % 64))]),
  (file, where, what) => {
    const copy = file.slice();
    const at = Math.min(where % 2 ? where : where % HEAD, copy.length - 4);
    new DataView(copy.buffer).setUint32(at, words[what % words.length]!, true);
    return copy;
  },
  // A digit, where there is one: most of a header is numbers.
  (file, where, what) => {
    const at = file.findIndex((byte, i) => i >= where && byte >= 48 && byte <= 57);
    return at < 0 ? file : file.with(at, 48 + (what % 10));
  },
];

function damaged([base, damage]: readonly [number, Damage]): Uint8Array {
  let file = fileOfHeader(bases[base % bases.length]!);
  for (const [where, what] of damage)
    if (file.length > 4) file = ways[what % ways.length]!(file, where % file.length, Math.floor(what / ways.length));
  return file;
}

describe('saved plans from anywhere', () => {
  beforeAll(async () => void (await useBackend(reference)));

  it('come from files that are sound', async () => {
    for (const base of bases) expect(await faultOf(fileOfHeader(base))).toBeNull();
    expect(noted.get('refused')).toBeUndefined();
  });

  it('with bytes changed, taken out and put in are refused in words, or run in their own memory', () => tried(damages, damaged), HOUR);

  it(
    'with a header that another wrote are refused in words, or run in their own memory',
    async () => {
      await tried(mutants, (drawn) => withHeader(bases[drawn.base % bases.length]!, drawn));
      expect(noted.get('accepted, ran')).toBeGreaterThan(0);
    },
    HOUR,
  );

  const small = async (): Promise<Uint8Array> => {
    const w = slot(array('f32', [2], [1, 2]), 'w');
    return compile((x) => x.mul(w.value).add(tensor([3, 4]))).save([[zeros([2])]]);
  };
  const refused = async (bytes: Uint8Array, message: RegExp): Promise<void> =>
    void (await expect(loadPlan(bytes, { backend: reference })).rejects.toMatchObject({
      code: 'format',
      message: expect.stringMatching(message),
    }));

  it('cut off anywhere are incomplete', async () => {
    const file = await small();
    for (let length = 0; length < file.length; length++)
      await refused(file.subarray(0, length), /no saved plan|ends within its head|ends at byte|end at byte/);
    await refused(Uint8Array.from([...file, 0]), /end at byte \d+, and \d+ are there/);
    await refused(new Uint8Array(100), /no saved plan, which begins with 'TSGPLANS'/);
  });

  it('of another version say so, and what to do', async () => {
    const file = await small();
    new DataView(file.buffer).setUint32(8, VERSION + 1, true);
    await refused(file, new RegExp(`version ${VERSION + 1}, and this tensegrity reads version ${VERSION}: save it anew`));
  });

  it('that claim what is not there allocate nothing for it', async () => {
    const claims = (change: (header: Header) => unknown): Uint8Array => {
      const header = structuredClone(bases[0]!);
      change(header);
      return fileOf(header, []);
    };
    const first = (header: Header): { shape: number[] } => [...header.slots, ...header.constants][0] as unknown as { shape: number[] };
    await refused(
      claims((header) => (first(header).shape = [2 ** 40])),
      /are not those of the file|end at byte|counted/,
    );
    await refused(
      claims((header) => (first(header).shape = [2 ** 50, 2 ** 50])),
      /counted/,
    );
    const deep = `${'['.repeat(1e5)}0${']'.repeat(1e5)}`;
    const text = JSON.stringify({ ...bases[1], plans: 0 }, write).replace('"plans":0', `"plans":${deep}`);
    const bytes = new Uint8Array(aligned(HEAD + text.length)).fill(32);
    bytes.set(fileOf(bases[1]!, []).subarray(0, HEAD));
    bytes.set(new TextEncoder().encode(text), HEAD);
    new DataView(bytes.buffer).setUint32(12, bytes.length - HEAD, true);
    await refused(bytes, /damaged|threw|not a valid plan/);
  });

  it('are taken as any bytes: of a larger buffer, of memory that threads share, and never anything else', async () => {
    const file = await small();
    const x = array('f32', [2], [1, 1]);
    const shared = new Uint8Array(new SharedArrayBuffer(file.length + 3)).subarray(3);
    shared.set(file);
    for (const bytes of [shared, Buffer.from(file), file.buffer as ArrayBuffer, new DataView(file.buffer)])
      expect(await (await loadPlan(bytes, { backend: reference }))(x)).toEqual(array('f32', [2], [4, 6]));
    for (const other of [undefined, 'bytes', [1], new Float32Array(2)])
      await expect(loadPlan(other as unknown as Uint8Array)).rejects.toMatchObject({ code: 'argument' });
  });
});
