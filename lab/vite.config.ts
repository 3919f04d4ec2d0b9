import { createHash } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { defineConfig, type Plugin } from 'vite';
import { embedded } from './embedded.ts';

const built = fileURLToPath(new URL('../dist/', import.meta.url));
export const root = fileURLToPath(new URL('.', import.meta.url));

export const alias = [
  // The built package, since what its package.json says of side effects is said of built files.
  { find: /^tensegrity$/, replacement: `${built}engine/index.js` },
  { find: /^tensegrity\/core$/, replacement: `${built}engine/core.js` },
  { find: /^tensegrity\/models$/, replacement: `${built}models/index.js` },
  { find: /^tensegrity\/models\/core$/, replacement: `${built}models/core.js` },
];

const isolation = { 'cross-origin-opener-policy': 'same-origin', 'cross-origin-embedder-policy': 'require-corp' };

/** What the page may do: nothing but run its own files. That no image leaves the browser is so held by the browser itself. */
const policy = [
  "default-src 'self'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "worker-src 'self' blob:",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' blob: data:",
  "connect-src 'self' blob: data:",
  "object-src 'none'",
  "base-uri 'none'",
  "form-action 'none'",
].join('; ');

const contentPolicy: Plugin = {
  name: 'content-policy',
  apply: 'build',
  transformIndexHtml: () => [
    { tag: 'meta', attrs: { 'http-equiv': 'Content-Security-Policy', content: policy }, injectTo: 'head-prepend' },
  ],
};

/** Tells the service worker what the page is made of: the files to keep, and a version that changes with them. */
const offline: Plugin = {
  name: 'offline',
  apply: 'build',
  generateBundle: {
    order: 'post',
    handler(_options, bundle) {
      const worker = bundle['serviceWorker.js'];
      if (worker?.type !== 'chunk') return;
      const files = Object.keys(bundle).filter((name) => name !== 'serviceWorker.js' && !name.endsWith('.map'));
      const digest = createHash('sha256');
      for (const name of files.sort()) {
        const each = bundle[name]!;
        digest.update(name).update(each.type === 'chunk' ? each.code : each.source);
      }
      const kept = JSON.stringify(['./', ...files.filter((name) => name !== 'index.html')]);
      worker.code = worker.code
        .replace('self.__FILES__', kept)
        .replace('self.__VERSION__', JSON.stringify(digest.digest('hex').slice(0, 12)));
    },
  },
};

export default defineConfig({
  root,
  base: './',
  plugins: [contentPolicy, embedded, offline],
  resolve: {
    alias,
  },
  worker: { format: 'es' },
  server: { headers: isolation },
  preview: { headers: isolation },
  build: {
    target: 'es2022',
    modulePreload: { polyfill: false },
    rolldownOptions: {
      input: {
        index: fileURLToPath(new URL('index.html', import.meta.url)),
        serviceWorker: fileURLToPath(new URL('page/serviceWorker.ts', import.meta.url)),
      },
      output: { entryFileNames: ({ name }) => (name === 'serviceWorker' ? '[name].js' : 'assets/[name]-[hash].js') },
    },
  },
});
