// @module-tag root
// The preset of rsyslog, shown with the real one, which has to be restarted.
import { createSocket } from 'node:dgram';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { until } from '../support/e2e/until.ts';
import type { Scene } from '../support/presets/claims.ts';
import { testRestarts } from '../support/presets/restarts.ts';
import { freePorts } from '../support/servers/ports.ts';

const [port = 0] = await freePorts(1);

/** Where the package's modules lie, whatever the platform is called. */
function modulesOf({ programs }: Scene): string {
  const folders = programs.env['LD_LIBRARY_PATH']?.split(':').map((one) => join(one, 'rsyslog')) ?? [];
  return folders.find((one) => existsSync(join(one, 'imudp.so'))) ?? 'nowhere';
}

const config = (version: string, { place }: Scene, more = '') => `global(abortOnUncleanConfig="on")
module(load="imudp")
input(type="imudp" address="127.0.0.1" port="${port}")
template(name="line" type="string" string="%msg% ${version}\\n")
action(type="omfile" file="${place.at('log')}" template="line")
${more}
`;

/** A line that was not sent before, as it arrives in the log. */
async function send({ place }: Scene): Promise<string> {
  const token = crypto.randomUUID();
  const socket = createSocket('udp4');
  try {
    socket.send(`<13>Jan  1 00:00:00 host test: ${token}`, port, '127.0.0.1');
    return await until(
      'the line is logged',
      () => new RegExp(`${token} (\\w+)`).exec(place.read('log'))?.[1],
      1_000,
    );
  } finally {
    socket.close();
  }
}

testRestarts({
  preset: 'rsyslog',
  output: 'rsyslog.conf',
  settings: (scene) => ({ RSYSLOG_MODDIR: modulesOf(scene) }),
  good: config,
  bad: (scene) => config('never', scene, 'action(type="omfile" colour="red")'),
  checked: true,
  command: (scene) => [
    scene.programs.path('rsyslogd'),
    ...['-n', '-i', 'NONE', '-M', modulesOf(scene), '-f', scene.output],
  ],
  served: send,
});
