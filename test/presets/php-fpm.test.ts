// @module-tag root
// The preset of php-fpm, shown with the real one.
import { connect, createServer } from 'node:net';
import { type Scene, testClaims } from '../support/presets/claims.ts';
import { intoFile } from '../support/presets/programs.ts';
import { freePorts } from '../support/servers/ports.ts';

const [port = 0, taken = 0] = await freePorts(2);

const config = (version: string, { place }: Scene, { listen = port, more = '' } = {}): string => `[global]
pid = ${place.at('php-fpm.pid')}
error_log = /proc/self/fd/2
daemonize = no
[www]
user = nobody
group = nogroup
listen = 127.0.0.1:${listen}
pm = static
pm.max_children = 2
ping.path = /ping
ping.response = ${version}
${more}
`;

/** Parameters of a FastCGI request, all shorter than 128 bytes. */
const PARAMETERS = {
  SCRIPT_NAME: '/ping',
  SCRIPT_FILENAME: '/ping',
  REQUEST_METHOD: 'GET',
  QUERY_STRING: '',
};

function record(type: number, content: Buffer): Buffer {
  const head = Buffer.from([1, type, 0, 1, 0, 0, 0, 0]);
  head.writeUInt16BE(content.length, 4);
  return Buffer.concat([head, content]);
}

/** Asks its ping page over FastCGI, which is all it speaks. */
function served(): Promise<string> {
  const parameters = Object.entries(PARAMETERS).map(([name, value]) =>
    Buffer.concat([Buffer.from([name.length, value.length]), Buffer.from(name + value)]),
  );
  const begin = Buffer.from([0, 1, 0, 0, 0, 0, 0, 0]);
  const nothing = Buffer.alloc(0);
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    let answer = '';
    socket.setTimeout(10_000, () => socket.destroy(new Error('no answer in time')));
    socket.on('data', (chunk) => {
      answer += chunk.toString('latin1');
    });
    socket.on('error', reject);
    socket.on('close', () => resolve(/\r\n\r\n(\w+)/.exec(answer)?.[1] ?? ''));
    socket.end(
      Buffer.concat([
        record(1, begin),
        record(4, Buffer.concat(parameters)),
        record(4, nothing),
        record(5, nothing),
      ]),
    );
  });
}

testClaims({
  preset: 'php-fpm',
  output: 'php-fpm.conf',
  prepare: () => void createServer().listen(taken, '127.0.0.1').unref(),
  good: config,
  badSyntax: (scene) => config('never', scene, { more: 'pm.max_kids = 3' }),
  badSemantics: (scene) => config('never', scene, { listen: taken }),
  command: ({ place, programs, output }) => [
    ...intoFile(place.at('error.log')),
    ...[programs.path('php-fpm8.2'), '-F', '-n', '-y', output],
  ],
  served,
  signal: 'SIGUSR2',
});
