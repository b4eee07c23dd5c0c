// @module-tag root
// The preset of PostgreSQL, shown with the real one. It refuses to run as root.
import { execFile } from 'node:child_process';
import { chmodSync, chownSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { type Scene, testClaims } from '../support/presets/claims.ts';

const run = promisify(execFile);

const NOBODY = 65534;
const AS_NOBODY = ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'];

const program = ({ programs }: Scene, name: string): string =>
  join(programs.root, 'usr/lib/postgresql/15/bin', name);

const config = (version: string, { place }: Scene, more = '') => `listen_addresses = ''
unix_socket_directories = '${place.at('data')}'
dynamic_shared_memory_type = mmap
hba_file = '${place.at('hba')}'
jit = off
fsync = off
test.version = '${version}'
${more}
`;

/** Words that ask it, but for the question. */
const psql = (scene: Scene): readonly string[] => [
  program(scene, 'psql'),
  ...['--no-psqlrc', '--quiet', '--tuples-only', '--no-align', '--username=test', '--dbname=postgres'],
  `--host=${scene.place.at('data')}`,
];

testClaims({
  preset: 'postgresql',
  output: 'postgresql.conf',
  prepare: async (scene) => {
    const { place, programs, room } = scene;
    place.write('hba', 'local all all trust\n');
    chmodSync(place.root, 0o755);
    chownSync(place.directory('data'), NOBODY, NOBODY);
    const words = ['--locale=C', '--encoding=UTF8', '--auth=trust', '--username=test', '--no-sync'];
    const initdb = [program(scene, 'initdb'), ...words, place.at('data')];
    const [first = '', ...rest] = room.inside(['unshare', '--ipc', ...AS_NOBODY, ...initdb]);
    await run(first, rest, { env: { ...process.env, ...programs.env } });
  },
  settings: (scene) => ({
    PATH: [program(scene, ''), scene.programs.env['PATH']].join(delimiter),
  }),
  good: config,
  badSyntax: (scene) => config('never', scene, 'work_mem = plenty'),
  badSemantics: (scene) => config('never', scene, 'max_connections = 99'),
  unseen: true,
  seeing: (scene) => ({
    RELOAD_COMMAND: `${psql(scene).join(' ')} -c "DO 'BEGIN ASSERT NOT EXISTS (SELECT FROM pg_file_settings WHERE error IS NOT NULL); PERFORM pg_reload_conf(); END'"`,
  }),
  // Killed, it would leave its System V memory behind for good, but not in a namespace of its own.
  command: (scene) => [
    ...['unshare', '--ipc', ...AS_NOBODY, program(scene, 'postgres')],
    ...['-D', scene.place.at('data'), '-c', `config_file=${scene.output}`],
  ],
  served: async (scene) => {
    const [first = '', ...words] = [...psql(scene), '-c', 'SHOW test.version'];
    const { stdout } = await run(first, words, { env: { ...process.env, ...scene.programs.env } });
    return stdout.trim();
  },
  signal: 'SIGHUP',
});
