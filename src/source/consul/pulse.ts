// While an agent keeps a question waiting: finds out within seconds when it has gone silent, or when the question was lost.
import { EventEmitter } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type Consul from 'consul';
import { isFiltered } from './answer.ts';
import { ConsulFailure, type ConsulResponse } from './failure.ts';

/** The agent is asked this often for something small; TCP asks its other end as often. */
export const PULSE_MS = 5_000;
/** An answer is this much behind the news of it at the most; one that is later than that is asked for again. */
const GRACE_MS = 1_000;
/** With more keys than this the agent is asked for the name of one only. */
const MANY_KEYS = 1_000;

export interface Pulse {
  /**
   * What went wrong, once it has: a failure, or `overtaken` when the answer that is waited for must be asked for again:
   * the agent's index says that there is news, or another history; or the token may not read any more what it read.
   */
  verdict(): ConsulFailure | 'overtaken' | null;
  stop(): void;
}

export interface PulseOptions {
  readonly key: string;
  readonly token?: string;
  readonly dc?: string;
  /** What the last answer held. */
  readonly known: { readonly count: number; readonly firstKey: string };
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
  // A token that may read a key but not list it is refused at every beat, and that is no news.
  let wasRefused = false;
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
      const { index, isRefused } = await ask(client, options, controller.signal);
      const isNews = index > Math.max(options.index, seen) || (index > 0 && index < options.index);
      const hasLostRights = isRefused && !wasRefused;
      seen = index;
      wasRefused = isRefused;
      if (!isNews && !hasLostRights) return;
      await sleep(GRACE_MS, null, { signal: controller.signal });
      settle('overtaken');
    };
    const timer = setInterval(() => {
      beat().catch((thrown) => settle(silent(thrown)));
    }, PULSE_MS);
    return { verdict: () => verdict, stop };
  };
}

/** What a beat learned. */
interface Beat {
  /** The agent's index for the names that begin with the key; 0 when it does not say, which is a sign of life too. */
  readonly index: number;
  /** The agent does not show keys that it showed before. No blocking query is woken when a token loses its rights. */
  readonly isRefused: boolean;
}

async function ask(client: Consul, options: PulseOptions, signal: AbortSignal): Promise<Beat> {
  // The connection of the question before may have been closed while it was idle: that says nothing of the agent.
  return askOnce(client, options, signal).catch((thrown) =>
    isFinal(thrown, signal) ? Promise.reject(thrown) : askOnce(client, options, signal),
  );
}

async function askOnce(client: Consul, options: PulseOptions, signal: AbortSignal): Promise<Beat> {
  const { key, token, dc, known, timeoutMs } = options;
  const context = Object.assign(new EventEmitter(), { includeResponse: true });
  const isMany = known.count > MANY_KEYS;
  const request = {
    ctx: context,
    timeout: Math.min(PULSE_MS, timeoutMs),
    ...(token && { token }),
    ...(dc && { dc }),
    ...(isMany ? { key: known.firstKey } : { key, separator: '/' }),
  };
  const cancel = (): void => void context.emit('cancel');
  signal.addEventListener('abort', cancel);
  const [response] = await client.kv
    .keys(request)
    .then((answer) => answer as unknown as [ConsulResponse])
    .catch((thrown: unknown) => [answerIn(thrown)] as const)
    .finally(() => signal.removeEventListener('abort', cancel));
  // The index of one key says nothing of the others.
  const index = isMany ? 0 : Number(response.headers['x-consul-index']) || 0;
  return { index, isRefused: known.count > 0 && isRefusal(response) };
}

/** The answer behind an error that one of the agent's statuses became. */
function answerIn(thrown: unknown): ConsulResponse {
  const { isResponse, response } = Object(thrown) as { isResponse?: boolean; response?: ConsulResponse };
  if (isResponse !== true || response === undefined) throw thrown;
  return response;
}

function isRefusal(response: ConsulResponse): boolean {
  const { statusCode = 0 } = response;
  return statusCode === 401 || statusCode === 403 || statusCode === 404 || isFiltered(response);
}

function isFinal(thrown: unknown, signal: AbortSignal): boolean {
  return signal.aborted || Object(thrown).isTimeout === true;
}

function silent(cause: unknown): ConsulFailure {
  return new ConsulFailure('source.timeout', 'the agent has gone silent', cause);
}
