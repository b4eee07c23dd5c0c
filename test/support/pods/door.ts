// A way into the network of a pod, which has no other: requests go through a process in there.
import { execFile, spawn } from 'node:child_process';
import { type IncomingHttpHeaders, request } from 'node:http';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const PROGRAM = fileURLToPath(new URL('door-program.mjs', import.meta.url));

export interface Answer {
  /** 599: there was no answer, and the body says why. */
  readonly status: number;
  readonly body: string;
  readonly headers: IncomingHttpHeaders;
}

export interface Asked {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

export interface Door {
  /** Asks a server in the pod: `http://127.0.0.1:8080/`. */
  readonly ask: (url: string, asked?: Asked) => Promise<Answer>;
  /** Runs a program of this machine in the pod's network, and gives what it printed. */
  readonly run: (program: string, ...words: string[]) => Promise<string>;
  readonly close: () => Promise<void>;
}

/** Opens the network that this process lives in. `socket` is the path of a file that is not there yet. */
export async function openDoor(pid: number, socket: string): Promise<Door> {
  const network = `--net=/proc/${pid}/ns/net`;
  const child = spawn('nsenter', [network, process.execPath, PROGRAM, socket], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = new Promise((resolve) => child.once('close', resolve));
  process.once('exit', () => child.kill('SIGKILL'));
  await new Promise<void>((resolve, reject) => {
    child.stdout.once('data', () => resolve());
    child.once('error', reject);
    child.once('close', () => reject(new Error('the network of the pod cannot be entered')));
  });
  return {
    ask: (url, asked = {}) => askThrough(socket, url, asked),
    run: async (program, ...words) => (await run('nsenter', [network, program, ...words])).stdout,
    close: async () => {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

function askThrough(
  socketPath: string,
  url: string,
  { method = 'GET', headers = {}, body }: Asked,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = {
      ...headers,
      ...(body !== undefined && { 'Content-Length': `${Buffer.byteLength(body)}` }),
    };
    const asked = request({ socketPath, path: url, method, headers: sent, agent: false }, (answer) => {
      let text = '';
      answer.on('data', (chunk: Buffer) => {
        text += chunk.toString();
      });
      answer.on('end', () => {
        const { statusCode: status = 0, headers } = answer;
        resolve({ status, body: text, headers });
      });
    });
    asked.on('error', reject);
    asked.end(body);
  });
}
