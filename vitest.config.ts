import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  resolve: {
    alias: { '#wasm-module': fileURLToPath(new URL('./engine/backends/wasm/module-inline.ts', import.meta.url)) },
  },
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/global-setup.ts', 'test/support/swiftshader.ts'],
    setupFiles: ['test/support/setup.ts'],
    // Both of the two cores that CI has: by default one is left to Vitest itself.
    maxWorkers: '100%',
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
