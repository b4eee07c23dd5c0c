// A client of an HTTP server: asks it again and again until its input ends, then prints the result as one line of
// JSON. Words: port, how (`new` connection for each request, or `kept` ones), how many at a time.
import { Agent, get } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

const [port, how, count] = process.argv.slice(2);
const kept = how === 'kept';
const agent = kept ? new Agent({ keepAlive: true, maxSockets: Number(count) }) : false;
/** `closed`: paths for which a kept connection was closed before a byte of an answer came; every client tries again then. */
const result = { requests: 0, reused: 0, closed: [], lost: [], versions: [] };
const versions = new Set();
let isOver = false;

/** What the server answered; an error says whether the server closed a connection that had been kept. */
function ask(path, { fresh = false } = {}) {
  return new Promise((resolve, reject) => {
    const request = get({ host: '127.0.0.1', port, path, agent: fresh ? false : agent, timeout: 10_000 });
    let answered = false;
    const fail = (thrown) => {
      const gone = ['ECONNRESET', 'EPIPE'].includes(thrown.code);
      reject(Object.assign(thrown, { closed: request.reusedSocket && !answered && gone }));
    };
    request.on('timeout', () => request.destroy(new Error('no answer in 10 s')));
    request.on('error', fail);
    request.on('response', (response) => {
      answered = true;
      if (request.reusedSocket) result.reused += 1;
      let body = '';
      response.on('data', (chunk) => {
        body += chunk;
      });
      response.on('error', fail);
      response.on('end', () => {
        if (response.statusCode === 200 && response.complete) resolve(body);
        else fail(new Error(`status ${response.statusCode}, ${body.length} bytes`));
      });
    });
  });
}

async function askUntilAnswered(path) {
  result.requests += 1;
  try {
    return await ask(path);
  } catch (thrown) {
    if (!thrown.closed) throw thrown;
    result.closed.push(path);
    return ask(`${path}-again`, { fresh: true });
  }
}

/** One request in four takes a while, so that there are always some on their way. */
async function keepAsking(first) {
  for (let number = first; !isOver; number += 1) {
    const isSlow = number % 4 === 0;
    const path = `${isSlow ? '/slow' : '/'}?${port}-${how}-${first}-${number}`;
    try {
      const body = await askUntilAnswered(path);
      if (!isSlow) versions.add(body);
      else if (body !== 'at last') throw new Error(`a wrong answer: ${body}`);
    } catch (thrown) {
      result.lost.push(`${path}: ${thrown.code ?? ''} ${thrown.message}`);
    }
    // A kept connection that rests for a moment is one that a leaving worker may close.
    await sleep(5);
  }
}

process.stdin.resume();
process.stdin.on('end', () => {
  isOver = true;
});
await Promise.all(Array.from({ length: Number(count) }, (_, index) => keepAsking(index)));
console.log(JSON.stringify({ ...result, versions: [...versions] }));
process.exit();
