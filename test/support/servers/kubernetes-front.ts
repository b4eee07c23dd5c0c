// Stands before a Kubernetes API server, as a load balancer would, and answers some requests itself or asks for something else.
import { createServer, request } from 'node:https';
import type { Socket } from 'node:net';
import { createAuthority } from './certificates.ts';
import type { KubernetesServer } from './kubernetes.ts';
import { portOf } from './ports.ts';

/** What it answers itself. */
interface Reply {
  readonly status: number;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface KubernetesFront {
  readonly port: number;
  /** PEM of its authority. */
  readonly ca: string;
  /** Says for a path with its query what to ask for instead, or what to answer; null to hand it on. */
  rule: (path: string) => string | Reply | null;
  /** Paths with their queries, in the order of their coming. */
  readonly paths: readonly string[];
  /** Values of the header Authorization. */
  readonly credentials: readonly string[];
  close(): Promise<void>;
}

/** Starts one that hands everything on. */
export async function startKubernetesFront(target: KubernetesServer): Promise<KubernetesFront> {
  const authority = createAuthority('front');
  const { cert, key } = authority.issue('balancer');
  const sockets = new Set<Socket>();
  const [paths, credentials]: [string[], string[]] = [[], []];
  const server = createServer({ cert, key }, (asked, answer) => {
    const path = asked.url ?? '';
    paths.push(path);
    credentials.push(asked.headers.authorization ?? '');
    const decided = front.rule(path);
    if (decided !== null && typeof decided !== 'string') {
      answer.writeHead(decided.status, { 'Content-Type': 'application/json', ...decided.headers });
      return void answer.end(decided.body);
    }
    const { host: _host, ...headers } = asked.headers;
    const onward = request(
      {
        ...{ host: '127.0.0.1', port: target.port, ca: target.ca, agent: false },
        ...{ method: asked.method, path: decided ?? path, headers },
      },
      (given) => {
        answer.writeHead(given.statusCode ?? 0, given.headers);
        answer.flushHeaders();
        given.on('error', () => answer.destroy());
        given.pipe(answer);
      },
    );
    onward.on('error', () => answer.destroy());
    answer.on('close', () => onward.destroy());
    asked.pipe(onward);
  });
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const front: KubernetesFront = {
    port: portOf(server),
    ca: authority.cert,
    rule: () => null,
    paths,
    credentials,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return front;
}
