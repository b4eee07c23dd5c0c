// @module-tag root
// The preset of Alertmanager, shown with the real one.
import { execFileSync } from 'node:child_process';
import { describe } from 'vitest';
import { httpGet } from '../support/e2e/sidecar.ts';
import { testClaims } from '../support/presets/claims.ts';
import { confirmOn, hookOn } from '../support/presets/on-port.ts';
import { freePorts } from '../support/servers/ports.ts';

const [port = 0] = await freePorts(1);

const config = (version: string, more = '') => `route: { receiver: "${version}" }
receivers: [{ name: "${version}"${more} }]
`;

describe.each([
  { how: 'HTTP', hook: hookOn('alertmanager', port), signal: null },
  // What it reports is then the only evidence.
  { how: 'SIGHUP', hook: { RELOAD_SIGNAL: 'SIGHUP' }, signal: 'SIGHUP' },
] as const)('notified by $how', ({ hook, signal }) => {
  testClaims({
    preset: 'alertmanager',
    output: 'alertmanager.yml',
    prepare: ({ programs, room }) => {
      // Debian's reads its default template from here; the room has mounts of its own.
      const [program = '', ...words] = room.inside([
        'mount',
        '--bind',
        `${programs.root}/usr/share`,
        '/usr/share',
      ]);
      execFileSync(program, words);
    },
    settings: () => ({ ...confirmOn('alertmanager', port), ...hook }),
    good: (version) => config(version),
    badSyntax: () => config('never', ', colour: red'),
    badSemantics:
      signal !== null
        ? null
        : ({ place }) => {
            const tls = `{ ca_file: ${place.at('no-such.pem')} }`;
            const hook = `{ url: "http://127.0.0.1:9", http_config: { tls_config: ${tls} } }`;
            return config('never', `, webhook_configs: [${hook}]`);
          },
    command: ({ place, programs, output }) => [
      programs.path('prometheus-alertmanager'),
      `--config.file=${output}`,
      `--storage.path=${place.directory('data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
      '--cluster.listen-address=',
    ],
    served: async () => {
      const { config: loaded } = JSON.parse((await httpGet(port, '/api/v2/status')).body);
      return /receiver: "?(\w+)/.exec(loaded.original)?.[1] ?? 'nothing';
    },
    signal,
  });
});
