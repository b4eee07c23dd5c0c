// A real Kubernetes API server on the tests' own etcd, and a writer that shares nothing with the provider.
import { generateKeyPairSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import { kubeApiserver } from './build-kube-apiserver.ts';
import { type Authority, createAuthority, writeCertificate } from './certificates.ts';
import { type Daemon, daemon, dataFolder } from './daemon.ts';
import { startEtcd } from './etcd.ts';
import { freePorts } from './ports.ts';

/** What an API server answered. */
export interface ApiAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** JSON; a list of it where each line is one; undefined for anything else. */
  readonly body: unknown;
}

/** A place where objects can be read and written: a real API server, or the scripted one. */
export interface KubernetesServer {
  /** Of 127.0.0.1. */
  readonly port: number;
  /** PEM of the authority that signed its certificate. */
  readonly ca: string;
  /** A token that may do everything. */
  readonly token: string;
  /** Any request, as the one who may do everything. */
  ask(method: string, path: string, body?: object, headers?: Record<string, string>): Promise<ApiAnswer>;
  /** A token of an account that may do only this in the namespace `default`. */
  tokenFor(name: string, rules: readonly object[]): Promise<string>;
  /** Loses the past: every watch from there has to begin again. A real one is killed for that, and started again. */
  forget(): Promise<void>;
  end(): Promise<void>;
}

/** One that runs as a process. */
export interface RealKubernetes extends KubernetesServer, Pick<Daemon, 'start' | 'stop' | 'freeze' | 'thaw'> {
  readonly authority: Authority;
  /** Saves all that the store holds, for `rebuild`. */
  save(): Promise<void>;
  /** Puts the store back to what was saved, as after a disaster: versions go on from there. */
  rebuild(): Promise<void>;
}

const ADMIN = 'token-of-the-admin';

/** Starts etcd and an API server, and waits until it is ready. */
export async function startKubernetes(): Promise<RealKubernetes> {
  const etcd = await startEtcd();
  const folder = dataFolder();
  const authority = createAuthority('kubernetes');
  const { cert, key } = writeCertificate(folder.path, 'server', authority.issue('apiserver'));
  const write = (name: string, text: string): string => {
    writeFileSync(join(folder.path, name), text, { mode: 0o600 });
    return join(folder.path, name);
  };
  const ca = write('ca.crt', authority.cert);
  const signing = generateKeyPairSync('rsa', { modulusLength: 2_048 }).privateKey;
  const signingKey = write('accounts.key', signing.export({ type: 'pkcs8', format: 'pem' }).toString());
  const tokens = write('tokens.csv', `${ADMIN},admin,1,"system:masters"\n`);
  const [port = 0] = await freePorts(1);
  const asking = { port, ca: authority.cert };
  const ask: KubernetesServer['ask'] = (method, path, body, headers) =>
    send({ ...asking, token: ADMIN }, { method, path, body, headers });
  const process_ = daemon({
    program: kubeApiserver(),
    parameters: [
      `--etcd-servers=http://127.0.0.1:${etcd.port}`,
      '--bind-address=127.0.0.1',
      '--advertise-address=127.0.0.1',
      '--endpoint-reconciler-type=none',
      `--secure-port=${port}`,
      `--cert-dir=${folder.path}`,
      `--tls-cert-file=${cert}`,
      `--tls-private-key-file=${key}`,
      `--client-ca-file=${ca}`,
      '--service-cluster-ip-range=10.96.0.0/24',
      '--service-account-issuer=https://kubernetes.default.svc',
      `--service-account-key-file=${signingKey}`,
      `--service-account-signing-key-file=${signingKey}`,
      '--authorization-mode=RBAC',
      `--token-auth-file=${tokens}`,
      '--disable-admission-plugins=ServiceAccount',
      '--allow-privileged=true',
      '--shutdown-delay-duration=0s',
      // How long it waits for what is under way when it is asked to end.
      '--request-timeout=10s',
    ],
    isUp: async () =>
      (await ask('GET', '/readyz')).status === 200 &&
      (await ask('GET', '/api/v1/namespaces/default')).status === 200,
  });
  await process_.start();
  return {
    ...process_,
    port,
    ca: authority.cert,
    token: ADMIN,
    authority,
    ask,
    tokenFor: (name, rules) => tokenFor(ask, name, rules),
    forget: async () => {
      await etcd.compact();
      // It remembers for itself, too.
      await process_.stop('SIGKILL');
      await process_.start();
    },
    save: () => etcd.snapshot(),
    rebuild: async () => {
      await process_.stop('SIGKILL');
      await etcd.stop('SIGKILL');
      await etcd.restore();
      await etcd.start();
      await process_.start();
    },
    end: async () => {
      await process_.stop('SIGKILL');
      await etcd.end();
      folder.wipe();
    },
  };
}

interface Asked {
  readonly method: string;
  readonly path: string;
  readonly body?: object | undefined;
  readonly headers?: Record<string, string> | undefined;
}

/** One request to an API server. */
export function send(
  { port, ca, token }: { readonly port: number; readonly ca: string; readonly token: string },
  { method, path, body, headers = {} }: Asked,
): Promise<ApiAnswer> {
  const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
  return new Promise((resolve, reject) => {
    const asked = request(
      {
        ...{ host: '127.0.0.1', port, path, method, ca, agent: false, timeout: 30_000 },
        headers: {
          Authorization: `Bearer ${token}`,
          ...(body !== undefined && { 'Content-Type': type }),
          ...headers,
        },
      },
      (answer) => {
        let text = '';
        answer.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk;
        });
        answer.once('error', reject);
        answer.once('end', () =>
          resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: parse(text) }),
        );
      },
    );
    asked.once('timeout', () => asked.destroy(new Error('no answer in time')));
    asked.once('error', reject);
    asked.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    const lines = text.split('\n').filter((line) => line !== '');
    return lines.length > 1 && lines.every((line) => line.startsWith('{')) ? lines.map(parse) : undefined;
  }
}

const RBAC = '/apis/rbac.authorization.k8s.io/v1/namespaces/default';

/** A service account with these rights, and a token of it. */
async function tokenFor(
  ask: KubernetesServer['ask'],
  name: string,
  rules: readonly object[],
): Promise<string> {
  const accounts = '/api/v1/namespaces/default/serviceaccounts';
  await ask('POST', accounts, { metadata: { name } });
  await ask('POST', `${RBAC}/roles`, { metadata: { name }, rules });
  await ask('POST', `${RBAC}/rolebindings`, {
    metadata: { name },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name },
    subjects: [{ kind: 'ServiceAccount', name, namespace: 'default' }],
  });
  const made = await ask('POST', `${accounts}/${name}/token`, { spec: { expirationSeconds: 600 } });
  const { status } = made.body as { status?: { token?: string } };
  if (status?.token === undefined) throw new Error(`No token for "${name}": ${made.status}`);
  return status.token;
}
