import { defineConfig } from 'vitest/config';
import { alias, root } from './vite.config.ts';

export default defineConfig({
  root,
  resolve: { alias },
  test: {
    include: ['{test,training}/**/*.test.ts'],
    // One browser at a time: there are two cores.
    maxWorkers: 1,
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
