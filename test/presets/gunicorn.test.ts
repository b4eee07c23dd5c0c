// @module-tag root
// The preset of gunicorn, shown with the real one.
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { httpGet } from '../support/e2e/sidecar.ts';
import { type Scene, testClaims } from '../support/presets/claims.ts';
import { freePorts } from '../support/servers/ports.ts';

const [port = 0] = await freePorts(1);

/** Workers whose master died hold its port until half of `timeout` has passed. */
const config = (version: string, { place }: Scene, more = ''): string => `bind = '127.0.0.1:${port}'
workers = 2
timeout = 4
chdir = '${place.root}'
wsgi_app = 'app:application'
raw_env = ['SERVED=${version}']
${more}
`;

const APP = `import os
def application(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [os.environ['SERVED'].encode()]
`;

testClaims({
  preset: 'gunicorn',
  output: 'gunicorn.conf.py',
  prepare: ({ place, programs }) => {
    place.write('app.py', APP);
    // The first line of Debian's own names a Python that need not be installed.
    place.write('bin/gunicorn', `#!/bin/sh\nexec python3 '${programs.path('gunicorn')}' "$@"\n`);
    chmodSync(place.at('bin/gunicorn'), 0o755);
  },
  settings: (scene) => ({ ...pythonOf(scene), PATH: `${scene.place.at('bin')}:${process.env['PATH']}` }),
  good: config,
  badSyntax: (scene) => config('never', scene, 'workers = = 3'),
  badSemantics: (scene) => config('never', scene, "worker_tmp_dir = '/nowhere'"),
  command: (scene) => [
    ...['env', ...Object.entries(pythonOf(scene)).map((pair) => pair.join('='))],
    ...[scene.place.at('bin/gunicorn'), '-c', scene.output],
  ],
  served: async () => (await httpGet(port, '/')).body,
  signal: 'SIGHUP',
});

/** Where Python finds modules that are not installed. */
function pythonOf({ programs }: Scene): { readonly [name: string]: string } {
  return {
    PYTHONPATH: join(programs.root, 'usr/lib/python3/dist-packages'),
    PYTHONDONTWRITEBYTECODE: '1',
  };
}
