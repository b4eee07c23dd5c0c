// The Consul source: blocking queries in a loop of our own, each answer the whole state.

import { SidecarError } from '../../lib/errors.ts';
import { maskUrl } from '../../lib/mask.ts';
import { sleep } from '../../lib/wait.ts';
import { spread } from '../poll.ts';
import type { Content, Entry, Observation, Provider, ProviderOptions, Snapshot } from '../provider.ts';
import { createRateLimit } from '../rate-limit.ts';
import { sizeProblem } from '../size-budget.ts';
import { endpointName, type StoreUrl } from '../store-url.ts';
import { readTlsFiles } from '../tls-files.ts';
import type { ConsulAnswer } from './answer.ts';
import { type ConsulConnection, type ConsulConnectionOptions, openConsulConnection } from './connection.ts';
import { ConsulFailure, explainConsul } from './failure.ts';
import { CONSUL_TLS } from './url.ts';

/** The agent is asked to wait for UPDATE_FREQUENCY within these: not too often, and below the minute of proxies. */
const WAIT_MS = { least: 10_000, most: 55_000 };
/** The least time between two questions to an agent that answers at once though its index stays. */
const IDLE_PAUSE_MS = 1_000;
/** Changes are asked for at once, but those of a source that never rests at a rate the agent can bear. */
const CHANGES = { burst: 50, perSecond: 10 };
/** An index that moves without news for us: a neighbour's storm, or an agent that cannot count. */
const NEIGHBOURS = { burst: 3, perSecond: 1 };

/**
 * Follows a key, or all keys below a prefix, of Consul. Its watch ends with `source.unreachable`, `.timeout`, `.tls`,
 * `.denied`, `.no-leader`, `.disconnected`, `.too-large`, `.bad-answer` or `.failed`.
 */
export function openConsul(url: string, address: StoreUrl, options: ProviderOptions): Provider {
  const source = maskUrl(url);
  return { source, watch: (signal) => watch(source, address, options, signal) };
}

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
    const message = `Cannot read Consul "${source}": ${connectionOptions.endpoint}: ${failure.text}`;
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
  const rates = { snapshot: createRateLimit(CHANGES, now), same: createRateLimit(NEIGHBOURS, now) };
  let known: Snapshot | null = null;
  let answeredIndex = 0;
  let index = 0;
  while (!signal.aborted) {
    const startedMs = now();
    const wasNothing = known?.content.kind === 'nothing';
    // A token without rights gets "nothing" too, and no question is answered early when it gets them: ask more often.
    const patienceMs = wasNothing ? WAIT_MS.least : waitMs;
    const answer = await connection.read(index, spread(patienceMs, Math.random), signal);
    const tookMs = now() - startedMs;
    const snapshot = snapshotOf(answer, options);
    const kind = known !== null && isSame(known, snapshot) ? 'same' : 'snapshot';
    yield kind === 'same' ? { kind } : { kind, snapshot };
    known = snapshot;
    const hasMoved = answer.index !== answeredIndex;
    answeredIndex = answer.index;
    // A lower index belongs to another history. One that has not moved though the wait was not over is how
    // Consul lets go of a question when its store is put back to a snapshot. And a question is answered under the rights
    // of the moment it was asked. Nothing is known then, or waited for.
    const isInDoubt =
      answeredIndex < index || (answeredIndex === index && (wasNothing || tookMs < patienceMs / 2));
    index = isInDoubt ? 0 : answeredIndex;
    let pauseMs = rates[kind]();
    if (answeredIndex === 0) pauseMs = spread(Math.max(IDLE_PAUSE_MS, updateFrequencyMs), Math.random);
    else if (!hasMoved) pauseMs = IDLE_PAUSE_MS - tookMs;
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
    tls: () => readTlsFiles(CONSUL_TLS, setting),
    maxBytes,
    timeoutMs: fetchTimeoutMs,
  };
}

/** In one pass: there may be very many. */
function snapshotOf(answer: ConsulAnswer, { recurse, maxBytes }: ConsulConnectionOptions): Snapshot {
  const entries: Entry[] = [];
  let [bytes, highest] = [0, 0];
  let isSorted: boolean = true;
  let before = '';
  for (const { key, entry, modifyIndex } of answer.items) {
    // Consul's own page makes an entry for a folder; it says nothing.
    if (recurse && key.endsWith('/')) continue;
    bytes += entry.value.length + (recurse ? entry.key.length : 0);
    highest = Math.max(highest, modifyIndex);
    isSorted &&= before <= entry.key;
    before = entry.key;
    entries.push(entry);
  }
  const problem = sizeProblem(entries.length, bytes, maxBytes);
  if (problem !== null) throw new ConsulFailure('source.too-large', problem);
  if (!isSorted) entries.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
  return { revision: String(highest), content: contentOf(entries, recurse) };
}

function contentOf(entries: Entry[], isTree: boolean): Content {
  const first = entries[0];
  if (first === undefined) return { kind: 'nothing' };
  if (isTree) return { kind: 'tree', entries };
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
    before.every((entry, at) => {
      const other = after[at];
      if (other === entry) return true;
      return other?.key === entry.key && Buffer.compare(other.value, entry.value) === 0;
    })
  );
}

function entriesOf(content: Content): readonly Entry[] {
  if (content.kind === 'tree') return content.entries;
  return content.kind === 'document' ? [{ key: content.name, value: content.bytes }] : [];
}
