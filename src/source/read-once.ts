// The first snapshot of a source, for commands that ask once.
import { SidecarError } from '../lib/errors.ts';
import type { Provider, Snapshot } from './provider.ts';

/** A provider has a deadline of its own, and says more about it than we could. */
const GRACE_MS = 500;

/**
 * The first snapshot of a watch.
 * @throws SidecarError as the provider does, or `source.timeout`.
 */
export async function readOnce(
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
