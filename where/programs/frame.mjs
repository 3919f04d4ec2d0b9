/** What a page or a frame can do: it says so to the server that it came from, as one line. */
import { compile, randn, useBackend } from 'tensegrity';
import { compute } from './compute.mjs';

const said = [];
console.warn = (message) => said.push(message);
let workers = 0;
if (globalThis.Worker) {
  globalThis.Worker = class extends Worker {
    constructor(...parameters) {
      super(...parameters);
      workers++;
    }
  };
}

/** A product that is worth threads. */
async function work(options) {
  try {
    const { threads, name } = await useBackend('wasm', options);
    const square = compile((x) => x.matmul(x).sum());
    await (await square(randn([512, 512], { key: 1 }))).item();
    return `${name}, ${threads === 1 ? 'one thread' : 'threads'}, ${workers > 0 ? 'workers' : 'no worker'}`;
  } catch (error) {
    return `${error.name} ${error.code}: ${error.message}`;
  }
}

async function report() {
  const { bits } = await compute({ threads: 1 });
  return [
    crossOriginIsolated ? 'isolated' : 'not isolated',
    `by default: ${await work({})}`,
    `asked for two: ${await work({ threads: 2 })}`,
    `said: ${said.length === 0 ? 'nothing' : said.join(' / ')}`,
    bits,
  ].join('; ');
}

report()
  .catch((error) => `it failed: ${error.stack}`)
  .then((line) => fetch(new URL('/report', import.meta.url), { method: 'POST', mode: 'no-cors', body: line }));
