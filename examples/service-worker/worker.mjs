/**
 * A service worker may not import while it runs, so it takes the engine without backends, and the one that it uses: the bundle is one file without
 * an import. `npx esbuild worker.mjs --bundle --format=esm --outfile=service-worker.js`
 */
import { createWasmBackend } from 'tensegrity/backends/wasm';
import { tensor, useBackend } from 'tensegrity/core';

const ready = createWasmBackend({ threads: 1 }).then((backend) => useBackend(backend));

addEventListener('install', () => skipWaiting());
addEventListener('activate', (event) => event.waitUntil(clients.claim()));
addEventListener('message', (event) => {
  event.waitUntil(
    ready.then(async () => {
      const { query, items } = event.data;
      const scores = tensor(items)
        .matmul(tensor([query]).transpose())
        .flatten();
      event.source.postMessage(await scores.array());
    }),
  );
});
