// The setting of a world in which nothing is special.
import type { Setting } from './contents.ts';

export const LIMITS = {
  debounceMs: 50,
  debounceMaxMs: 1_000,
  minIntervalMs: 1_000,
  splayMs: 0,
};

export const SETTING: Setting = {
  ...{
    outputs: 1,
    limits: LIMITS,
    lookEveryMs: 60_000,
    hook: 'signal',
    restarts: false,
    isNamed: true,
    validates: false,
    goesBack: true,
  },
  ...{ periodMs: 0, timeoutMs: 30_000, probes: false, keeps: 5, restartMs: 200, durationsMs: [3, 1, 8] },
};
