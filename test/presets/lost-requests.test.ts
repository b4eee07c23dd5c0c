// @module-tag root
// No request is lost while nginx and HAProxy reload a hundred times under load: counted where it hurts, at the client.
import { spawn } from 'node:child_process';
import { createServer, type Server as HttpServer } from 'node:http';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { httpGet } from '../support/e2e/sidecar.ts';
import { type Scene, type Server, setStage } from '../support/presets/scene.ts';
import { freePorts } from '../support/servers/ports.ts';

const RELOADS = 100;
/** Connections of each of the two clients. */
const CONNECTIONS = 4;
/** How long the slow page takes: some requests are on their way at every reload. */
const SLOW_MS = 60;
/** As fast as it goes: nothing is checked before, and what is confirmed is the reload itself, not a while of living. */
const SETTINGS = {
  DEBOUNCE: '0',
  RELOAD_MIN_INTERVAL: '0',
  VALIDATE_COMMAND: 'true',
  CONFIRM_PERIOD: '0',
};

const CLIENT = new URL('../support/presets/load-client.mjs', import.meta.url).pathname;

const [nginxPort = 0, haproxyPort = 0, slow = 0] = await freePorts(3);

const NGINX: Server = {
  preset: 'nginx',
  output: 'nginx.conf',
  settings: () => SETTINGS,
  prepare: ({ place }) => void place.directory('run'),
  good: (version, { place }: Scene) => `worker_processes 2;
pid ${place.at('nginx.pid')};
events { worker_connections 256; }
http {
  access_log off;
  client_body_temp_path ${place.at('run')};
  proxy_temp_path ${place.at('run')};
  fastcgi_temp_path ${place.at('run')};
  uwsgi_temp_path ${place.at('run')};
  scgi_temp_path ${place.at('run')};
  server {
    listen 127.0.0.1:${nginxPort};
    location / { return 200 "${version}"; }
    location /slow { proxy_pass http://127.0.0.1:${slow}; }
  }
}
`,
  command: ({ programs, output }) => [
    ...[programs.path('nginx'), '-e', 'stderr', '-c', output],
    ...['-g', 'daemon off;'],
  ],
  served: async () => (await httpGet(nginxPort, '/')).body,
};

const HAPROXY: Server = {
  preset: 'haproxy',
  output: 'haproxy.cfg',
  // Its new worker is there before its master listens again: a signal in between is caught and comes to nothing.
  settings: () => ({ ...SETTINGS, CONFIRM_PERIOD: '600ms' }),
  good: (version) => `defaults
  mode http
  timeout connect 5s
  timeout client 10s
  timeout server 10s
frontend web
  bind 127.0.0.1:${haproxyPort}
  http-request return status 200 content-type text/plain string ${version} unless { path /slow }
  default_backend slow
backend slow
  server only 127.0.0.1:${slow}
`,
  command: ({ programs, output }) => [programs.path('haproxy'), '-W', '-db', '-f', output],
  served: async () => (await httpGet(haproxyPort, '/')).body,
};

/** What a client counted; see load-client.mjs. */
interface Counted {
  readonly requests: number;
  readonly reused: number;
  readonly closed: readonly string[];
  readonly lost: readonly string[];
  readonly versions: readonly string[];
}

let backend: HttpServer;
/** Paths of the requests that were on their way through a proxy. */
const arrived = new Set<string>();

beforeAll(() => {
  backend = createServer(({ url = '' }, response) => {
    arrived.add(url);
    setTimeout(() => response.end('at last'), SLOW_MS);
  });
  return new Promise<void>((resolve) => backend.listen(slow, '127.0.0.1', resolve));
});

afterAll(() => void backend.close());

// Both at the same time: they mostly wait.
for (const [server, port, signal] of [
  [NGINX, nginxPort, 'SIGHUP'],
  [HAPROXY, haproxyPort, 'SIGUSR2'],
] as const) {
  const stage = setStage(server);

  test.concurrent(`no request is lost during a hundred reloads of ${server.preset}`, async () => {
    stage.forgetSignals();
    const clients = [startClient(port, 'new'), startClient(port, 'kept')] as const;
    const startedAt = performance.now();
    for (let number = 1; number <= RELOADS; number += 1) {
      stage.put(server.good(`v${number}`, stage.scene()));
      await stage.served(`v${number}`);
    }
    const seconds = Math.round((performance.now() - startedAt) / 1000);
    const [fresh, kept] = await Promise.all([clients[0](), clients[1]()]);
    await stage.sidecar().outcome('applied');
    console.log(
      `${server.preset}, ${RELOADS} reloads in ${seconds} s: ${describeCounts('new', fresh)}; ${describeCounts('kept', kept)}`,
    );

    expect([...fresh.lost, ...kept.lost]).toEqual([]);
    // An idle connection may be closed while a request comes; one that had been taken in must be answered.
    expect(kept.closed.filter((path) => arrived.has(path))).toEqual([]);
    const master = stage.server().current().pid;
    expect(stage.signals()).toEqual(Array.from({ length: RELOADS }, () => `${signal} ${master}`));
    expect(stage.server().starts()).toBe(1);
    expect(fresh.versions.length).toBeGreaterThan(RELOADS / 2);
    expect(fresh.requests).toBeGreaterThan(10 * RELOADS);
    expect(kept.reused).toBeGreaterThan(10 * RELOADS);
  });
}

function describeCounts(how: string, { requests, reused, closed, lost }: Counted): string {
  return `${how} connections: ${requests} requests, ${lost.length} lost, ${reused} on a connection used before, ${closed.length} asked again`;
}

/** Starts a client; what it gives back ends it and says what it counted. */
function startClient(port: number, how: 'new' | 'kept'): () => Promise<Counted> {
  const words = [CLIENT, String(port), how, String(CONNECTIONS)];
  const child = spawn(process.execPath, words, { stdio: ['pipe', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  const ended = new Promise((resolve) => child.once('close', resolve));
  return async () => {
    child.stdin.end();
    await ended;
    return JSON.parse(output);
  };
}
