// Squid, which closes its ports while it reads its configuration, and exits when it cannot.
import type { Preset } from './preset.ts';

export const squid: Preset = {
  application: 'Squid',
  verified: '5.7 (Debian 12)',
  process: 'squid',
  hook: { RELOAD_SIGNAL: 'SIGHUP' },
  main: 'squid.conf',
  checker: { programs: ['squid'], arguments: '-k parse -f {main}' },
  // Its master starts a worker that cannot go on four times more before it ends as well.
  confirm: { CONFIRM_PERIOD: '5s' },
  onBadFile: 'exits',
  remarks: [
    'The check opens neither ports nor files that are named (error pages, MIME table): where it cannot go on without one it exits, and what starts it again finds the last known good file.',
    'Its ports are closed for a moment at every reload: connections are refused meanwhile.',
    'One port of several that it cannot open is left out in silence; a `CONFIRM_URL` behind that port sees it.',
  ],
};
