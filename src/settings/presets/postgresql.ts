// PostgreSQL, which takes what it can of a file and tells only its log of the rest.
import type { Preset } from './preset.ts';

export const postgresql: Preset = {
  application: 'PostgreSQL',
  verified: '15.18 (Debian 12)',
  process: 'postgres',
  hook: { RELOAD_SIGNAL: 'SIGHUP' },
  main: 'postgresql.conf',
  checker: { programs: ['postgres'], arguments: '-C config_file -D / -c config_file={main}' },
  confirm: {},
  onBadFile: 'takes a part',
  remarks: [
    'It has to run with `-c config_file=…` where `OUTPUT` lies, as its user writes to the data directory.',
    'Debian keeps the checker out of `PATH`, in `/usr/lib/postgresql/15/bin`.',
    'A wrong value is left out, and so is, until a restart, what it takes at its start only (`port`, `max_connections`): both are taken back with ' +
      '`RELOAD_COMMAND="psql -c \\"DO \'BEGIN ASSERT NOT EXISTS (SELECT FROM pg_file_settings WHERE error IS NOT NULL); PERFORM pg_reload_conf(); END\'\\""`, run as a superuser.',
  ],
};
