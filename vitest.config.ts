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
    testTimeout: 60_000,
  },
});
