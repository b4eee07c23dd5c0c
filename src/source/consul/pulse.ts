// While an agent keeps a question waiting: finds out within seconds when it has gone silent, or when the question was lost.
import { EventEmitter } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type Consul from 'consul';
import { ConsulFailure, type ConsulResponse } from './failure.ts';

/** The agent is asked this often for something small; TCP asks its other end as often. */
export const PULSE_MS = 5_000;
/** An answer is this much behind the news of it at the most; one that is later than that is asked for anew. */
const GRACE_MS = 1_000;
/** Of this many keys the agent is not asked for the names each time. */
const MANY_KEYS = 1_000;

export interface Pulse {
  /**
   * What went wrong, once it has: a failure, or `overtaken` when the agent's index says that there is news which the
   * answer should have told, or that it is another history now, in which nobody will be told.
   */
  verdict(): ConsulFailure | 'overtaken' | null;
  stop(): void;
}

export interface PulseOptions {
  readonly key: string;
  readonly token?: string;
  readonly dc?: string;
  /** Keys there were in the last answer. */
  readonly count: number;
  /** The index whose successor is waited for. */
  readonly index: number;
  readonly timeoutMs: number;
  /** Something went wrong. Called once. */
  readonly onVerdict: () => void;
}

/** Gives a function that starts a pulse; what the pulses of one connection saw is kept between them. */
export function createPulse(): (client: Consul, options: PulseOptions) => Pulse {
  // The names that begin with a single key may have a higher index than the key.
  let seen = 0;
  return (client, options) => {
    const controller = new AbortController();
    let verdict: ConsulFailure | 'overtaken' | null = null;
    const stop = (): void => {
      clearInterval(timer);
      controller.abort();
    };
    const settle = (found: ConsulFailure | 'overtaken'): void => {
      if (controller.signal.aborted) return;
      verdict = found;
      stop();
      options.onVerdict();
    };
    const beat = async (): Promise<void> => {
      const index = await ask(client, options, controller.signal);
      const isNews = index > Math.max(options.index, seen) || (index > 0 && index < options.index);
      seen = index;
      if (!isNews) return;
      await sleep(GRACE_MS, null, { signal: controller.signal });
      settle('overtaken');
    };
    const timer = setInterval(() => {
      beat().catch((thrown) => settle(silent(thrown)));
    }, PULSE_MS);
    return { verdict: () => verdict, stop };
  };
}

/** The agent's index for the names that begin with the key; 0 when it does not say, which is a sign of life too. */
async function ask(client: Consul, options: PulseOptions, signal: AbortSignal): Promise<number> {
  // The connection of the question before may have been closed while it was idle: that says nothing of the agent.
  return askOnce(client, options, signal).catch((thrown) =>
    isFinal(thrown, signal) ? Promise.reject(thrown) : askOnce(client, options, signal),
  );
}

async function askOnce(client: Consul, options: PulseOptions, signal: AbortSignal): Promise<number> {
  const { key, token, dc, count, timeoutMs } = options;
  const context = Object.assign(new EventEmitter(), { includeResponse: true });
  const request = {
    ctx: context,
    timeout: Math.min(PULSE_MS, timeoutMs),
    ...(token && { token }),
    ...(dc && { dc }),
  };
  const cancel = (): void => void context.emit('cancel');
  signal.addEventListener('abort', cancel);
  try {
    if (count > MANY_KEYS) await client.status.leader(request as object);
    else return indexOf(await client.kv.keys({ ...request, key, separator: '/' }));
  } catch (thrown) {
    const { isResponse, response } = Object(thrown) as { isResponse?: boolean; response?: ConsulResponse };
    if (isResponse !== true) throw thrown;
    // Also that there are no names comes with an index.
    if (response?.statusCode === 404) return indexOf([response]);
  } finally {
    signal.removeEventListener('abort', cancel);
  }
  return 0;
}

function indexOf(answer: unknown): number {
  const [response] = answer as [ConsulResponse];
  return Number(response.headers['x-consul-index']) || 0;
}

function isFinal(thrown: unknown, signal: AbortSignal): boolean {
  return signal.aborted || Object(thrown).isTimeout === true;
}

function silent(cause: unknown): ConsulFailure {
  return new ConsulFailure('source.timeout', 'the agent has gone silent', cause);
}
