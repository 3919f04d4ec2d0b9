/** What browser.test.ts has pages do. Each function is one page's work. */
import { backend, compile, randn, TensegrityError, tensor, useBackend } from 'tensegrity';
import { train } from './computation.mjs';

/** The error of a task, as a program sees it. */
async function errorOf(task) {
  try {
    await task();
    return 'none';
  } catch (error) {
    return { typed: error instanceof TensegrityError, code: error.code, message: error.message };
  }
}

/** Has a plan run that takes some tenths of a second, and counts what else the page's thread did in the meantime. */
async function ticksDuring(options) {
  const used = await useBackend('wasm', options);
  const long = compile((x) => {
    let y = x;
    for (let i = 0; i < 8; i++) y = y.matmul(x).tanh();
    return y.sum();
  });
  const x = randn([640, 640], { key: 1 });
  await (await long(x)).item();
  let ticks = 0;
  const timer = setInterval(() => ticks++, 1);
  await (await long(x)).item();
  clearInterval(timer);
  long.dispose();
  used.dispose();
  return ticks;
}

/** Runs short plans one after the other, until the page's thread has done something else or they are many. */
async function ticksBetween(options) {
  const used = await useBackend('wasm', options);
  const short = compile((x) => x.add(1));
  let ticks = 0;
  const timer = setInterval(() => ticks++, 1);
  let x = tensor([1, 2, 3]);
  for (let i = 0; i < 100_000 && ticks < 5; i++) x = await short(x);
  clearInterval(timer);
  short.dispose();
  used.dispose();
  return ticks;
}

/** Workers that are started, so that tests can count them. */
function watchWorkers() {
  const started = [];
  globalThis.Worker = class extends Worker {
    constructor(...parameters) {
      super(...parameters);
      this.address = parameters[0];
      started.push(this);
    }
  };
  return started;
}

export async function isolated() {
  const started = watchWorkers();
  const used = await useBackend('wasm');
  const defaults = { threads: used.threads, cores: navigator.hardwareConcurrency, isolated: crossOriginIsolated };
  const bits = {};
  const workers = {};
  for (const threads of [1, 2, 3]) {
    const before = started.length;
    bits[threads] = await train({ threads });
    workers[threads] = started.length - before;
  }
  const before = started.length;
  await useBackend('wasm', { threads: 1 });
  await tensor([1, 2]).add(1).data();
  return { defaults, bits, workers, workersForShortPlan: started.length - before };
}

export async function responsive() {
  return { one: await ticksDuring({ threads: 1 }), two: await ticksDuring({ threads: 2 }), short: await ticksBetween({ threads: 2 }) };
}

export async function plain() {
  const used = await useBackend('wasm');
  return {
    defaults: { threads: used.threads, isolated: crossOriginIsolated },
    bits: await train({}),
    two: await errorOf(() => useBackend('wasm', { threads: 2 })),
    short: await ticksBetween({}),
  };
}

export async function workerless() {
  return { bits: await train({ threads: 1 }), two: await errorOf(() => train({ threads: 2 })), after: await train({ threads: 1 }) };
}

/** What is warned of while a task runs. */
async function warned(task) {
  const said = [];
  const { warn } = console;
  console.warn = (message) => said.push(message);
  try {
    return { result: await task(), said };
  } finally {
    console.warn = warn;
  }
}

export async function blobless() {
  const worker = '/isolated/dist/wasm/worker.js';
  const started = watchWorkers();
  const unasked = await warned(async () => ({ bits: await train({}), threads: (await backend()).threads }));
  return {
    unasked,
    two: await errorOf(() => train({ threads: 2 })),
    fromFile: { bits: await train({ threads: 2, worker }), workers: started.filter(({ address }) => address === worker).length },
    absent: await errorOf(() => train({ threads: 2, worker: '/nowhere.js' })),
  };
}

export async function wasmless() {
  return warned(async () => ({ values: await tensor([1, 2]).add(1).array(), name: (await backend()).name }));
}

/** A thread throws while the others wait for it at the barrier, and another backend is made. */
export async function failing() {
  const Sound = Worker;
  let count = 0;
  globalThis.Worker = class extends Sound {
    constructor(url) {
      const program = `
        importScripts(${JSON.stringify(url)});
        const received = onmessage;
        onmessage = (event) => {
          if (event.data.module) received(event);
          else throw new Error('pulled the plug');
        };`;
      super(++count === 2 ? URL.createObjectURL(new Blob([program], { type: 'text/javascript' })) : url);
    }
  };
  const failed = await errorOf(() => train({ threads: 3 }));
  return { failed, after: await train({ threads: 3 }) };
}

/** What a page says in its output, in a frame. */
export async function page(address) {
  const frame = document.createElement('iframe');
  frame.src = address;
  document.documentElement.append(frame);
  for (;;) {
    const text = frame.contentDocument?.querySelector('output')?.textContent;
    if (text && text !== '…') return text;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** What a service worker answers. */
export async function serviceWorker({ address, request }) {
  const registration = await navigator.serviceWorker.register(address, { type: 'module' });
  while (!registration.active) await new Promise((resolve) => setTimeout(resolve, 20));
  return new Promise((resolve) => {
    navigator.serviceWorker.onmessage = ({ data }) => resolve(data);
    navigator.serviceWorker.startMessages();
    registration.active.postMessage(request);
  });
}
