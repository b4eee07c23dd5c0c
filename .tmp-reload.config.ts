// How the tests run: real processes with real signals, so every file gets a process of its own.
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    root: '/work/main',
    include: ['test/**/*.test.ts'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 120_000,
    reporters: ['default', '/work/main/test/count-reporter.ts'],
  },
});
