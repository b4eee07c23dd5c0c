// Real git repositories on loopback: git's own daemon, its HTTP backend behind a small server, and a real sshd.
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { findOnPath } from './find-program.ts';

/** A repository with work tree, and the bare one that servers give out. */
export interface TestRepository {
  /** Folder that holds `app.git`. */
  readonly root: string;
  readonly bare: string;
  /** Runs git in the work tree, as a fixed author; gives its output. */
  readonly git: (...words: string[]) => string;
  /** Makes the work tree hold exactly these files, commits and pushes; gives the commit. */
  readonly commit: (files: Readonly<Record<string, string | Uint8Array>>, branch?: string) => string;
  readonly remove: () => void;
}

const AUTHOR = {
  GIT_AUTHOR_NAME: 'Test',
  GIT_AUTHOR_EMAIL: 'test@example.com',
  GIT_COMMITTER_NAME: 'Test',
  GIT_COMMITTER_EMAIL: 'test@example.com',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_GLOBAL: '/dev/null',
  // A clean-up in the background would still be at work when the folder is removed.
  GIT_CONFIG_COUNT: '2',
  GIT_CONFIG_KEY_0: 'gc.auto',
  GIT_CONFIG_VALUE_0: '0',
  GIT_CONFIG_KEY_1: 'maintenance.auto',
  GIT_CONFIG_VALUE_1: 'false',
};

export function createRepository(): TestRepository {
  const root = mkdtempSync(join(tmpdir(), 'git-server-'));
  const [bare, tree] = [join(root, 'app.git'), join(root, 'tree')];
  const env = { ...AUTHOR, PATH: process.env['PATH'], HOME: root };
  const run = (cwd: string, words: readonly string[]): string =>
    execFileSync('git', words, { cwd, env, encoding: 'utf8', stdio: 'pipe' }).trim();
  run(root, ['init', '-q', '--bare', '-b', 'main', bare]);
  run(root, ['init', '-q', '-b', 'main', tree]);
  const git = (...words: string[]): string => run(tree, words);
  git('remote', 'add', 'origin', bare);
  const commit: TestRepository['commit'] = (files, branch = 'main') => {
    git('checkout', '-q', '-B', branch);
    git('rm', '-rq', '--ignore-unmatch', '--', '.');
    for (const [name, content] of Object.entries(files)) {
      mkdirSync(dirname(join(tree, name)), { recursive: true });
      writeFileSync(join(tree, name), content);
    }
    git('add', '-A', '--', '.');
    git(
      'commit',
      '-q',
      '--allow-empty',
      '-m',
      `state ${createHash('sha256').update(JSON.stringify(files)).digest('hex').slice(0, 8)}`,
    );
    git('push', '-qf', 'origin', branch);
    return git('rev-parse', 'HEAD');
  };
  return { root, bare, git, commit, remove: () => rmSync(root, { recursive: true, force: true }) };
}

export interface GitServer {
  readonly port: number;
  readonly stop: () => Promise<void>;
}

export interface GitDaemon extends GitServer {
  /** Sends a signal to it and to everything it has started. */
  readonly signal: (signal: NodeJS.Signals) => void;
}

/** git's own daemon, for `git://`. It may take a moment until the port of one before it is free. */
export async function startGitDaemon(root: string, port: number): Promise<GitDaemon> {
  const words = [
    'daemon',
    `--port=${port}`,
    '--listen=127.0.0.1',
    '--export-all',
    '--reuseaddr',
    `--base-path=${root}`,
  ];
  for (let tries = 0; tries < 100; tries++) {
    const child = spawn('git', [...words, root], { stdio: 'ignore', detached: true });
    const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
    const isUp = await Promise.race([listening(port).then(() => true), ended.then(() => false)]);
    const signal: GitDaemon['signal'] = (name) => void process.kill(-(child.pid ?? 0), name);
    const stop = async (): Promise<void> => {
      signal('SIGKILL');
      await ended;
    };
    if (isUp && child.exitCode === null) return { port, signal, stop };
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`git's daemon does not start at port ${port}`);
}

export interface GitHttpOptions {
  /** `user:password` that every request must carry. */
  readonly credentials?: string;
  readonly tls?: { readonly cert: string; readonly key: string };
  /** After how many of its bytes an answer of this length is cut; null for none. */
  readonly cutAfter?: (bytes: number) => number | null;
}

/** `git http-backend` behind a small server; it counts the requests by path. */
export async function startGitHttp(
  root: string,
  { credentials, tls, cutAfter }: GitHttpOptions = {},
): Promise<
  GitServer & {
    readonly requests: readonly string[];
    answer: ((request: IncomingMessage, response: ServerResponse) => void) | null;
  }
> {
  const requests: string[] = [];
  const handle = (request: IncomingMessage, response: ServerResponse): void => {
    requests.push(request.url ?? '');
    if (control.answer !== null) {
      control.answer(request, response);
      return;
    }
    const expected = credentials && `Basic ${Buffer.from(credentials).toString('base64')}`;
    if (expected !== undefined && request.headers.authorization !== expected) {
      response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="git"' }).end();
      return;
    }
    serve(root, request, response, cutAfter ?? (() => null));
  };
  const server = tls === undefined ? createServer(handle) : createTlsServer(tls, handle);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const control = {
    port: (server.address() as AddressInfo).port,
    requests,
    answer: null as ((request: IncomingMessage, response: ServerResponse) => void) | null,
    stop: async (): Promise<void> => {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
  return control;
}

/** One request by CGI, as RFC 3875 has it. */
function serve(
  root: string,
  request: IncomingMessage,
  response: ServerResponse,
  cutAfter: (bytes: number) => number | null,
): void {
  const { pathname, search } = new URL(request.url ?? '/', 'http://x');
  const child = spawn('git', ['-c', 'safe.directory=*', 'http-backend'], {
    env: {
      PATH: process.env['PATH'],
      GIT_PROJECT_ROOT: root,
      GIT_HTTP_EXPORT_ALL: '1',
      PATH_INFO: pathname,
      QUERY_STRING: search.slice(1),
      REQUEST_METHOD: request.method,
      CONTENT_TYPE: request.headers['content-type'] ?? '',
      HTTP_CONTENT_ENCODING: request.headers['content-encoding'] ?? '',
      HTTP_GIT_PROTOCOL: String(request.headers['git-protocol'] ?? ''),
    },
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  request.pipe(child.stdin);
  child.stdin.on('error', () => undefined);
  const chunks: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  child.on('close', () => {
    const whole = Buffer.concat(chunks);
    const end = whole.indexOf('\r\n\r\n');
    const headers = whole.toString('latin1', 0, end).split('\r\n');
    const status = Number(/^Status: (\d+)/m.exec(headers.join('\n'))?.[1] ?? 200);
    for (const line of headers) {
      const [name = '', value = ''] = line.split(/: (.*)/s);
      if (name !== 'Status' && name !== '') response.setHeader(name, value);
    }
    const body = whole.subarray(end + 4);
    response.setHeader('Content-Length', body.length);
    response.writeHead(status);
    const cut = cutAfter(body.length);
    if (cut === null || cut >= body.length) response.end(body);
    else response.write(body.subarray(0, cut), () => response.destroy());
  });
}

export interface SshServer extends GitServer {
  /** Text of a key that is let in. */
  readonly key: string;
  /** Path of a file with the server's host key. */
  readonly knownHosts: string;
}

/** A real sshd on a high port, for the user of this process, with a key pair of its own. */
export async function startSshd(root: string, port: number): Promise<SshServer> {
  const make = (name: string): string => {
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', join(root, name)]);
    return join(root, name);
  };
  const [host, user] = [make('host'), make('user')];
  const publicKey = execFileSync('cat', [`${host}.pub`], { encoding: 'utf8' });
  writeFileSync(join(root, 'known_hosts'), `[127.0.0.1]:${port} ${publicKey}`);
  execFileSync('cp', [`${user}.pub`, join(root, 'authorized_keys')]);
  const options = {
    Port: port,
    ListenAddress: '127.0.0.1',
    HostKey: host,
    AuthorizedKeysFile: join(root, 'authorized_keys'),
    PidFile: 'none',
    StrictModes: 'no',
    UsePAM: 'no',
    PasswordAuthentication: 'no',
    KbdInteractiveAuthentication: 'no',
    PermitRootLogin: 'prohibit-password',
    // A session would look for git in the folders of the system only.
    SetEnv: `PATH=${process.env['PATH']}`,
  };
  const words = Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
  const [command = '', ...rest] = [
    ...asRoot(root),
    findOnPath('sshd') ?? 'sshd',
    '-D',
    '-e',
    '-f',
    '/dev/null',
    ...words,
  ];
  const child = spawn(command, rest, { stdio: 'ignore', detached: true });
  await listening(port);
  return {
    port,
    key: execFileSync('cat', [user], { encoding: 'utf8' }),
    knownHosts: join(root, 'known_hosts'),
    stop: async () => void process.kill(-(child.pid ?? 0), 'SIGKILL'),
  };
}

/** sshd of root wants a user and a folder to drop its rights to; it gets them in a mount namespace of its own. */
function asRoot(root: string): readonly string[] {
  if (process.getuid?.() !== 0) return [];
  const users = join(root, 'passwd');
  writeFileSync(
    users,
    `${readFileSync('/etc/passwd', 'utf8')}\nsshd:x:65533:65534::/run/sshd:/usr/sbin/nologin\n`,
  );
  const prepare = `mount --bind '${users}' /etc/passwd && mount -t tmpfs none /run && mkdir -m 755 /run/sshd && exec "$@"`;
  return ['unshare', '--mount', 'sh', '-c', prepare, 'sh'];
}

async function listening(port: number): Promise<void> {
  const { connect } = await import('node:net');
  for (let tries = 0; tries < 200; tries++) {
    const isUp = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1', () => {
        socket.destroy();
        resolve(true);
      });
      socket.on('error', () => resolve(false));
    });
    if (isUp) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`Nothing listens at port ${port}`);
}
