// The Consul source: blocking queries in a loop of our own, each answer the whole state.
import {
  type ConsulAnswer,
  type ConsulConnection,
  type ConsulConnectionOptions,
  openConsulConnection,
} from '../src/consul/connection.ts';
import { ConsulFailure, explainConsul } from '../src/consul/failure.ts';
import { SidecarError } from '../src/errors.ts';
import { maskUrl } from '../src/mask.ts';
import { spread } from '../src/poll.ts';
import type {
  Content,
  Entry,
  Observation,
  OpenProvider,
  ProviderOptions,
  Snapshot,
} from '../src/provider.ts';
import { createPace } from '../src/source/pace.ts';
import { endpointName, parseStoreUrl, refuseSource, type StoreUrl } from '../src/source/store-url.ts';
import { readTlsFiles, tlsSettingsProblem } from '../src/source/tls-files.ts';
import { sleep } from '../src/wait.ts';

const URL_RULES = { scheme: 'consul', defaultPort: 8500, severalHosts: false, parameters: ['dc'] };
const TLS_SETTINGS = { ca: 'CONSUL_CACERT', cert: 'CONSUL_CLIENT_CERT', key: 'CONSUL_CLIENT_KEY' };

/** The agent is asked to wait for UPDATE_FREQUENCY within these: not too often, and below the minute of proxies. */
const WAIT_MS = { least: 10_000, most: 55_000 };
/** The least time between two questions to an agent that answers at once though its index stays. */
const IDLE_PAUSE_MS = 1_000;
/** Changes are asked for at once, but those of a source that never rests at a rate the agent can bear. */
const CHANGES = { burst: 1_000, perSecond: 10 };
/** An index that moves without news for us: a neighbour's storm, or an agent that cannot count. */
const NEIGHBOURS = { burst: 10, perSecond: 2 };

/**
 * Follows a key, or all keys below a prefix, of Consul. Throws `settings.source` for a URL or settings that cannot
 * work. Its watch ends with `source.unreachable`, `.timeout`, `.tls`, `.denied`, `.no-leader`, `.disconnected`,
 * `.too-large`, `.bad-answer` or `.failed`.
 */
export const openConsul: OpenProvider = (url, options) => {
  const address = parseStoreUrl(url, URL_RULES);
  if (address.userInfo !== null)
    refuseSource(url, 'Consul knows no users; give the token as CONSUL_HTTP_TOKEN');
  if (address.path === '') refuseSource(url, 'it names no key; end it with /key, or /prefix/ for a tree');
  const problem = tlsSettingsProblem(TLS_SETTINGS, address.tls, options.setting);
  if (problem !== null) refuseSource(url, problem);
  const source = maskUrl(url);
  return { source, watch: (signal) => watch(source, address, options, signal) };
};

async function* watch(
  source: string,
  address: StoreUrl,
  options: ProviderOptions,
  signal: AbortSignal,
): AsyncGenerator<Observation, void, void> {
  if (signal.aborted) return;
  const connectionOptions = connectionOptionsOf(address, options);
  const connection = await openConsulConnection(connectionOptions);
  try {
    yield* observe(connection, connectionOptions, options.updateFrequencyMs, signal);
  } catch (thrown) {
    if (signal.aborted) return;
    if (thrown instanceof SidecarError) throw thrown;
    const failure = explainConsul(thrown);
    const message = `Cannot read Consul "${source}": ${connectionOptions.endpoint}: ${failure.message}`;
    throw new SidecarError(message, { code: failure.code, stage: 'source', cause: failure.cause });
  } finally {
    connection.close();
  }
}

async function* observe(
  connection: ConsulConnection,
  options: ConsulConnectionOptions,
  updateFrequencyMs: number,
  signal: AbortSignal,
): AsyncGenerator<Observation, void, void> {
  const waitMs = Math.min(WAIT_MS.most, Math.max(WAIT_MS.least, updateFrequencyMs));
  const now = () => performance.now();
  const paces = { snapshot: createPace(CHANGES, now), same: createPace(NEIGHBOURS, now) };
  let known: Snapshot | null = null;
  let index = 0;
  while (!signal.aborted) {
    const startedMs = now();
    const answer = await connection.read(index, spread(waitMs, Math.random), signal);
    const snapshot = snapshotOf(answer, options);
    const kind = known !== null && isSame(known, snapshot) ? 'same' : 'snapshot';
    yield kind === 'same' ? { kind } : { kind, snapshot };
    known = snapshot;
    const before = index;
    // An index that went back belongs to another history: nothing is known of it, so nothing is waited for.
    index = answer.index < before ? 0 : answer.index;
    let pauseMs = paces[kind]();
    if (answer.index === 0) pauseMs = spread(Math.max(IDLE_PAUSE_MS, updateFrequencyMs), Math.random);
    else if (index === before) pauseMs = IDLE_PAUSE_MS - (now() - startedMs);
    if (pauseMs > 0) await sleep(pauseMs, signal);
  }
}

function connectionOptionsOf(
  address: StoreUrl,
  { setting, maxBytes, fetchTimeoutMs }: ProviderOptions,
): ConsulConnectionOptions {
  const [endpoint] = address.endpoints.map(endpointName);
  return {
    endpoint: endpoint ?? '',
    isTls: address.tls,
    key: address.path.slice(1),
    recurse: address.path.endsWith('/'),
    datacenter: address.parameters.get('dc') ?? null,
    token: () => setting('CONSUL_HTTP_TOKEN'),
    namespace: () => setting('CONSUL_NAMESPACE'),
    tls: () => readTlsFiles(TLS_SETTINGS, setting),
    maxBytes,
    timeoutMs: fetchTimeoutMs,
  };
}

function snapshotOf(answer: ConsulAnswer, { key, recurse, maxBytes }: ConsulConnectionOptions): Snapshot {
  // Consul's own page makes an entry for a folder; it says nothing.
  const items = recurse ? answer.items.filter((item) => !item.key.endsWith('/')) : answer.items;
  const entries = items.map((item) => ({ key: item.key.slice(recurse ? key.length : 0), value: item.value }));
  const bytes = entries.reduce(
    (sum, entry) => sum + entry.value.length + (recurse ? entry.key.length : 0),
    0,
  );
  if (bytes > maxBytes) {
    throw new ConsulFailure('source.too-large', `it holds ${bytes} bytes, MAX_SIZE allows ${maxBytes}`);
  }
  const highest = items.reduce((most, item) => Math.max(most, item.modifyIndex), 0);
  return { revision: String(highest), content: contentOf(entries, recurse) };
}

function contentOf(entries: Entry[], isTree: boolean): Content {
  const first = entries[0];
  if (first === undefined) return { kind: 'nothing' };
  if (isTree) {
    entries.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
    return { kind: 'tree', entries };
  }
  if (first.value.length === 0) return { kind: 'nothing' };
  const name = first.key.slice(first.key.lastIndexOf('/') + 1);
  return { kind: 'document', bytes: first.value, name, contentType: null, pointer: null };
}

/** A store that was rebuilt may reach an old index with other content: the bytes count too. */
function isSame(a: Snapshot, b: Snapshot): boolean {
  if (a.revision !== b.revision) return false;
  const before = entriesOf(a.content);
  const after = entriesOf(b.content);
  return (
    before.length === after.length &&
    before.every(({ key, value }, at) => {
      const other = after[at];
      return other !== undefined && other.key === key && Buffer.compare(other.value, value) === 0;
    })
  );
}

function entriesOf(content: Content): readonly Entry[] {
  if (content.kind === 'tree') return content.entries;
  return content.kind === 'document' ? [{ key: content.name, value: content.bytes }] : [];
}
