// @module-tag root
// The preset of syslog-ng, shown with the real one, which follows one file and writes another.
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Variables } from '../support/e2e/sidecar.ts';
import { until } from '../support/e2e/until.ts';
import { type Scene, testClaims } from '../support/presets/claims.ts';

const config = (version: string, { place }: Scene, more = '') => `@version: 3.38
source s { file("${place.at('in')}" follow-freq(0.1) flags(no-parse)); };
destination d { file("${place.at('out')}" template("$MSG ${version}\\n")); };
log { source(s); destination(d); };
${more}
`;

/** Its libraries lie beside its modules. */
const env = ({ programs }: Scene): Variables => ({
  SYSLOGNG_PREFIX: join(programs.root, 'usr'),
  LD_LIBRARY_PATH: `${programs.env['LD_LIBRARY_PATH']}:${join(programs.root, 'usr/lib/syslog-ng')}`,
});

testClaims({
  preset: 'syslog-ng',
  output: 'syslog-ng.conf',
  prepare: ({ place }) => void place.write('in', ''),
  settings: env,
  good: config,
  badSyntax: (scene) => config('never', scene, 'colour red'),
  // Its names for what it remembers of a file would clash.
  badSemantics: (scene) =>
    config(
      'never',
      scene,
      `source t { file("${scene.place.at('in')}" follow-freq(0.1) flags(no-parse)); }; log { source(t); destination(d); };`,
    ),
  unseen: true,
  seeing: ({ place, programs }) => ({
    RELOAD_COMMAND: `${programs.path('syslog-ng-ctl')} reload -c ${place.at('control')}`,
  }),
  command: (scene) => [
    ...['env', ...Object.entries(env(scene)).map(([name, value]) => `${name}=${value}`)],
    ...[scene.programs.path('syslog-ng'), '-F', '-f', scene.output, '-R', scene.place.at('persist')],
    ...['-c', scene.place.at('control'), '--pidfile', scene.place.at('pid')],
  ],
  served: async ({ place }) => {
    const token = crypto.randomUUID();
    appendFileSync(place.at('in'), `${token}\n`);
    const arrived = (): string | undefined => new RegExp(`${token} (\\w+)`).exec(place.read('out'))?.[1];
    return until('the line is logged', arrived, 1_000);
  },
  signal: 'SIGHUP',
});
