// A small Kubernetes API in this process: lists, watches and rights for a few kinds, held to what a real one was recorded to say.
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { Socket } from 'node:net';
import { createAuthority } from './certificates.ts';
import { type KubernetesServer, send } from './kubernetes.ts';
import { portOf } from './ports.ts';

type Labels = Readonly<Record<string, string>>;

interface Metadata {
  readonly name: string;
  readonly namespace: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly creationTimestamp: string;
  readonly labels?: Labels;
  readonly annotations?: Labels;
}

interface Stored {
  readonly metadata: Metadata;
  readonly immutable?: boolean;
  readonly data?: object;
  readonly [field: string]: unknown;
}

/** What happened to an object; of a deletion the object as it was. */
interface Happening {
  readonly version: number;
  readonly resource: string;
  readonly before: Stored | null;
  readonly after: Stored | null;
  readonly last: Stored;
}

interface Rule {
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
  readonly resourceNames?: readonly string[];
}

interface Asked {
  readonly method: string;
  readonly namespace: string;
  /** `configmaps`; `namespaces` for one itself. */
  readonly resource: string;
  readonly name: string | null;
  readonly query: URLSearchParams;
  readonly body: Record<string, unknown>;
}

const KINDS: Readonly<Record<string, string>> = {
  configmaps: 'ConfigMap',
  secrets: 'Secret',
  namespaces: 'Namespace',
};
const ADMIN = 'token-of-the-admin';

/** What can happen to one that has no process of its own. */
export interface ScriptedKubernetes extends KubernetesServer {
  /** Ends all connections, and each new one at once, as long as it is away. */
  away(isAway: boolean): void;
}

/** Starts one that holds nothing but the namespace `default`. */
export async function startScriptedKubernetes(): Promise<ScriptedKubernetes> {
  const authority = createAuthority('kubernetes');
  const { cert, key } = authority.issue('apiserver');
  const world = new World();
  const sockets = new Set<Socket>();
  let isAway: boolean = false;
  const server = createServer({ cert, key }, (asked, answer) => void serve(world, asked, answer));
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
    if (isAway) socket.resetAndDestroy();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const port = portOf(server);
  const access = { port, ca: authority.cert, token: ADMIN };
  return {
    ...access,
    ask: (method, path, body, headers) => send(access, { method, path, body, headers }),
    tokenFor: async (name, rules) => {
      const token = `token-${randomUUID()}`;
      world.users.set(token, {
        name: `system:serviceaccount:default:${name}`,
        rules: rules as readonly Rule[],
      });
      return token;
    },
    forget: async () => {
      world.happenings.length = 0;
      world.oldest = world.version;
    },
    away: (given) => {
      isAway = given;
      if (isAway) for (const socket of sockets) socket.resetAndDestroy();
    },
    end: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Everything there is. */
class World {
  readonly users = new Map<string, { readonly name: string; readonly rules: readonly Rule[] }>();
  readonly objects = new Map<string, Stored>();
  readonly namespaces = new Set(['default']);
  readonly happenings: Happening[] = [];
  readonly watchers = new Set<(happening: Happening) => void>();
  version = 100;
  /** What was before this version is forgotten. */
  oldest = 100;

  record(happening: Omit<Happening, 'version'>): void {
    const whole = { ...happening, version: this.version };
    this.happenings.push(whole);
    for (const watcher of this.watchers) watcher(whole);
  }
}

interface Given {
  readonly status: number;
  readonly body: object;
}

async function serve(world: World, incoming: IncomingMessage, answer: ServerResponse): Promise<void> {
  const asked = await readRequest(incoming);
  const say = ({ status, body }: Given): void => {
    answer.writeHead(status, { 'Content-Type': 'application/json' });
    answer.end(`${JSON.stringify(body)}\n`);
  };
  const token = incoming.headers.authorization?.replace(/^Bearer /, '') ?? '';
  if (token !== ADMIN && !world.users.has(token)) return say(failure(401, 'Unauthorized', 'Unauthorized'));
  const refused = token === ADMIN ? null : forbidden(world, token, asked);
  if (refused !== null) return say(refused);
  if (asked.resource === 'namespaces') return say(namespace(world, asked));
  if (asked.query.get('watch') === 'true') return watch(world, asked, answer);
  say(asked.method === 'GET' && asked.name === null ? list(world, asked) : change(world, asked));
}

async function readRequest(incoming: IncomingMessage): Promise<Asked> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk as Buffer);
  const text = Buffer.concat(chunks).toString();
  const url = new URL(incoming.url ?? '', 'https://server');
  const [, , , , namespace = '', resource, name = null] = url.pathname.split('/');
  return {
    method: incoming.method ?? '',
    namespace,
    resource: resource ?? 'namespaces',
    name: resource === undefined ? namespace : name,
    query: url.searchParams,
    body: text === '' ? {} : JSON.parse(text),
  };
}

function failure(code: number, reason: string, message: string, details?: object): Given {
  const status = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, reason };
  return { status: code, body: { ...status, ...(details && { details }), code } };
}

/** A right by `resourceNames` covers one object, and a list or watch that selects it by its name. */
function forbidden(
  world: World,
  token: string,
  { method, namespace, resource, name, query }: Asked,
): Given | null {
  const [, selected] = query.get('fieldSelector')?.split('=') ?? [];
  const verb = name !== null ? 'get' : query.get('watch') === 'true' ? 'watch' : 'list';
  const { name: user, rules } = world.users.get(token) ?? { name: '', rules: [] };
  const one = name ?? selected;
  const allows = ({ resources, verbs, resourceNames }: Rule): boolean =>
    resources.includes(resource) &&
    verbs.includes(method === 'GET' ? verb : method) &&
    (resourceNames === undefined || (one !== undefined && resourceNames.includes(one)));
  if (rules.some(allows)) return null;
  const object = one === undefined ? resource : `${resource} "${one}"`;
  const rest = `cannot ${verb} resource "${resource}" in API group "" in the namespace "${namespace}"`;
  return failure(403, 'Forbidden', `${object} is forbidden: User "${user}" ${rest}`, {
    ...(one !== undefined && { name: one }),
    kind: resource,
  });
}

function namespace(world: World, { method, name, body }: Asked): Given {
  if (method === 'POST') {
    const { name: made } = body['metadata'] as Metadata;
    world.namespaces.add(made);
    return { status: 201, body: { kind: 'Namespace', apiVersion: 'v1', metadata: { name: made } } };
  }
  if (name === null || !world.namespaces.has(name)) return notFound('namespaces', name);
  return { status: 200, body: { kind: 'Namespace', apiVersion: 'v1', metadata: { name } } };
}

function notFound(resource: string, name: string | null): Given {
  return failure(404, 'NotFound', `${resource} "${name}" not found`, { name, kind: resource });
}

/** Gets, makes, replaces, patches or deletes one object. */
function change(world: World, { method, namespace, resource, name, body }: Asked): Given {
  const { name: given = name ?? '' } = (body['metadata'] ?? {}) as { name?: string };
  const at = `${namespace}/${resource}/${given}`;
  const before = world.objects.get(at) ?? null;
  const kind = KINDS[resource] ?? '';
  const whole = (stored: Stored): object => ({ kind, apiVersion: 'v1', ...stored });
  if (method === 'POST' && before !== null) {
    return failure(409, 'AlreadyExists', `${resource} "${given}" already exists`, {
      name: given,
      kind: resource,
    });
  }
  if (method !== 'POST' && before === null) return notFound(resource, given);
  if (method === 'GET' && before !== null) return { status: 200, body: whole(before) };
  if (method === 'DELETE' && before !== null) {
    world.version += 1;
    world.objects.delete(at);
    const last = { ...before, metadata: { ...before.metadata, resourceVersion: String(world.version) } };
    world.record({ resource, before, after: null, last });
    const details = { name: given, kind: resource, uid: before.metadata.uid };
    return {
      status: 200,
      body: { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details },
    };
  }
  const wanted = method === 'PATCH' && before !== null ? (merged(before, body) as Stored) : (body as Stored);
  if (before?.immutable === true && JSON.stringify(before.data) !== JSON.stringify(wanted.data)) {
    return immutable(kind, given);
  }
  const { stringData = {}, ...rest } = { ...wanted } as Stored & { stringData?: Record<string, string> };
  const decoded = Object.entries(stringData).map(([key, text]) => [
    key,
    Buffer.from(text).toString('base64'),
  ]);
  const data = { ...rest.data, ...Object.fromEntries(decoded) };
  world.version += 1;
  const stored: Stored = {
    ...rest,
    ...(Object.keys(data).length > 0 && { data }),
    ...(resource === 'secrets' && { type: 'Opaque' }),
    metadata: {
      ...rest.metadata,
      namespace,
      uid: before?.metadata.uid ?? randomUUID(),
      creationTimestamp: before?.metadata.creationTimestamp ?? new Date().toISOString(),
      resourceVersion: String(world.version),
    },
  };
  world.objects.set(at, stored);
  world.record({ resource, before, after: stored, last: stored });
  return { status: method === 'POST' ? 201 : 200, body: whole(stored) };
}

function immutable(kind: string, name: string): Given {
  const message = 'Forbidden: field is immutable when `immutable` is set';
  const causes = [{ reason: 'FieldValueForbidden', message, field: 'data' }];
  return failure(422, 'Invalid', `${kind} "${name}" is invalid: data: ${message}`, { name, kind, causes });
}

/** RFC 7396. */
function merged(before: unknown, patch: unknown): unknown {
  if (typeof patch !== 'object' || patch === null) return patch;
  const result: Record<string, unknown> = { ...(before as object) };
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else result[key] = merged(result[key] ?? {}, value);
  }
  return result;
}

type Matches = (stored: Stored | null) => boolean;

/** Whether an object is asked for; null for an invalid selector. */
function matcher({ namespace, query }: Asked): Matches | null {
  const [, name] = query.get('fieldSelector')?.split('=') ?? [];
  const labels = query.get('labelSelector');
  const [, label = '', value = ''] = /^([\w.-]+)=([\w.-]+)$/.exec(labels ?? '') ?? [];
  if (labels !== null && label === '') return null;
  return (stored) =>
    stored !== null &&
    stored.metadata.namespace === namespace &&
    (name === undefined || stored.metadata.name === name) &&
    (labels === null || stored.metadata.labels?.[label] === value);
}

function badSelector(): Given {
  return failure(400, 'BadRequest', "found '==', expected: !, identifier, or 'end of string'");
}

function list(world: World, asked: Asked): Given {
  const matches = matcher(asked);
  if (matches === null) return badSelector();
  const all = [...world.objects]
    .filter(([at, stored]) => at.split('/')[1] === asked.resource && matches(stored))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, stored]) => stored);
  const from = Number(asked.query.get('continue') ?? 0);
  const limit = Number(asked.query.get('limit') ?? all.length);
  const rest = from + limit < all.length ? { continue: String(from + limit) } : {};
  const kind = `${KINDS[asked.resource]}List`;
  const metadata = { resourceVersion: String(world.version), ...rest };
  return { status: 200, body: { kind, apiVersion: 'v1', metadata, items: all.slice(from, from + limit) } };
}

function watch(world: World, asked: Asked, answer: ServerResponse): void {
  const matches = matcher(asked);
  answer.writeHead(matches === null ? 400 : 200, { 'Content-Type': 'application/json' });
  if (matches === null) return void answer.end(JSON.stringify(badSelector().body));
  answer.flushHeaders();
  const kind = KINDS[asked.resource];
  const send_ = (type: string, object: object): void => {
    answer.write(`${JSON.stringify({ type, object: { kind, apiVersion: 'v1', ...object } })}\n`);
  };
  const deliver = ({ resource, before, after, last }: Happening): void => {
    if (resource !== asked.resource) return;
    const [was, is] = [matches(before), matches(after)];
    if (is) send_(was ? 'MODIFIED' : 'ADDED', last);
    // As it was when it still matched, under the version of the change.
    else if (was && before !== null) {
      send_('DELETED', {
        ...before,
        metadata: { ...before.metadata, resourceVersion: last.metadata.resourceVersion },
      });
    }
  };
  const from = Number(asked.query.get('resourceVersion') ?? world.version);
  if (from < world.oldest) {
    const gone = failure(410, 'Expired', `too old resource version: ${from} (${world.oldest})`);
    answer.write(`${JSON.stringify({ type: 'ERROR', object: gone.body })}\n`);
    return void answer.end();
  }
  for (const happening of world.happenings) if (happening.version > from) deliver(happening);
  world.watchers.add(deliver);
  const end = (): void => {
    world.watchers.delete(deliver);
    answer.end();
  };
  const timer = setTimeout(
    () => {
      if (asked.query.get('allowWatchBookmarks') === 'true') {
        send_('BOOKMARK', { metadata: { resourceVersion: String(world.version), creationTimestamp: null } });
      }
      end();
    },
    Number(asked.query.get('timeoutSeconds') ?? 1_800) * 1_000,
  );
  answer.on('close', () => {
    clearTimeout(timer);
    world.watchers.delete(deliver);
  });
}
