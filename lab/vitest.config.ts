import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const built = fileURLToPath(new URL('../dist/', import.meta.url));

export default defineConfig({
  root: fileURLToPath(new URL('.', import.meta.url)),
  resolve: {
    alias: [
      { find: /^tensegrity$/, replacement: `${built}engine/index.js` },
      { find: /^tensegrity\/core$/, replacement: `${built}engine/core.js` },
      { find: /^tensegrity\/models$/, replacement: `${built}models/index.js` },
      { find: /^tensegrity\/models\/core$/, replacement: `${built}models/core.js` },
    ],
  },
  test: {
    include: ['{test,training}/**/*.test.ts'],
    // One browser at a time: there are two cores.
    maxWorkers: 1,
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
