// A server whose application comes from a git repository: it loads the release that is published, and keeps the one before when
// that cannot be loaded.
import { realpathSync } from 'node:fs';
import { createServer } from 'node:http';
import { pathToFileURL } from 'node:url';

const APP = process.env['APP'] ?? '/app';

let serving = {
  release: '',
  handle: (_request, response) => response.writeHead(503).end('nothing is loaded yet\n'),
};
let failure = '';

/** Each release lies in a folder of its own, so that its modules are loaded again. */
async function load() {
  const release = realpathSync(`${APP}/..data`);
  try {
    const { default: handle } = await import(pathToFileURL(`${release}/app.mjs`).href);
    if (typeof handle !== 'function') throw new Error('app.mjs has no default function');
    serving = { release, handle };
    failure = '';
  } catch (error) {
    failure = String(error);
  }
}

/** For CONFIRM_URL: whether the release that is published is the one that serves. */
function ready(response) {
  const isCurrent = failure === '' && serving.release === realpathSync(`${APP}/..data`);
  response.writeHead(isCurrent ? 200 : 503).end(`${failure || serving.release}\n`);
}

process.on('SIGHUP', load);
await load();
createServer((request, response) => {
  if (request.url === '/-/ready') return ready(response);
  serving.handle(request, response);
}).listen(8080);
