// @module-tag root
// The preset of Squid, shown with the real one.
import { chmodSync } from 'node:fs';
import { get } from 'node:http';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { type Scene, testClaims } from '../support/presets/claims.ts';
import { freePorts } from '../support/servers/ports.ts';

const [port = 0, taken = 0] = await freePorts(2);

const config = (version: string, { place, programs }: Scene, listen: number | string = port): string => {
  const share = join(programs.root, 'usr/share');
  return `http_port 127.0.0.1:${listen}
visible_hostname ${version}
pid_filename ${place.at('run/squid.pid')}
cache_log ${place.at('run/cache.log')}
coredump_dir ${place.at('run')}
access_log none
logfile_daemon none
pinger_enable off
unlinkd_program /bin/true
http_access deny all
icon_directory ${share}/squid/icons
mime_table ${share}/squid/mime.conf
error_directory ${share}/squid-langpack/en
`;
};

/** It puts its name in every answer. */
function served(): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = get({ host: '127.0.0.1', port, agent: false, timeout: 10_000 }, (response) => {
      response.resume();
      resolve(/^1\.1 (\w+)/.exec(response.headers.via ?? '')?.[1] ?? '');
    });
    request.on('timeout', () => request.destroy(new Error('no answer in time')));
    request.on('error', reject);
  });
}

testClaims({
  preset: 'squid',
  output: 'squid.conf',
  prepare: ({ place }) => {
    place.directory('run');
    for (const path of [place.root, place.at('run')]) chmodSync(path, 0o777);
    createServer().listen(taken, '127.0.0.1').unref();
  },
  // Its master needs a second to see that no worker can go on.
  settings: () => ({ CONFIRM_PERIOD: '2500ms' }),
  good: config,
  badSyntax: (scene) => config('never', scene, 'abc'),
  badSemantics: (scene) => config('never', scene, taken),
  // As root its worker would change its user, and the loader then forgets where the libraries are.
  command: ({ programs, output }) => [
    ...['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'],
    ...[programs.path('squid'), '--foreground', '-f', output],
  ],
  served,
  signal: 'SIGHUP',
});
