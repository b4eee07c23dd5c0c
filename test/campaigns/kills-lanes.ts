// The applications of the campaign of random kills, one for each kind of hook, and what they make of their configuration.
import { spawn } from 'node:child_process';
import * as fs from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

export interface KillOptions {
  /** Over all lanes together. */
  readonly kills: number;
  /** An empty directory, for the caller to remove. */
  readonly root: string;
  /** The built program. */
  readonly main: string;
  /** `test/support/fixtures/processes`. */
  readonly programs: string;
  /** Called after every kill. */
  readonly onKill?: (count: number) => void;
}

/** One sidecar with its source, its output and its application. */
export interface Lane {
  readonly name: string;
  readonly home: string;
  readonly out: string;
  readonly isDirectory: boolean;
  readonly hook: Readonly<Record<string, string>>;
  /** What the application was notified of last; undefined when it cannot say. */
  readonly told: () => number | undefined;
  readonly tellings: () => number;
  readonly end: () => void;
}

/** What is published: a number, whether it is bad, and more of the number than one write takes. */
export interface Content {
  readonly value: number;
  readonly revision?: string;
}

/** So much of the number that a torn file cannot go unnoticed, in characters. */
const PAD = 20_000;

/** The number as it is repeated in every file. */
export function padOf(value: number): string {
  return `${value},`.repeat(Math.ceil(PAD / `${value},`.length));
}

/** @throws when the file is cut or mixed. */
export function contentOf(text: string): Content {
  const { content, revision } = JSON.parse(text);
  const { value, pad } = content;
  const isWhole = pad === padOf(value);
  if (!isWhole) throw new Error(`value ${value} is mixed with something else`);
  return { value, revision };
}

/** One lane of each kind. */
export function createLanes(options: KillOptions): Promise<readonly Lane[]> {
  return Promise.all([
    httpLane(options, 'file-http', false),
    httpLane(options, 'directory-http', true),
    commandLane(options, 'file-command'),
    signalLane(options, 'directory-signal'),
  ]);
}

function createHome({ root }: KillOptions, name: string): Pick<Lane, 'home' | 'out'> {
  const home = join(root, name);
  for (const path of ['out', 'templates']) fs.mkdirSync(join(home, path), { recursive: true });
  const template = '{"revision":{{ sidecar.revision | json }},"content":{{ sidecar.data | json }}}\n';
  for (const file of ['app', 'second', 'third'])
    fs.writeFileSync(join(home, `templates/${file}.json.liquid`), template);
  return { home, out: join(home, 'out') };
}

/** An application that answers an HTTP hook, and refuses what is bad. */
async function httpLane(options: KillOptions, name: string, isDirectory: boolean): Promise<Lane> {
  const place = createHome(options, name);
  let [told, tellings]: [number | undefined, number] = [undefined, 0];
  const server: Server = createServer((_request, response) => {
    tellings += 1;
    const text = fs.readFileSync(join(place.out, 'app.json'), 'utf8');
    const isBad = text.includes('"bad":true');
    told = contentOf(text).value;
    response.statusCode = isBad ? 500 : 204;
    response.end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    ...{ name, isDirectory, ...place },
    hook: { RELOAD_URL: `http://127.0.0.1:${port}/reload` },
    told: () => told,
    tellings: () => tellings,
    end: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** A command that compares what it is notified of with what is on the volume. */
async function commandLane(options: KillOptions, name: string): Promise<Lane> {
  const place = createHome(options, name);
  const script = join(place.home, 'hook.mjs');
  fs.writeFileSync(script, COMMAND);
  const record = join(place.home, 'told');
  const lines = (): readonly string[] =>
    fs.existsSync(record) ? fs.readFileSync(record, 'utf8').trim().split('\n') : [];
  return {
    ...{ name, isDirectory: false, ...place },
    hook: { RELOAD_COMMAND: `${process.execPath} ${script} ${record}` },
    told: () => {
      const odd = lines().find((line) => line.includes('notified of'));
      if (odd !== undefined) throw new Error(odd);
      return Number(lines().at(-1));
    },
    tellings: () => lines().length,
    end: () => {},
  };
}

/** A sidecar that was killed leaves its hook behind, which may then see what the next one publishes. */
const COMMAND = `import { appendFileSync, readFileSync } from 'node:fs';
const { revision, content } = JSON.parse(readFileSync(process.env.CONFIG_OUTPUT, 'utf8'));
const isOrphan = !readFileSync(\`/proc/\${process.ppid}/cmdline\`, 'utf8').startsWith('config-sidecar');
const isOdd = revision !== process.env.CONFIG_REVISION && !isOrphan;
const note = isOdd ? \`notified of \${process.env.CONFIG_REVISION}, but \${revision} is there\` : content.value;
appendFileSync(process.argv[2], \`\${note}\\n\`);
process.exit(content.bad ? 9 : 0);
`;

/** An application under a supervisor that is sent a signal, and dies of what is bad. */
async function signalLane(options: KillOptions, name: string): Promise<Lane> {
  const place = createHome(options, name);
  const record = join(place.home, 'records');
  const own = `app${process.pid}killed`;
  const program = (file: string): string => join(options.programs, file);
  const app = [program('does-as-configured.mjs'), record, join(place.out, 'app.json')];
  const supervisor = spawn(
    process.execPath,
    [program('keeps-alive.mjs'), '100', own, process.execPath, ...app],
    { stdio: 'ignore', detached: true },
  );
  // A group of their own: no supervisor is left to start it again.
  const end = (): void => {
    if (supervisor.pid !== undefined && supervisor.exitCode === null && supervisor.signalCode === null)
      process.kill(-supervisor.pid, 'SIGKILL');
  };
  process.once('exit', end);
  const records = (): readonly {
    readonly pid: number;
    readonly event: string;
    readonly content?: number | null;
  }[] =>
    fs.existsSync(record)
      ? fs
          .readFileSync(record, 'utf8')
          .trim()
          .split('\n')
          .map((line) => JSON.parse(line))
      : [];
  return {
    ...{ name, isDirectory: true, ...place },
    hook: { APP_PROCESS: own, CONFIRM_PERIOD: '1s' },
    told: () => {
      const odd = records().find(({ event, content }) => event === 'SIGHUP' && content === null);
      if (odd !== undefined) throw new Error('it was signalled, and could not read its configuration');
      return records().at(-1)?.content ?? undefined;
    },
    tellings: () => records().filter(({ event }) => event === 'SIGHUP').length,
    end,
  };
}
