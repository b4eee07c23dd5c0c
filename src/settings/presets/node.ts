// A program for Node.js with a handler for SIGHUP.
import type { Preset } from './preset.ts';

export const node: Preset = {
  application: 'Node.js',
  verified: '20.20',
  process: 'node',
  hook: { RELOAD_SIGNAL: 'SIGHUP' },
  main: 'config.json',
  checker: null,
  confirm: {},
  onBadFile: 'exits',
  remarks: [
    'The program needs `process.on("SIGHUP", …)`: without it nothing is sent, since it would die.',
    'One that catches its own errors lives on with the old configuration: let it answer what it runs, and set `CONFIRM_URL` and `CONFIRM_MATCH`.',
    'Started by another Node.js program (such as `nodemon`), or with a `process.title`, it has to be named: `APP_PROCESS="/server\\.js/"`.',
  ],
};
