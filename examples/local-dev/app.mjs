// A small application: reads its JSON file at start and again on SIGHUP, says what it runs with, and answers on a port.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';

const [file, port] = process.argv.slice(2);
let config = read();

process.on('SIGHUP', () => {
  config = read();
  console.log(`SIGHUP: now runs with ${describe(config)}`);
});

createServer((_request, response) =>
  response.end(`${config.greeting} from ${config.workers} workers\n`),
).listen(Number(port), '127.0.0.1', () => console.log(`started: runs with ${describe(config)}`));

function read() {
  return JSON.parse(readFileSync(file, 'utf8'));
}

function describe({ greeting, workers }) {
  return `greeting "${greeting}", ${workers} workers`;
}
