/** A worker: answers `/simd` and `/relaxed` with what that build computes, and `/forbidden` with what the platform did not allow. */
import { compute } from './computation.mjs';

/** The smallest module there is. */
const emptyModule = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);

const attempts = {
  // biome-ignore lint/security/noGlobalEval: it is what must fail.
  eval: () => globalThis.eval('1'),
  Function: () => new Function('return 1')(),
  'WebAssembly.Module': () => new WebAssembly.Module(emptyModule),
  'WebAssembly.compile': () => WebAssembly.compile(emptyModule),
  'WebAssembly.instantiate of bytes': () => WebAssembly.instantiate(emptyModule),
};

async function forbidden() {
  const names = [];
  for (const [name, attempt] of Object.entries(attempts)) {
    try {
      await attempt();
    } catch {
      names.push(name);
    }
  }
  return names;
}

export default {
  async fetch(request) {
    const asked = new URL(request.url).pathname.slice(1);
    try {
      return Response.json(asked === 'forbidden' ? await forbidden() : await compute(asked));
    } catch (error) {
      return new Response(`${error.stack}\ncaused by ${error.cause?.stack}`, { status: 500 });
    }
  },
};
