// KUBECONFIG: one context of a file in the format of kubectl. Loads the YAML parser, so import it only when needed.
import { dirname, resolve } from 'node:path';
import { shownKey } from '../../lib/bounds.ts';
import type { TlsIdentity } from '../../lib/http/http.ts';
import { InvalidValue } from '../../lib/invalid-value.ts';
import { readSmallText } from '../../lib/small-file.ts';
import { KubernetesFailure } from './failure.ts';
import { bearer, type Cluster } from './identity.ts';

const LARGEST_FILE = 1024 * 1024;

type Map_ = Readonly<Record<string, unknown>>;

/** A part of the file, and what messages call it. */
interface Part {
  readonly shown: string;
  readonly values: Map_;
  /** Relative paths begin there. */
  readonly folder: string;
}

/**
 * Reads a context.
 * @param context its name; undefined: the current one of the file.
 * @throws KubernetesFailure `source.kubeconfig`, with what is wrong and what to do.
 */
export async function readKubeconfig(path: string, context: string | undefined): Promise<Cluster> {
  const file = { shown: `KUBECONFIG "${path}"`, folder: dirname(path), values: await parse(path) };
  const name = context ?? textIn(file, 'current-context') ?? '';
  if (name === '') throw unusable(file, 'it has no current-context; set K8S_CONTEXT');
  const chosen = named(file, { list: 'contexts', one: 'context' }, name);
  const cluster = named(file, { list: 'clusters', one: 'cluster' }, textIn(chosen, 'cluster') ?? '');
  const server = serverOf(cluster);
  const namespace = textIn(chosen, 'namespace') || 'default';
  const user = named(file, { list: 'users', one: 'user' }, textIn(chosen, 'user') ?? '', isPlain(server));
  refuseUnsupported(cluster, user);
  // Everyone on the way could read them. `kubectl proxy` needs none.
  if (isPlain(server)) return { server, namespace, headers: [], tls: {} };
  const tls = identityOf(cluster, user);
  return { server, namespace, headers: tokenHeaders(user, tls.cert !== undefined), tls };
}

function isPlain(server: string): boolean {
  return server.startsWith('http:');
}

async function parse(path: string): Promise<Map_> {
  const shown = `KUBECONFIG "${path}"`;
  const { load, FAILSAFE_SCHEMA, YAMLException } = await import('js-yaml');
  try {
    const content: unknown = load(readSmallText(path, LARGEST_FILE, '1MiB'), { schema: FAILSAFE_SCHEMA });
    if (isMap(content)) return content;
    throw new InvalidValue('it is not a map with clusters, users and contexts');
  } catch (thrown) {
    if (thrown instanceof InvalidValue) throw failure(`${shown} cannot be used: ${thrown.message}`);
    // The library quotes what it met, and that may be a token.
    if (!(thrown instanceof YAMLException)) throw thrown;
    const where = thrown.mark ? ` in line ${thrown.mark.line + 1}` : '';
    throw failure(`${shown} cannot be used: it is not valid YAML or JSON${where}`);
  }
}

/** The entry of a list of `{ name, cluster: {…} }` with this name. */
function named(
  file: Part,
  { list, one }: { readonly list: string; readonly one: string },
  name: string,
  isOptional = false,
): Part {
  const entries = file.values[list];
  const found = (Array.isArray(entries) ? entries : []).filter(isMap).find((entry) => entry['name'] === name);
  if (found === undefined && !isOptional) throw unusable(file, `it has no ${one} "${shownKey(name)}"`);
  const values = found?.[one];
  return {
    ...file,
    shown: `${one} "${shownKey(name)}" of ${file.shown}`,
    values: isMap(values) ? values : {},
  };
}

/** What we would have to leave out: each changes who is asked, or as whom. */
const UNSUPPORTED: readonly (readonly [part: 'cluster' | 'user', key: string, reason: string])[] = [
  [
    'user',
    'exec',
    'it runs a program for its credentials (exec), which is not done here; use a token, a client certificate, or a service account',
  ],
  [
    'user',
    'auth-provider',
    'it uses auth-provider, which is not supported; use a token, a client certificate, or a service account',
  ],
  ['user', 'username', 'it uses a password, which Kubernetes no longer accepts; use a token'],
  ['user', 'as', 'it acts as another user (as), which is not supported; use the credentials of that user'],
  [
    'cluster',
    'insecure-skip-tls-verify',
    'the server is always verified; remove insecure-skip-tls-verify and give certificate-authority',
  ],
  ['cluster', 'tls-server-name', 'tls-server-name is not supported; name the host as its certificate does'],
  ['cluster', 'proxy-url', 'proxy-url is not supported; set HTTPS_PROXY'],
];

function refuseUnsupported(cluster: Part, user: Part): void {
  for (const [which, key, reason] of UNSUPPORTED) {
    const part = which === 'user' ? user : cluster;
    const value = part.values[key];
    if (value !== undefined && value !== '' && value !== 'false') throw unusable(part, reason);
  }
}

function serverOf(cluster: Part): string {
  const server = textIn(cluster, 'server') ?? '';
  const url = URL.canParse(server) ? new URL(server) : null;
  if (url === null || !/^https?:$/.test(url.protocol) || url.username !== '' || url.password !== '') {
    throw unusable(cluster, 'server must be a URL such as https://host:6443');
  }
  return `${url.origin}${url.pathname}`.replace(/\/+$/, '');
}

function identityOf(cluster: Part, user: Part): TlsIdentity {
  const ca = pemIn(cluster, 'certificate-authority');
  const cert = pemIn(user, 'client-certificate');
  const key = pemIn(user, 'client-key');
  if ((cert === undefined) !== (key === undefined)) {
    throw unusable(user, 'client-certificate and client-key go together');
  }
  return {
    ...(ca !== undefined && { ca }),
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
  };
}

function tokenHeaders(user: Part, hasCertificate: boolean): Cluster['headers'] {
  const file = textIn(user, 'tokenFile');
  const token = file ? readBeside(user, file).trim() : textIn(user, 'token');
  if (token) return bearer(token);
  if (hasCertificate) return [];
  throw unusable(user, 'it has neither token, nor tokenFile, nor a client certificate');
}

/** `X-data` (Base64) goes before the path `X`, as with kubectl. */
function pemIn(part: Part, key: string): string | undefined {
  const data = textIn(part, `${key}-data`);
  if (data) return Buffer.from(data, 'base64').toString('latin1');
  const file = textIn(part, key);
  return file ? readBeside(part, file) : undefined;
}

function readBeside(part: Part, file: string): string {
  try {
    return readSmallText(resolve(part.folder, file), LARGEST_FILE, '1MiB');
  } catch (thrown) {
    if (!(thrown instanceof InvalidValue)) throw thrown;
    throw unusable(part, `"${shownKey(file)}": ${thrown.message}`);
  }
}

function textIn({ values }: Part, key: string): string | undefined {
  const value = values[key];
  return typeof value === 'string' ? value : undefined;
}

function isMap(value: unknown): value is Map_ {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function unusable({ shown }: Pick<Part, 'shown'>, reason: string): KubernetesFailure {
  return failure(`${shown} cannot be used: ${reason}`);
}

function failure(reason: string): KubernetesFailure {
  return new KubernetesFailure('source.kubeconfig', reason);
}
