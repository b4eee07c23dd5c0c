// How the tests run: real processes with real signals, so every file gets a process of its own.
import { defineConfig } from 'vitest/config';

/** Generated sequences of changes and faults, and kills by the dozen: a command of their own, "npm run campaigns". */
export const CAMPAIGNS = [
  'test/campaign/{consul,etcd,file,http}.test.ts',
  'test/publish/readers.test.ts',
  'test/fleet.test.ts',
  'test/e2e/kills.test.ts',
];

/** What both commands have in common. */
export const COMMON = {
  root: new URL('..', import.meta.url).pathname,
  pool: 'forks' as const,
  // More than the two cores it is made for: most of the time is spent waiting for processes and servers.
  maxWorkers: 4,
  // Real processes on a busy machine: one more try in CI, and the last lines name whoever needed it.
  retry: process.env['CI'] ? 1 : 0,
  testTimeout: 30_000,
  hookTimeout: 120_000,
  globalSetup: ['test/servers/install.ts'],
  reporters: ['default', './test/count-reporter.ts'],
};

export default defineConfig({
  test: {
    ...COMMON,
    include: ['test/**/*.test.ts'],
    exclude: CAMPAIGNS,
  },
});
