// Reads a provider's watch without trusting it: each observation is checked, and a watch that is silent or ignores its
// signal cannot hold up its reader.
import { SidecarError } from '../lib/errors.ts';
import type { sleep } from '../lib/wait.ts';
import type { Observation, Provider } from './provider.ts';

export interface WatchGuard {
  readonly signal: AbortSignal;
  /** A watch that says nothing at all for this long is given up, in milliseconds. */
  readonly silentAfterMs: number;
  readonly sleep: typeof sleep;
}

/** How long a watch may take to end after its signal aborted; then it is abandoned. */
const ENDING_MS = 1_000;

/**
 * What the provider's watch says, until the signal aborts or the watch ends. Throws what the watch throws;
 * `source.silent` when it says nothing for too long (law 7), and `source.defect` for what no watch may say. Returns
 * within a second of the abort, whatever the watch does.
 */
export async function* guardedWatch(
  provider: Provider,
  { signal, silentAfterMs, sleep }: WatchGuard,
): AsyncGenerator<Observation, void, void> {
  if (signal.aborted) return;
  const ending = new AbortController();
  const end = (): void => ending.abort();
  signal.addEventListener('abort', end, { once: true });
  const watch = provider.watch(ending.signal);
  try {
    for (let isFirst = true; ; isFirst = false) {
      const word = await within(silentAfterMs, watch.next(), { signal: ending.signal, sleep });
      if (signal.aborted) return;
      if (word === 'late') throw silent(provider.source, silentAfterMs);
      if (word.done === true) return;
      checkObservation(provider.source, word.value, isFirst);
      yield word.value;
    }
  } finally {
    signal.removeEventListener('abort', end);
    end();
    // Its next() may be pending for ever, and return() queues behind that.
    const ended = watch.return().catch(() => undefined);
    await within(ENDING_MS, ended, { signal: new AbortController().signal, sleep });
  }
}

/** What the promise gives, or `late` after this time or at the abort. */
async function within<T>(
  ms: number,
  promise: Promise<T>,
  { signal, sleep }: Pick<WatchGuard, 'signal' | 'sleep'>,
): Promise<T | 'late'> {
  const over = new AbortController();
  // With a reason of its own: to make the usual one, an error with a stack, is most of what an abort costs.
  const stop = (): void => over.abort('over');
  signal.addEventListener('abort', stop, { once: true });
  if (signal.aborted) stop();
  const late = sleep(ms, over.signal).then((): 'late' => 'late');
  try {
    return await Promise.race([promise, late]);
  } finally {
    signal.removeEventListener('abort', stop);
    stop();
  }
}

function silent(source: string, ms: number): SidecarError {
  const reason = `the watch said nothing for ${Math.round(ms / 1_000)} s. It is opened again.`;
  return new SidecarError(`Cannot follow "${source}": ${reason}`, { code: 'source.silent', stage: 'source' });
}

/** The types forbid all of this; a provider that misreads an answer of its library may do it all the same. */
function checkObservation(source: string, observation: Observation, isFirst: boolean): void {
  const what = faultOf(observation, isFirst);
  if (what === null) return;
  const reason = `its watch ${what}, which is a bug in config-sidecar. It is opened again.`;
  throw new SidecarError(`Cannot follow "${source}": ${reason}`, { code: 'source.defect', stage: 'source' });
}

function faultOf(observation: Observation | null | undefined, isFirst: boolean): string | null {
  if (observation?.kind === 'same') return isFirst ? 'said "the same" before any snapshot' : null;
  if (observation?.kind !== 'snapshot') return 'said something that is no observation';
  const { revision, content } = observation.snapshot ?? {};
  if (typeof revision !== 'string' || revision === '') return 'gave a snapshot without a revision';
  const isWhole =
    content?.kind === 'nothing' ||
    (content?.kind === 'document' && content.bytes instanceof Uint8Array) ||
    (content?.kind === 'tree' && Array.isArray(content.entries));
  return isWhole ? null : 'gave a snapshot without content';
}
