// @module-tag root
// The preset of Apache httpd, shown with the real one.
import { readFileSync } from 'node:fs';
import { get } from 'node:http';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { type Scene, testClaims } from '../support/presets/claims.ts';
import { freePorts } from '../support/servers/ports.ts';

const [port = 0, taken = 0] = await freePorts(2);

const config = (version: string, { place, programs }: Scene, more = ''): string => {
  const modules = join(programs.root, 'usr/lib/apache2/modules');
  return `ServerRoot ${place.root}
ServerName localhost
DefaultRuntimeDir ${place.at('run')}
PidFile ${place.at('httpd.pid')}
ErrorLog ${place.at('error.log')}
LoadModule mpm_event_module ${modules}/mod_mpm_event.so
LoadModule authz_core_module ${modules}/mod_authz_core.so
LoadModule alias_module ${modules}/mod_alias.so
StartServers 2
User nobody
Group nogroup
Listen 127.0.0.1:${port}
Redirect / http://${version}.invalid/
${more}
`;
};

/** The version is in the address it redirects every client to. */
function served(): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = get({ host: '127.0.0.1', port, agent: false, timeout: 10_000 }, (response) => {
      response.resume();
      resolve(/^http:\/\/(\w+)\.invalid/.exec(response.headers.location ?? '')?.[1] ?? '');
    });
    request.on('timeout', () => request.destroy(new Error('no answer in time')));
    request.on('error', reject);
  });
}

testClaims({
  preset: 'apache',
  output: 'httpd.conf',
  prepare: ({ place }) => {
    place.directory('run');
    createServer().listen(taken, '127.0.0.1').unref();
  },
  good: config,
  badSyntax: (scene) => config('never', scene, 'Lisssten 1'),
  badSemantics: (scene) => config('never', scene, `Listen 127.0.0.1:${taken}`),
  command: ({ programs, output }) => [programs.path('apache2'), '-DFOREGROUND', '-f', output],
  served,
  signal: 'SIGUSR1',
  master: ({ place }) => Number(readFileSync(place.at('httpd.pid'), 'utf8')),
});
