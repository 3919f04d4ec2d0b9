/** Slots in several places count once, slots in every kind of place are found, and those that cannot be found are an error. */
import { createContext, runInContext } from 'node:vm';
import fc from 'fast-check';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { compile, grad, type HostArray, realize, Slot, slot, type Tensor, tensor, useBackend, zeros } from '../../../engine/index.ts';
import {
  Adam,
  AdamW,
  BatchNorm1d,
  Encoder,
  LARS,
  type Layer,
  Linear,
  MLP,
  Module,
  moveAverage,
  type Optimizer,
  Parameter,
  prefixesOf,
  readSlots,
  Sequential,
  SGD,
  SmallConvNet,
  writeSlots,
} from '../../../models/index.ts';
import { gpu } from '../../engine/backends/webgpu/gpu.ts';
import { property } from '../../support/property.ts';
import { expectError } from '../support.ts';

const one: HostArray = { dtype: 'f64', shape: [1, 1], data: Float64Array.of(1) };
const valued = (...data: number[]): HostArray => ({ dtype: 'f64', shape: [1, data.length], data: Float64Array.from(data) });
/** x·w of one number. */
const layer = (w: number): Linear => {
  const made = new Linear(1, 1, { key: 0, bias: false, dtype: 'f64' });
  made.weight.set(valued(w).data);
  return made;
};
const numberOf = async (from: Slot): Promise<number> => (await from.data())[0]!;
const names = (module: Module): string[] => [...module.namedSlots()].map(([name]) => name);
const through = (parts: readonly Layer[], x: Tensor): Tensor => new Sequential(parts).forward(x);

beforeAll(async () => {
  await useBackend('cpu');
});

/** A module that has its parts in `held`, and computes with `parts`. */
class Holder extends Module {
  readonly held: unknown;
  readonly parts: () => readonly Layer[];
  constructor(held: unknown, parts: () => readonly Layer[]) {
    super();
    this.held = held;
    this.parts = parts;
  }
  override forward(x: Tensor): Tensor {
    return through(this.parts(), x);
  }
}

describe('shared parameters', () => {
  it('are listed once, by the first name, and by every name in a state dict, as in PyTorch', async () => {
    const l = layer(2);
    const both = new Sequential([l, new Sequential([l]), l]);
    expect(both.parameters()).toEqual([l.weight]);
    expect(names(both)).toEqual(['0.weight']);
    expect([...(await both.stateDict())]).toEqual(['0.weight', '1.0.weight', '2.weight'].map((name) => [name, valued(2)]));
    const bn = new BatchNorm1d(1);
    expect(names(new Sequential([bn, bn]))).toEqual(['0.weight', '0.bias', '0.running_mean', '0.running_var']);
    expect(new Sequential([bn, bn]).namedBuffers().length).toBe(2);
  });

  it('are loaded by any of their names, or all, if these agree', async () => {
    const l = layer(2);
    const both = new Sequential([l, l]);
    for (const [state, expected] of [
      [{ '0.weight': valued(3) }, 3],
      [{ '1.weight': valued(4) }, 4],
      [{ '0.weight': valued(5), '1.weight': valued(5) }, 5],
    ] as const) {
      both.loadStateDict(state);
      expect(await numberOf(l.weight)).toBe(expected);
    }
    const torn = { '0.weight': valued(6), '1.weight': valued(7) };
    expectError(() => both.loadStateDict(torn), 'format', /0\.weight is one with 1\.weight here, and other numbers there/);
    expectError(() => both.loadStateDict({}), 'format', /missing: 0\.weight, 1\.weight/);
    expect(await numberOf(l.weight)).toBe(5);
    both.loadStateDict(await both.stateDict());
  });

  /** The weight w = 2 after a step along d(w²)/dw = 4 at rate .1. */
  async function stepped(optimizer: Optimizer<never>, w: Slot): Promise<number> {
    const x = tensor([[1]], { dtype: 'f64' });
    optimizer.step(grad(x.mul(w.value).mul(w.value).sum(), optimizer.parameters), 0.1);
    await realize();
    return numberOf(w);
  }
  type Make = (groups: readonly never[]) => Optimizer<never>;
  const makers = {
    SGD: (groups) => new SGD(groups, { learningRate: 1, weightDecay: 0.5 }),
    'SGD with momentum': (groups) => new SGD(groups, { learningRate: 1, momentum: 0.9 }),
    Adam: (groups) => new Adam(groups, { learningRate: 1 }),
    AdamW: (groups) => new AdamW(groups, { learningRate: 1 }),
    LARS: (groups) => new LARS(groups, { learningRate: 1 }),
  } as Record<string, (groups: readonly never[]) => unknown> as Record<string, Make>;

  it.each(Object.entries(makers))('are moved once by %s, however often they are listed', async (_, make) => {
    const moved = async (list: (w: Slot) => readonly unknown[]): Promise<number> => {
      const w = slot(valued(2), 'w');
      const optimizer = make(list(w) as readonly never[]);
      expect(optimizer.parameters).toEqual([w]);
      return stepped(optimizer, w);
    };
    const once = await moved((w) => [w]);
    expect(once).not.toBe(2);
    for (const list of [(w: Slot) => [w, w], (w: Slot) => [w, w, w], (w: Slot) => [{ parameters: [w, w] }]])
      expect(await moved(list)).toBe(once);
  });

  const backends = ['cpu', 'wasm', ...(gpu ? ['webgpu' as const] : [])] as const;
  it.each(backends)('move 2 → 1.6, as one, on %s', async (name) => {
    await useBackend(name === 'webgpu' ? gpu! : name);
    const l = new Linear(1, 1, { key: 0, bias: false });
    const net = new Sequential([l, l]);
    for (const list of [net.parameters(), [l.weight, l.weight]]) {
      const optimizer = new SGD(list, { learningRate: 0.1 });
      const step = (x: Tensor): Tensor => {
        const loss = net.forward(x).sum();
        optimizer.step(grad(loss, optimizer.parameters));
        return loss;
      };
      const compiled = compile(step);
      for (const run of [async (x: Tensor) => realize(step(x)), compiled]) {
        l.weight.set(Float32Array.of(2));
        await run(tensor([[1]]));
        expect(await numberOf(l.weight)).toBeCloseTo(1.6, 6);
      }
      compiled.dispose();
    }
    await useBackend('cpu');
  });

  it('in two groups are an error, and so is a list of none', () => {
    const [p, q] = [slot(one, 'p'), slot(one, 'q')];
    const rate = { learningRate: 1 };
    expectError(
      () => new SGD([{ parameters: [p] }, { parameters: [q, p] }], rate),
      'argument',
      /SGD: parameter p \[1, 1\] is in two groups/,
    );
    expectError(() => new Adam([p, { parameters: [p] }], rate), 'argument', /p \[1, 1\] is in two groups/);
    for (const none of [[], [{ parameters: [] }]]) expectError(() => new SGD(none, rate), 'argument', /no parameter to train/);
    expectError(() => new SGD([new Sequential([])] as never, rate), 'argument', /takes parameters and groups.*got a Module/);
    expectError(() => new SGD([{ parameters: [3] } as never], rate), 'argument', /a parameter is a slot, got 3/);
    expectError(
      () => new SGD([p, p], rate).step([zeros([1, 1], 'f64'), zeros([1, 1], 'f64')]),
      'argument',
      /optimizer\.parameters.*each once/,
    );
  });

  it('are averaged once', async () => {
    const [target, source, other] = [slot(valued(0), 'target'), slot(valued(1), 'source'), slot(valued(1), 'other')];
    moveAverage([target, target], [source, source], 0.5);
    await realize();
    expect(await numberOf(target)).toBe(0.5);
    expectError(() => moveAverage([target, target], [source, other], 0.5), 'argument', /target is a target with two sources/);
    expectError(() => moveAverage([target], [3 as never], 0.5), 'argument', /takes slots, got 3/);
  });

  it('need names of their own', async () => {
    const [p, q] = [slot(one, 'p'), slot(one, 'q')];
    await expect(
      readSlots([
        ['w', p],
        ['w', q],
      ]),
    ).rejects.toMatchObject({ code: 'argument', message: expect.stringMatching(/two slots are named w/) });
    expect(
      (
        await readSlots([
          ['w', p],
          ['w', p],
          ['v', p],
        ])
      ).size,
    ).toBe(2);
    expectError(
      () =>
        writeSlots(
          [
            ['w', p],
            ['w', q],
          ],
          { w: one },
          'x',
        ),
      'argument',
      /two slots are named w/,
    );
    const clash = new Holder({ fooBar: layer(1), foo_bar: layer(2) }, () => []);
    await expect(clash.stateDict()).rejects.toMatchObject({ message: expect.stringMatching(/two slots are named held\.foo_bar\.weight/) });
  });
});

describe('modules are found', () => {
  const places: Readonly<Record<string, readonly [hold: (a: Linear, b: Linear) => unknown, names: readonly string[]]>> = {
    'in an array': [(a, b) => [a, b], ['held.0.weight', 'held.1.weight']],
    'in arrays of arrays': [(a, b) => [[a], [[b]]], ['held.0.0.weight', 'held.1.0.0.weight']],
    'in a record': [(a, b) => ({ queryHead: a, key: b }), ['held.query_head.weight', 'held.key.weight']],
    'in a record without a prototype': [(a, b) => Object.assign(Object.create(null), { a, b }), ['held.a.weight', 'held.b.weight']],
    'in a map': [
      (a, b) =>
        new Map<unknown, Linear>([
          ['Query', a],
          [7, b],
        ]),
      ['held.Query.weight', 'held.7.weight'],
    ],
    'in a set': [(a, b) => new Set([a, b]), ['held.0.weight', 'held.1.weight']],
    'among other things': [
      (a, b) => [null, 'x', a, new Float32Array(3), undefined, { b, c: [() => b] }],
      ['held.2.weight', 'held.5.b.weight'],
    ],
    'in an array of another realm': [
      (a, b) => runInContext('(a, b) => [a, { b }]', createContext({}))(a, b),
      ['held.0.weight', 'held.1.b.weight'],
    ],
    'in a map of another realm': [
      (a, b) => runInContext('(a, b) => new Map([["a", a], ["b", b]])', createContext({}))(a, b),
      ['held.a.weight', 'held.b.weight'],
    ],
    'as slots of their own': [(a, b) => [a.weight, { b: b.weight }], ['held.0', 'held.1.b']],
    'in a list that holds itself': [
      (a, b) => {
        const list: unknown[] = [a, b];
        list.push(list);
        return list;
      },
      ['held.0.weight', 'held.1.weight'],
    ],
  };

  it.each(Object.entries(places))('%s', async (_, [hold, expected]) => {
    const [a, b] = [layer(2), layer(3)];
    const holder = new Holder(hold(a, b), () => [a, b]);
    expect(names(holder)).toEqual(expected);
    expect(holder.parameters()).toEqual([a.weight, b.weight]);
    expect(await holder.forward(tensor([[1]], { dtype: 'f64' })).item()).toBe(6);
    const outer = new Sequential([holder]);
    expect(names(outer)).toEqual(expected.map((name) => `0.${name}`));
    outer.loadStateDict(await new Sequential([new Holder(hold(layer(5), layer(7)), () => [])]).stateDict());
    expect([await numberOf(a.weight), await numberOf(b.weight)]).toEqual([5, 7]);
  });

  it('as properties that are symbols, hidden from loops, or own getters', () => {
    const holder = new Holder(null, () => []);
    Object.defineProperty(holder, Symbol('head'), { value: layer(1) });
    Object.defineProperty(holder, 'tail', { get: () => shared });
    const shared = layer(2);
    expect(names(holder)).toEqual(['tail.weight', 'head.weight']);
  });

  it('beside the layers of a Sequential, an MLP and a SmallConvNet that a class extends', () => {
    class Headed extends Sequential {
      readonly head = layer(1);
    }
    expect(names(new Headed([layer(2)]))).toEqual(['0.weight', 'head.weight']);
    class WideHeaded extends MLP {
      readonly heads = [layer(1)];
    }
    expect(names(new WideHeaded([1, 1], { key: 0 }))).toEqual(['0.weight', '0.bias', 'heads.0.weight']);
    class Net extends SmallConvNet {
      readonly head = layer(1);
    }
    expect(names(new Net({ key: 0 })).at(-1)).toBe('head.weight');
  });

  it('where modules hold each other', () => {
    class Child extends Module {
      parent: Module | null = null;
      readonly own = layer(1);
      override forward(x: Tensor): Tensor {
        return this.own.forward(x);
      }
    }
    const child = new Child();
    const parent = new Holder([child, child], () => [child]);
    child.parent = parent;
    expect(names(parent)).toEqual(['held.0.own.weight']);
    expect(names(child)).toEqual(['own.weight']);
    expect(child.parameters()).toEqual([child.own.weight]);
  });

  it('where all hold each other, of whose state each slot has one name', async () => {
    const parts = Array.from({ length: 14 }, (_, i) => new Holder([layer(i)], () => []));
    for (const part of parts) (part.held as unknown[]).push(...parts);
    const state = await parts[3]!.stateDict();
    expect(state.size).toBe(14);
    parts[3]!.loadStateDict(state);
    expect([...state.keys()]).toEqual(names(parts[3]!));
  });

  it('in time that is linear where each shares the one below', () => {
    let shared: Module = layer(1);
    for (let depth = 0; depth < 40; depth++) shared = new Sequential([shared, shared]);
    expect(shared.parameters().length).toBe(1);
  });

  it('whatever is nested in whatever', () =>
    property(
      [
        fc.letrec<{ tree: unknown }>((tie) => ({
          tree: fc.oneof(
            { maxDepth: 4, withCrossShrink: true },
            fc.constant('leaf'),
            fc.array(tie('tree'), { maxLength: 3 }),
            fc.dictionary(fc.stringMatching(/^[a-c]$/), tie('tree'), { maxKeys: 3 }),
          ),
        })).tree,
      ],
      (tree) => {
        const made: Slot[] = [];
        const grown = (part: unknown): unknown => {
          if (part === 'leaf') return made[made.push(new Parameter(one, 'leaf')) - 1];
          return Array.isArray(part)
            ? part.map(grown)
            : Object.fromEntries(Object.entries(part as object).map(([key, inner]) => [key, grown(inner)]));
        };
        const holder = new Holder(grown(tree), () => []);
        expect(new Set(holder.parameters())).toEqual(new Set(made));
        expect(holder.parameters().length).toBe(made.length);
      },
    ));
});

describe('modules that cannot be found are an error where they are used', () => {
  const x = tensor([[1]], { dtype: 'f64' });
  class Hidden extends Module {
    readonly #inner = layer(2);
    readonly shown = layer(3);
    override forward(input: Tensor): Tensor {
      return this.shown.forward(this.#inner.forward(input));
    }
  }
  class Bare extends Module {
    readonly #weight = new Parameter(one, 'own weight');
    override forward(input: Tensor): Tensor {
      return input.mul(this.#weight.value);
    }
  }
  class Plain {
    readonly inner = layer(2);
  }
  const closed = layer(2);
  const plain = new Plain();
  class Field extends Module {
    readonly #inner = layer(2);
    override forward = (input: Tensor): Tensor => this.#inner.forward(input);
  }
  class Statistics extends Module {
    readonly #normal = new BatchNorm1d(1, { affine: false, dtype: 'f64' });
    override forward(input: Tensor): Tensor {
      return this.#normal.forward(input);
    }
  }
  const hiding: Readonly<Record<string, () => Module>> = {
    'in a private field': () => new Hidden(),
    'as private statistics': () => new Statistics(),
    'as a private parameter': () => new Bare(),
    'in a private field of a part': () => new Sequential([new Hidden()]),
    'behind a forward that is a field': () => {
      const field = new Field();
      expect(field.parameters()).toEqual([]);
      return field;
    },
    'in a closure': () => new Sequential([(input: Tensor) => closed.forward(input)]),
    'in an object that is no module': () => new Holder(plain, () => [plain.inner]),
    'in a weak map': () => new Holder(new WeakMap([[plain, closed]]), () => [closed]),
  };

  it.each(Object.entries(hiding))('%s', (_, make) => {
    const module = make();
    expectError(
      () => module.forward(x),
      'argument',
      /computes with .*, which is not among its parameters and buffers.*private field \(#x\).*members\(\)/,
    );
    // And the next call is no better.
    expectError(() => module.forward(x), 'argument', /neither trained nor saved/);
  });

  it('in an encoder, of whose feature map', () => {
    class Own extends Encoder {
      override readonly width = 1;
      readonly #inner = layer(2);
      override featureMap(input: Tensor): Tensor {
        return this.#inner.forward(input);
      }
    }
    for (const call of [(net: Encoder) => net.featureMap(x), (net: Encoder) => net.forward(x)])
      expectError(() => call(new Own()), 'argument', /Own: it computes/);
  });

  it('unless members() names them', async () => {
    class Named extends Module {
      readonly #inner = layer(2);
      protected override members(): readonly (readonly [string, unknown])[] {
        return [['inner', this.#inner]];
      }
      override forward(input: Tensor): Tensor {
        return this.#inner.forward(input);
      }
    }
    const named = new Named();
    expect(names(named)).toEqual(['inner.weight']);
    expect(await named.forward(x).item()).toBe(2);
  });

  it('and nothing else is: parts that come later, are exchanged, or run by themselves', async () => {
    const holder = new Holder([layer(2)], () => holder.held as Layer[]);
    expect(await holder.forward(x).item()).toBe(2);
    (holder.held as Layer[]).push(layer(5));
    expect(await holder.forward(x).item()).toBe(10);
    (holder.held as Layer[])[0] = layer(3);
    expect(await holder.forward(x).item()).toBe(15);
    const inner = layer(7);
    expect(await inner.forward(x).item()).toBe(7);
    // What throws inside leaves nothing behind.
    expect(() =>
      new Holder(null, () => [
        () => {
          throw new Error('x');
        },
      ]).forward(x),
    ).toThrow('x');
    expect(await inner.weight.value.sum().item()).toBe(7);
  });

  it('as those of another copy of the package', async () => {
    vi.resetModules();
    const other = await import('../../../models/index.ts');
    const foreign = new other.Linear(1, 1, { key: 0 });
    const copies = /of another copy of tensegrity.*npm ls tensegrity/;
    expectError(() => new Holder([foreign], () => []).parameters(), 'argument', copies);
    expectError(() => new Sequential([foreign as never]), 'argument', copies);
    expectError(() => new SGD(foreign.parameters() as never, { learningRate: 1 }), 'argument', copies);
    expectError(() => writeSlots(foreign.namedSlots() as never, {}, 'x'), 'argument', copies);
  });
});

describe('prefixes', () => {
  const state = (...all: string[]): Record<string, HostArray> => Object.fromEntries(all.map((name) => [name, one]));
  const net = (): Sequential => new Sequential([layer(2), new Sequential([layer(3)])]);
  const wanted = ['0.weight', '1.0.weight'];
  const under = (...prefixes: string[]): Record<string, HostArray> =>
    state(...prefixes.flatMap((prefix) => wanted.map((name) => prefix + name)));

  it('are found: those under which everything is', () => {
    expect(prefixesOf(under(''), wanted)).toEqual(['']);
    expect(prefixesOf(under('module.encoder_q.'), wanted)).toEqual(['module.encoder_q.']);
    expect(prefixesOf({ ...under('module.encoder_q.', 'module.encoder_k.'), ...state('module.queue') }, wanted)).toEqual([
      'module.encoder_q.',
      'module.encoder_k.',
    ]);
    expect(prefixesOf({ ...under('a.'), ...state('b.0.weight', 'a1.0.weight') }, wanted)).toEqual(['a.']);
    expect(prefixesOf(state('x0.weight', 'x1.0.weight'), wanted)).toEqual([]);
    expect(prefixesOf(new Map(Object.entries(under('', 'model.'))), wanted)).toEqual(['', 'model.']);
  });

  it('are taken off as an option, and named where they are missing', async () => {
    const [to, rest] = [net(), state('queue', 'module.encoder_k.0.weight')];
    to.loadStateDict({ ...under('module.encoder_q.'), ...rest }, { prefix: 'module.encoder_q.' });
    expect(await numberOf(to.parameters()[0]!)).toBe(1);
    expectError(() => to.loadStateDict({ ...under('q.'), ...state('q.more') }, { prefix: 'q.' }), 'format', /left over: more/);
    expectError(
      () => to.loadStateDict(under('module.')),
      'format',
      /all are there with the prefix 'module\.': give it as the option `prefix`/,
    );
    expectError(() => to.loadStateDict(under('a.', 'b.')), 'format', /the prefix 'a\.' or 'b\.'/);
    expectError(() => to.loadStateDict(state('module.net.0.weight', 'module.net.other')), 'format', /all names begin with 'module\.net\.'/);
  });

  it('are told of a map of another realm too', async () => {
    const map = runInContext('(entries) => new Map(entries)', createContext({}))(Object.entries(under('')));
    const to = net();
    to.loadStateDict(map);
    expect(await numberOf(to.parameters()[0]!)).toBe(1);
    expect(to.parameters().every((parameter) => parameter instanceof Slot)).toBe(true);
  });
});
