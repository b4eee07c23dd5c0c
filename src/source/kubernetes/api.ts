// Asks the API server: a list of the objects, and a watch of what becomes of them. Each has its deadline.
import { Gathered } from '../../lib/gathered.ts';
import { type HttpClient, type HttpRequest, openClient } from '../../lib/http/http.ts';
import { countJsonParts } from '../../lib/json-parts.ts';
import type { ProviderOptions } from '../provider.ts';
import { type ClusterOptions, readCluster } from './cluster.ts';
import { type Question, refusal, statusOf } from './failure.ts';
import type { Cluster } from './identity.ts';
import { badAnswer } from './objects.ts';
import type { KubernetesPlace } from './url.ts';

/** One line of a watch. */
export interface WatchEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  readonly object: unknown;
}

export interface ApiOptions
  extends ClusterOptions,
    Pick<ProviderOptions, 'fetchTimeoutMs' | 'maxBytes' | 'proxyEnv'> {}

/** Objects per page of a list. */
const PAGE = 500;

/** Base64, names, and the copy that `kubectl apply` keeps as an annotation. Exact bounds are kept after decoding. */
const rawBound = (maxBytes: number): number => 3 * maxBytes + 4 * 1024 * 1024;

export class KubernetesApi {
  readonly #place: KubernetesPlace;
  readonly #options: ApiOptions;
  readonly #client: HttpClient = openClient();
  /** What was sent to show who we are, last: a server may repeat it. */
  #credentials: readonly string[] = [];

  constructor(place: KubernetesPlace, options: ApiOptions) {
    this.#place = place;
    this.#options = options;
  }

  close(): void {
    this.#client.close();
  }

  /**
   * Reads everything at one version, and gives that: there a watch goes on.
   * @param take gets the objects page by page, and may throw: a server may go on without end.
   * @throws KubernetesFailure, or a SidecarError of the HTTP client.
   */
  async list(signal: AbortSignal, take: (objects: readonly unknown[]) => void): Promise<string> {
    const endMs = performance.now() + this.#options.fetchTimeoutMs;
    for (let next = ''; ; ) {
      const cluster = await this.#cluster();
      const query = { ...this.#selector(), limit: String(PAGE), ...(next !== '' && { continue: next }) };
      const answer = await this.#get(cluster, this.#path(cluster), { query, endMs, signal });
      if (answer.status !== 200)
        throw refusal(answer, statusOf(answer.parsed), this.#question('list', cluster));
      const { items, resourceVersion, rest } = readList(answer.parsed, this.#place);
      take(items);
      next = rest;
      if (next === '') return resourceVersion;
    }
  }

  /** Whether the namespace is known not to exist. Most service accounts may not ask for that. */
  async lacksNamespace(signal: AbortSignal): Promise<string | null> {
    const cluster = await this.#cluster();
    const endMs = performance.now() + this.#options.fetchTimeoutMs;
    const namespace = this.#namespace(cluster);
    const { status } = await this.#get(cluster, `/api/v1/namespaces/${namespace}`, { endMs, signal });
    return status === 404 ? namespace : null;
  }

  /**
   * What happens from a version on, in batches as they come. Ends when the server ends it, which it is asked to do after
   * `seconds`, or when the signal aborts. Errors as `list`, and `http.truncated` when the connection ends.
   */
  async *watch(
    resourceVersion: string,
    seconds: number,
    signal: AbortSignal,
  ): AsyncGenerator<readonly WatchEvent[], void, void> {
    const cluster = await this.#cluster();
    const query = {
      ...this.#selector(),
      watch: 'true',
      allowWatchBookmarks: 'true',
      resourceVersion,
      timeoutSeconds: String(seconds),
    };
    const endMs = performance.now() + this.#options.fetchTimeoutMs;
    const request = this.#request(cluster, this.#path(cluster), { query, endMs, signal });
    const headers = [...(request.headers ?? []), ['Accept-Encoding', 'identity'] as const];
    const stream = await this.#client.stream({ ...request, headers });
    if (stream.status !== 200) {
      const body = await collect(stream.chunks, LONGEST_REFUSAL);
      throw refusal(stream, statusOf(parse(body)), this.#question('watch', cluster));
    }
    const limit = rawBound(this.#options.maxBytes);
    for await (const lines of linesOf(stream.chunks, limit)) yield lines.map(readEvent);
  }

  /** Read at each use: tokens expire, and certificates are rotated. */
  async #cluster(): Promise<Cluster> {
    const cluster = await readCluster(this.#options);
    this.#credentials = cluster.headers.map(([, value]) => value.replace(/^Bearer /, ''));
    return cluster;
  }

  /** The text without our token. */
  masked(text: string): string {
    return this.#credentials.reduce((rest, secret) => rest.replaceAll(secret, '***'), text);
  }

  #namespace({ namespace }: Cluster): string {
    return this.#place.namespace ?? namespace;
  }

  #path(cluster: Cluster): string {
    return `/api/v1/namespaces/${encodeURIComponent(this.#namespace(cluster))}/${this.#place.resource}`;
  }

  #selector(): Readonly<Record<string, string>> {
    const { wanted } = this.#place;
    // A right that is given by `resourceNames` covers exactly this form of a list.
    return wanted.kind === 'name'
      ? { fieldSelector: `metadata.name=${wanted.name}` }
      : { labelSelector: wanted.selector };
  }

  #question(verb: Question['verb'], cluster: Cluster): Question {
    return { verb, place: this.#place, namespace: this.#namespace(cluster) };
  }

  async #get(
    cluster: Cluster,
    path: string,
    asking: Asking,
  ): Promise<{ status: number; headers: Readonly<Record<string, string | undefined>>; parsed: unknown }> {
    const { status, headers, body } = await this.#client.request(this.#request(cluster, path, asking));
    return { status, headers, parsed: parse(body) };
  }

  #request(cluster: Cluster, path: string, { query = {}, endMs, signal }: Asking): HttpRequest {
    const search = new URLSearchParams(query).toString();
    return {
      method: 'GET',
      url: `${cluster.server}${path}${search === '' ? '' : `?${search}`}`,
      headers: [...cluster.headers, ['Accept', 'application/json']],
      timeoutMs: Math.max(1, Math.ceil(endMs - performance.now())),
      maxBytes: rawBound(this.#options.maxBytes),
      signal,
      tls: cluster.tls,
      proxyEnv: this.#options.proxyEnv,
    };
  }
}

interface Asking {
  readonly query?: Readonly<Record<string, string>>;
  /** By the steady clock. */
  readonly endMs: number;
  readonly signal: AbortSignal;
}

const LONGEST_REFUSAL = 64 * 1024;
/** Each value costs memory, however short it is. */
const MANY_PARTS = 100_000;
const LEAST_PART_BYTES = 32;

/** JSON, or undefined for anything else. @throws KubernetesFailure for more values than objects of that size have. */
function parse(body: Uint8Array): unknown {
  if (countJsonParts(body) > MANY_PARTS + body.length / LEAST_PART_BYTES) {
    throw badAnswer('an answer of very many tiny values');
  }
  try {
    return JSON.parse(Buffer.from(body).toString());
  } catch {
    return undefined;
  }
}

function readList(
  parsed: unknown,
  { resource }: KubernetesPlace,
): { readonly items: readonly unknown[]; readonly resourceVersion: string; readonly rest: string } {
  const kind = resource === 'secrets' ? 'SecretList' : 'ConfigMapList';
  const list = (parsed ?? {}) as { kind?: unknown; items?: unknown; metadata?: Record<string, unknown> };
  if (list.kind !== kind) throw badAnswer(`something other than a ${kind}`);
  const { resourceVersion, continue: rest = '' } = list.metadata ?? {};
  // Go writes an empty list as null.
  const items = list.items ?? [];
  if (!Array.isArray(items) || typeof resourceVersion !== 'string' || typeof rest !== 'string') {
    throw badAnswer('a list without items and version');
  }
  return { items, resourceVersion, rest };
}

const TYPES: readonly string[] = ['ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK', 'ERROR'];

function readEvent(line: Buffer): WatchEvent {
  const event = (parse(line) ?? {}) as { type?: unknown; object?: unknown };
  if (typeof event.type !== 'string' || !TYPES.includes(event.type)) {
    throw badAnswer('a line that is no event of a watch');
  }
  return event as WatchEvent;
}

const NEW_LINE = 10;

/** The whole lines of each part; what is left at the end without a line break was cut. */
async function* linesOf(
  chunks: AsyncIterable<Buffer>,
  longest: number,
): AsyncGenerator<readonly Buffer[], void, void> {
  const begun = new Gathered();
  for await (const chunk of chunks) {
    const lines: Buffer[] = [];
    let from = 0;
    for (let at = chunk.indexOf(NEW_LINE); at >= 0; at = chunk.indexOf(NEW_LINE, from)) {
      begun.add(chunk.subarray(from, at));
      const line = begun.take();
      if (line.length > 0) lines.push(line);
      from = at + 1;
    }
    begun.add(chunk.subarray(from));
    if (begun.size > longest) throw badAnswer(`an event of more than ${longest} bytes`);
    if (lines.length > 0) yield lines;
  }
}

async function collect(chunks: AsyncIterable<Buffer>, most: number): Promise<Buffer> {
  const gathered = new Gathered();
  for await (const chunk of chunks) {
    gathered.add(chunk);
    if (gathered.size > most) break;
  }
  return gathered.take();
}
