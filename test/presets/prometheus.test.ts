// @module-tag root
// The preset of Prometheus, shown with the real one.
import { httpGet } from '../support/e2e/sidecar.ts';
import { testClaims } from '../support/presets/claims.ts';
import { confirmOn, hookOn } from '../support/presets/on-port.ts';
import { freePorts } from '../support/servers/ports.ts';

const [port = 0] = await freePorts(1);

const config = (version: string, more = '') => `global:
  external_labels: { version: "${version}" }
${more}
`;

testClaims({
  preset: 'prometheus',
  output: 'prometheus.yml',
  settings: () => ({ ...hookOn('prometheus', port), ...confirmOn('prometheus', port) }),
  good: (version) => config(version),
  badSyntax: () => config('never', 'scrape_configs: [{ job_name: 1, colour: red }]'),
  badSemantics: ({ place }) => `global:
  external_labels: { version: "never" }
  query_log_file: ${place.at('no/such/folder/queries.log')}
`,
  command: ({ place, programs, output }) => [
    programs.path('prometheus'),
    `--config.file=${output}`,
    `--storage.tsdb.path=${place.directory('data')}`,
    `--web.listen-address=127.0.0.1:${port}`,
    '--web.enable-lifecycle',
  ],
  served: async () => {
    const { data } = JSON.parse((await httpGet(port, '/api/v1/status/config')).body);
    return /version: (\S+)/.exec(data.yaml)?.[1] ?? 'nothing';
  },
  signal: null,
});
