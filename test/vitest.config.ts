// Six kinds of tests, one project each. `npm test` runs all but the campaigns and those against a real Kubernetes API.
import { defineConfig } from 'vitest/config';
import Order from './support/order.ts';

/**
 * How long one test may take. Most take a moment; on a machine that does other work as well they all take far longer, and a
 * bound with room costs nothing where they pass.
 */
const PATIENCE = { testTimeout: 180_000, hookTimeout: 300_000, expect: { poll: { timeout: 30_000 } } };

/** What the kinds that start servers and processes have in common. */
const REAL = {
  // Real processes with real signals: every file gets a process of its own.
  pool: 'forks' as const,
};

export default defineConfig({
  test: {
    root: new URL('..', import.meta.url).pathname,
    ...PATIENCE,
    // More than the two cores it is made for: most of the time is spent waiting for processes and servers.
    maxWorkers: 5,
    sequence: { sequencer: Order },
    globalSetup: ['test/support/servers/prepare.ts'],
    reporters: ['default', './test/support/count-reporter.ts'],
    tags: [{ name: 'root', description: 'Only root can run it.', skip: process.getuid?.() !== 0 }],
    projects: [
      {
        extends: true,
        // No server, no child process, no state shared between files: threads that are used again.
        test: {
          name: 'unit',
          include: ['test/unit/**/*.test.ts'],
          pool: 'threads',
          isolate: false,
          setupFiles: ['test/support/no-processes.ts'],
        },
      },
      { extends: true, test: { ...REAL, name: 'real', include: ['test/real/**/*.test.ts'] } },
      { extends: true, test: { ...REAL, name: 'presets', include: ['test/presets/**/*.test.ts'] } },
      { extends: true, test: { ...REAL, name: 'pods', include: ['test/pods/**/*.test.ts'] } },
      { extends: true, test: { ...REAL, name: 'kubernetes', include: ['test/kubernetes/**/*.test.ts'] } },
      { extends: true, test: { ...REAL, name: 'campaigns', include: ['test/campaigns/**/*.test.ts'] } },
    ],
  },
});
