// @module-tag root
// The preset of gunicorn, shown with the real one.
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
  prepare: ({ place }) => void place.write('app.py', APP),
  settings: ({ programs }) => pythonOf(programs.root),
  good: config,
  badSyntax: (scene) => config('never', scene, 'workers = = 3'),
  badSemantics: (scene) => config('never', scene, "worker_tmp_dir = '/nowhere'"),
  command: ({ programs, output }) => [
    ...['env', ...Object.entries(pythonOf(programs.root)).map((pair) => pair.join('='))],
    ...[programs.path('gunicorn'), '-c', output],
  ],
  served: async () => (await httpGet(port, '/')).body,
  signal: 'SIGHUP',
});

/** Where Python finds modules that are not installed. */
function pythonOf(root: string): { readonly [name: string]: string } {
  return { PYTHONPATH: join(root, 'usr/lib/python3/dist-packages'), PYTHONDONTWRITEBYTECODE: '1' };
}
