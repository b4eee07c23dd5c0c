// @module-tag root
// The preset of nginx, shown with the real one.
import { createServer } from 'node:net';
import { httpGet } from '../support/e2e/sidecar.ts';
import { type Scene, testClaims } from '../support/presets/claims.ts';
import { intoFile } from '../support/presets/programs.ts';
import { freePorts } from '../support/servers/ports.ts';

const [port = 0, taken = 0] = await freePorts(2);

/** As in a container, it logs to its standard streams. Without paths of its own, `nginx -t` makes folders below /var/lib. */
const config = (version: string, { place }: Scene, more = '') => `worker_processes 2;
error_log /dev/stderr notice;
pid ${place.at('nginx.pid')};
events { worker_connections 64; }
http {
  access_log /dev/stdout;
  client_body_temp_path ${place.at('run')};
  proxy_temp_path ${place.at('run')};
  fastcgi_temp_path ${place.at('run')};
  uwsgi_temp_path ${place.at('run')};
  scgi_temp_path ${place.at('run')};
  server { listen 127.0.0.1:${port}; return 200 "${version}"; }
  ${more}
}
`;

testClaims({
  preset: 'nginx',
  output: 'nginx.conf',
  prepare: ({ place }) => {
    place.directory('run');
    createServer().listen(taken, '127.0.0.1').unref();
  },
  good: config,
  badSyntax: (scene) => config('never', scene, 'server { listen ; }'),
  badSemantics: (scene) => config('never', scene, `server { listen 127.0.0.1:${taken}; }`),
  command: ({ place, programs, output }) => [
    ...intoFile(place.at('nginx.log')),
    ...[programs.path('nginx'), '-e', 'stderr', '-c', output],
    ...['-g', 'daemon off;'],
  ],
  served: async () => (await httpGet(port, '/')).body,
  signal: 'SIGHUP',
});
