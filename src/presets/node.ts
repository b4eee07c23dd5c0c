// A program for Node.js with a handler for SIGHUP.
import type { Preset } from './preset.ts';

export const node: Preset = {
  application: 'Node.js',
  verified: null,
  process: 'node',
  hook: { RELOAD_SIGNAL: 'SIGHUP' },
  main: 'config.json',
  checker: null,
  confirm: {},
  onBadFile: 'exits',
  remarks: ['The program needs `process.on("SIGHUP", …)`: without it nothing is sent, since it would die.'],
};
