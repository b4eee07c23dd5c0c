// One watch stream of etcd, from its request to its first failure; never resumed.
import type { IWatchResponse } from 'etcd3';
import type { WatchStream } from './client.ts';
import { EtcdFailure } from './failure.ts';
import { type EtcdEvent, type EtcdRange, rangeRequest } from './keys.ts';

export interface WatchListener {
  /** Called first, once: everything that is written after this revision of the store will come as an event. */
  readonly onConfirmed: (revision: bigint) => void;
  /** Whole revisions only: etcd never splits the events of one. */
  readonly onEvents: (events: readonly EtcdEvent[]) => void;
  /** Called once; nothing comes after it. */
  readonly onFailure: (thrown: unknown) => void;
}

export interface WatchRequest {
  readonly range: EtcdRange;
  /** The store was seen at this revision; a lower one means that the store was restored or rebuilt. */
  readonly seen: bigint;
  /** How long etcd may take to confirm the watch. */
  readonly timeoutMs: number;
}

/**
 * Asks for the events from now on, on a stream of its own. Returns what stops it; after that the listener hears nothing.
 *
 * It never asks for events of the past: etcd before 3.4.34 and 3.5.16 leaves a delete out of them when the store was
 * compacted at just that revision.
 */
export function startWatch(
  open: () => Promise<WatchStream>,
  request: WatchRequest,
  listener: WatchListener,
): () => void {
  let stream: WatchStream | null = null;
  let over: boolean = false;
  const stop = (): void => {
    over = true;
    clearTimeout(late);
    if (stream !== null) abandon(stream);
  };
  const fail = (thrown: unknown): void => {
    if (over) return;
    stop();
    listener.onFailure(thrown);
  };
  const late = setTimeout(() => fail(UNCONFIRMED()), request.timeoutMs);
  const take = (answer: IWatchResponse): void => {
    clearTimeout(late);
    const refusal = refusalOf(answer, request.seen);
    if (refusal !== null) fail(refusal);
    else if (answer.created) listener.onConfirmed(BigInt(answer.header.revision));
    else if (answer.events.length > 0) listener.onEvents(answer.events);
  };
  const start = async (): Promise<void> => {
    const opened = await open();
    if (over) return abandon(opened);
    stream = opened
      .on('data', take)
      .on('error', fail)
      .on('end', () => fail(ENDED()));
    opened.write({ create_request: rangeRequest(request.range) });
  };
  start().catch(fail);
  return stop;
}

const UNCONFIRMED = () => new EtcdFailure('source.timeout', 'the watch was not confirmed in time');
const ENDED = () => new EtcdFailure('source.disconnected', 'the watch was ended');

function abandon(stream: WatchStream): void {
  // A cancelled stream still emits an error, which would be fatal without a listener.
  stream.removeAllListeners().on('error', () => undefined);
  stream.cancel();
}

/** Why this answer ends the watch, or null. */
function refusalOf(answer: IWatchResponse, seen: bigint): EtcdFailure | null {
  const { canceled, compact_revision: compacted, cancel_reason: reason, header } = answer;
  if (canceled && BigInt(compacted) > 0n) {
    const text = `the watch fell behind, and the store was compacted to ${compacted}`;
    return new EtcdFailure('source.compacted', text);
  }
  if (canceled) {
    const isDenied = /permission|auth/.test(reason) && !/invalid auth token|auth store is old/.test(reason);
    const code = isDenied ? 'source.denied' : 'source.disconnected';
    return new EtcdFailure(code, `the watch was refused${reason === '' ? '' : `: ${reason}`}`);
  }
  if (BigInt(header.revision) < seen) {
    return new EtcdFailure(
      'source.went-back',
      `the store was restored or rebuilt: it is behind revision ${seen}`,
    );
  }
  return null;
}
