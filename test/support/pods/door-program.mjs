// Runs in the network of a pod and hands on requests that come over a Unix socket: `door-program.mjs SOCKET`.
import { createServer, request } from 'node:http';

const [, , socket] = process.argv;
createServer((asked, answer) => {
  const { method, headers, url } = asked;
  const passed = request(
    url,
    { method, headers: { ...headers, connection: 'close' }, timeout: 10_000 },
    (got) => {
      answer.writeHead(got.statusCode, got.headers);
      got.pipe(answer);
    },
  );
  passed.on('timeout', () => passed.destroy(new Error('no answer in time')));
  passed.on('error', (error) => answer.writeHead(599).end(error.message));
  asked.pipe(passed);
}).listen(socket, () => console.log('open'));
