// The first snapshot of a source, for commands that ask once.
import { SidecarError } from '../lib/errors.ts';
import { mergeSnapshots } from './merge.ts';
import type { Provider, ProviderGroup, Snapshot, TargetSnapshot } from './provider.ts';

/** A provider has a deadline of its own, and says more about it than we could. */
const GRACE_MS = 500;

/**
 * The first snapshot of a source, or of all of several.
 * @throws SidecarError as the provider does, or `source.timeout`.
 */
export async function readOnce(
  source: Provider | ProviderGroup,
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<TargetSnapshot> {
  if (!('parts' in source)) return readProvider(source, timeoutMs, signal);
  const reads = source.parts.map(({ provider }) => readProvider(provider, timeoutMs, signal));
  return mergeSnapshots(source.parts, await Promise.all(reads));
}

/** The first snapshot of one source. Errors as `readOnce`. */
export async function readProvider(
  provider: Provider,
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<Snapshot> {
  const stopping = new AbortController();
  const stop = (): void => stopping.abort();
  const timer = setTimeout(stop, timeoutMs + GRACE_MS);
  signal?.addEventListener('abort', stop, { once: true });
  try {
    for await (const observation of provider.watch(stopping.signal)) {
      if (observation.kind === 'snapshot') return observation.snapshot;
    }
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', stop);
    stop();
  }
  throw new SidecarError(
    `Cannot read "${provider.source}": no answer within ${timeoutMs / 1000} s (FETCH_TIMEOUT).`,
    { code: 'source.timeout', stage: 'source' },
  );
}
