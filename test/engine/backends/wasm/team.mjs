/**
 * What becomes of a process with threads, for team.test.ts to run on every Node: the named scenario of the built package. Each must end by itself,
 * with nothing left that holds the process.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import os from 'node:os';
import workers from 'node:worker_threads';
import { compile, randn, TensegrityError, tensor, useBackend } from 'tensegrity';

const Sound = workers.Worker;
/** The workers that there have been, in the order of their making. */
let made = [];

/** From now on workers are made by `make`, a constructor's arguments to a worker; `number` counts from 0. */
function hireBy(make) {
  made = [];
  // A constructor may give another object than its own.
  workers.Worker = function Worker(program, options) {
    const worker = make(made.length, program, options);
    made.push(worker);
    return worker;
  };
}
const sound = (_number, program, options) => new Sound(program, options);
hireBy(sound);

/** Workers, the second of which runs `fault` when it is to run a plan. The names are those of the program in worker.ts. */
const faulty = (fault) => (number, program, options) => {
  const own = `const receive = port.onmessage; port.onmessage = (event) => { if (event.data.module) receive(event); else { ${fault} } };`;
  return new Sound(number === 1 ? `${program};${own}` : program, options);
};

/** A plan of many commands, so that threads meet again and again, on what threads are woken for. */
const many = (x) => {
  let y = x;
  for (let i = 0; i < 40; i++) y = y.add(x.sum(0)).tanh();
  return y.sum();
};
const big = randn([700, 900], { key: 1 });

async function result() {
  const plan = compile(many);
  const value = await (await plan(big)).item();
  plan.dispose();
  return value;
}

/** That a plan fails with an error that names the fault and the remedy, and that a new backend gives what is right. */
async function mendable(what, fault, right) {
  await assert.rejects(
    result(),
    (error) => {
      assert.ok(error instanceof TensegrityError, `${what}: ${error.stack}`);
      assert.equal(error.code, 'backend');
      assert.match(error.message, fault);
      assert.match(error.message, /useBackend\('wasm'\).*\{ threads: 1 \}/);
      return true;
    },
    what,
  );
  // It stays broken, and says so again at once.
  await assert.rejects(result(), fault, what);
  hireBy(sound);
  await useBackend('wasm', { threads: 3 });
  assert.equal(await result(), right, what);
}

const scenarios = {
  /** Threads that fail while they run a plan, the others being on their way to the barrier or asleep in it. */
  async running() {
    await useBackend('wasm', { threads: 1 });
    const right = await result();
    const asleep = (fault) => `setTimeout(() => { ${fault} }, 50);`;
    const faults = [
      ['exit', 'process.exit(5);', /ended with code 5/],
      ['late exit', asleep('process.exit(5);'), /ended with code 5/],
      ['throw', `throw new Error('boom');`, /boom/],
      ['late throw', asleep(`throw new Error('boom');`), /boom/],
      // A workspace beyond the end of memory: a trap in its first command.
      ['trap', 'event.data[3] = -65536; receive(event);', /RuntimeError/],
      ['late trap', asleep('event.data[3] = -65536; receive(event);'), /RuntimeError/],
    ];
    for (const [what, fault, message] of faults) {
      await useBackend('wasm', { threads: 3 });
      hireBy(faulty(fault));
      await mendable(what, message, right);
    }
    await useBackend('wasm', { threads: 3 });
    hireBy(faulty('globalThis.kept = event;'));
    const failing = mendable('terminated', /ended with code 1/, right);
    while (made.length < 3) await new Promise(setImmediate);
    await once(made[1], 'online');
    setTimeout(() => made[1]?.terminate(), 50);
    await failing;
  },

  /** Threads that do not start, and one that is lost while it has nothing to do. */
  async starting() {
    await useBackend('wasm', { threads: 1 });
    const right = await result();
    const refuse = (number, program, options) => {
      if (number === 1) throw new Error('no more threads');
      return new Sound(program, options);
    };
    // The team that stays silent is not waited for; the sound one after it is.
    let impatient = false;
    const patient = globalThis.setTimeout;
    globalThis.setTimeout = (callback, delay, ...parameters) => {
      const shortens = impatient && delay === 30_000;
      if (shortens) impatient = false;
      return patient(callback, shortens ? 500 : delay, ...parameters);
    };
    const starts = [
      ['refused', refuse, /no more threads/],
      ['throws', (number, program, options) => new Sound(number === 1 ? `throw new Error('bad start')` : program, options), /bad start/],
      ['exits', (number, program, options) => new Sound(number === 1 ? 'process.exit(9)' : program, options), /ended with code 9/],
      // Some platforms say nothing of a worker beyond their limit.
      [
        'silent',
        (number, program, options) => new Sound(number === 1 ? 'setInterval(() => {}, 1000)' : program, options),
        /not ready within/,
      ],
      ['no JavaScript', (number, program, options) => new Sound(number === 1 ? '}{' : program, options), /SyntaxError/],
    ];
    for (const [what, make, message] of starts) {
      impatient = what === 'silent';
      const broken = await useBackend('wasm', { threads: 3 });
      hireBy(make);
      await mendable(what, message, right);
      // Nor is disposing of what never started an unhandled rejection.
      broken.dispose();
    }
    const [, idle] = made;
    idle.terminate();
    await once(idle, 'exit');
    await mendable('lost while idle', /ended with code/, right);
  },

  /** Disposed of while a plan runs, before any has, and after. */
  async disposed() {
    const unused = await useBackend('wasm', { threads: 2 });
    unused.dispose();
    const outcomes = [];
    for (const wait of [0, 1, 5, 25, 50, 100]) {
      const backend = await useBackend('wasm', { threads: 2 });
      const outcome = result().then(
        (value) => (Number.isFinite(value) ? 'done' : value),
        (error) => (error instanceof TensegrityError ? error.code : error.stack),
      );
      await new Promise((resolve) => setTimeout(resolve, wait));
      backend.dispose();
      outcomes.push(await outcome);
    }
    // What was asked for first is served, also before its threads had started.
    assert.deepEqual(new Set(outcomes), new Set(['done']));
    const backend = await useBackend('wasm', { threads: 2 });
    await result();
    backend.dispose();
    await assert.rejects(result(), { code: 'disposed' });
  },

  /** A program that asked for a plan and awaits nothing stays until it is done. */
  async awaited() {
    await useBackend('wasm', { threads: 2 });
    result().then((value) => console.log(Number.isFinite(value) ? 'done' : value));
  },

  async exit() {
    await useBackend('wasm', { threads: 4 });
    await result();
    result();
    setTimeout(() => process.exit(7), 10);
  },

  async uncaught() {
    await useBackend('wasm', { threads: 4 });
    result();
    setTimeout(() => {
      throw new Error('of the program');
    }, 10);
  },

  /** Threads without work wait for it asleep. The bound is half of what one that spins would use. */
  async idle() {
    await useBackend('wasm', { threads: 4 });
    await result();
    const before = process.cpuUsage();
    await new Promise((resolve) => setTimeout(resolve, 1000));
    const { user, system } = process.cpuUsage(before);
    assert.ok((user + system) / 1e6 < 0.5, `idle threads used ${(user + system) / 1e6} s of a second`);
  },

  /** A process that may not start threads: Node's permission model, switched on by the test. */
  async forbidden() {
    await useBackend('wasm', { threads: 1 });
    const right = await result();
    await useBackend('wasm', { threads: 2 });
    await assert.rejects(result(), { name: 'TensegrityError', code: 'backend', message: /ERR_ACCESS_DENIED|restricted/ });
    await useBackend('wasm', { threads: 1 });
    assert.equal(await result(), right);
  },

  /** As many threads as cores, unless told; one where memory cannot be shared. */
  async defaults() {
    assert.equal((await useBackend('wasm')).threads, Math.min(64, os.availableParallelism()));
    os.availableParallelism = () => 200;
    assert.equal((await useBackend('wasm')).threads, 64);
    const { Memory } = WebAssembly;
    WebAssembly.Memory = class extends Memory {
      constructor(limits) {
        if (limits.shared) throw new RangeError('no addresses left');
        super(limits);
      }
    };
    assert.equal((await useBackend('wasm')).threads, 1);
    await assert.rejects(useBackend('wasm', { threads: 2 }), { code: 'backend', message: /\{ threads: 1 \}/ });
    WebAssembly.Memory = Memory;
    delete globalThis.SharedArrayBuffer;
    assert.equal((await useBackend('wasm')).threads, 1);
    assert.deepEqual([...(await tensor([1, 2]).add(1).data())], [2, 3]);
    await result();
    assert.equal(made.length, 0);
    await assert.rejects(useBackend('wasm', { threads: 2 }), { code: 'backend', message: /SharedArrayBuffer.*\{ threads: 1 \}/ });
  },
};

await scenarios[process.argv[2]]();
