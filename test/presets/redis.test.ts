// @module-tag root
// The preset of Redis, shown with the real one, which has to be restarted.
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Scene } from '../support/presets/claims.ts';
import { testRestarts } from '../support/presets/restarts.ts';
import { freePorts } from '../support/servers/ports.ts';

const [port = 0] = await freePorts(1);

const config = (version: string, { place }: Scene, more = '') => `bind 127.0.0.1
port ${port}
dir ${place.directory('data')}
save ""
masteruser ${version}
${more}
`;

testRestarts({
  preset: 'redis',
  output: 'redis.conf',
  good: config,
  bad: (scene) => config('never', scene, 'colour red'),
  checked: false,
  command: ({ programs, output }) => [programs.path('redis-server'), output],
  served: async () => {
    const socket = connect(port, '127.0.0.1').setTimeout(5_000, () => socket.destroy(new Error('no answer')));
    try {
      socket.write('CONFIG GET masteruser\r\n');
      const [answer] = await once(socket, 'data');
      return /masteruser\r\n\$\d+\r\n(\w+)/.exec(String(answer))?.[1] ?? String(answer);
    } finally {
      socket.destroy();
    }
  },
});
