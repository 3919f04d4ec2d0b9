/** When threads start that nobody asked for: not for work that is done before they are there. */
import threads from 'node:worker_threads';
import { afterEach, describe, expect, it } from 'vitest';
import { createWasmBackend, type WasmOptions } from '../../../../engine/backends/wasm/index.ts';
import { cores } from '../../../../engine/backends/wasm/team.ts';
import { type Compiled, compile, randn, type Tensor, useBackend, zeros } from '../../../../engine/index.ts';
import { reference } from '../../support.ts';

const { Worker } = threads;
let started = 0;
const counting = class extends Worker {
  constructor(...given: ConstructorParameters<typeof Worker>) {
    super(...given);
    started++;
  }
};

type Square = Compiled<[Tensor], Tensor>;

async function on(options: WasmOptions, body: (f: Square) => Promise<void>): Promise<void> {
  started = 0;
  threads.Worker = counting;
  const backend = await createWasmBackend(options);
  await useBackend(backend);
  const f = compile((x: Tensor) => x.matmul(x));
  await body(f);
  f.dispose();
  await useBackend(reference);
  backend.dispose();
}

describe.runIf(cores() > 1)('threads that nobody asked for', () => {
  afterEach(() => {
    threads.Worker = Worker;
  });

  it('do not start for small work, and start once there was much of it, with the same bits', () =>
    on({}, async (f) => {
      const x = randn([128, 128], { key: 1 });
      const first = await (await f(x)).data();
      expect(started).toBe(0);
      // 4.2 million operations each.
      for (let call = 0; call < 490; call++) (await f(x)).dispose();
      expect(started).toBe(cores());
      expect(await (await f(x)).data()).toEqual(first);
    }));

  it('start before the first run of a large plan, and where they were asked for', async () => {
    await on({}, async (f) => {
      await f.plan(zeros([1024, 1024]));
      expect(started).toBe(cores());
    });
    await on({ threads: 2 }, async (f) => {
      await f.plan(zeros([128, 128]));
      expect(started).toBe(2);
    });
  });
});
