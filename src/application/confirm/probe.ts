// CONFIRM_URL: asked again and again, until it has answered as wanted often enough in a row.

import { toSidecarError } from '../../lib/errors.ts';
import { locationOf } from '../../lib/http/answer-words.ts';
import { type HttpResponse, request } from '../../lib/http/http.ts';
import { maskUrl } from '../../lib/mask.ts';
import { TLS_ADVICE } from '../tls.ts';
import { findFlaw } from './answer.ts';

import { isStillLiving, watches } from './life.ts';
import type { FailedCheck, View } from './view.ts';

/** Least time between two requests, start to start; after failures it doubles up to the longest. */
const INTERVAL_MS = 250;
const LONGEST_INTERVAL_MS = 1_000;
const TRY_MS = 5_000;
/** How often the process is looked at while it owes an answer. */
const LIFE_MS = 100;
/** Pages of metrics are long. */
const MAX_BODY_BYTES = 4 * 1024 * 1024;
/** What is kept of an answer that is not as wanted. */
const MAX_OUTPUT_LENGTH = 200;

/** Nothing answered at CONFIRM_URL. */
export const NO_ANSWER = 'confirm.no-answer';

/** The tries of one trial. */
export class Probing {
  #successes = 0;
  #failures = 0;
  #tries = 0;
  #dueAtMs = 0;
  #last: FailedCheck | null = null;

  /** How long until the next request, in milliseconds; far away where there is nothing to ask any more. */
  dueInMs(view: View): number {
    const inMs = this.#dueAtMs - view.ageMs;
    const isInTime = leftMs(view) - inMs >= INTERVAL_MS;
    return this.missing(view) !== null && isInTime ? inMs : Number.POSITIVE_INFINITY;
  }

  /** What is still missing; null when it has answered as wanted often enough, or there is no probe. */
  missing({ settings }: View): FailedCheck | null {
    const { url, successes } = settings;
    if (url === undefined || this.#successes >= successes) return null;
    if (this.#last !== null) return this.#last;
    const reason = `CONFIRM_URL answered as expected only ${this.#successes} of ${successes} times in a row`;
    return { code: 'confirm.too-few', reason };
  }

  /** One request, when one is due and needed. `interrupted`: its process died meanwhile, or `signal` aborted. */
  async askIfDue(view: View, signal: AbortSignal): Promise<'interrupted' | null> {
    if (this.missing(view) === null || !this.#isDue(view)) return null;
    const flaw = await ask(view, signal);
    if (flaw === 'interrupted') return flaw;
    this.#tries += 1;
    this.#last = flaw;
    this.#successes = flaw === null ? this.#successes + 1 : 0;
    this.#failures = flaw === null ? 0 : this.#failures + 1;
    const waitMs = INTERVAL_MS * 2 ** Math.max(0, this.#failures - 1);
    this.#dueAtMs = view.ageMs + Math.min(waitMs, LONGEST_INTERVAL_MS);
    return null;
  }

  /** In the last moments there is no time for an answer; but where the sidecar had no time to look, it asks once. */
  #isDue(view: View): boolean {
    return this.#tries === 0 || (view.ageMs >= this.#dueAtMs && leftMs(view) >= INTERVAL_MS);
  }
}

function leftMs({ settings, waitedMs }: View): number {
  return settings.timeoutMs - waitedMs;
}

async function ask(view: View, signal: AbortSignal): Promise<FailedCheck | 'interrupted' | null> {
  const ending = new AbortController();
  const end = (): void => ending.abort();
  if (signal.aborted) return 'interrupted';
  signal.addEventListener('abort', end, { once: true });
  const checkLife = (): void => {
    if (watches(view) && !isStillLiving(view)) end();
  };
  const watch = setInterval(checkLife, LIFE_MS);
  try {
    const flaw = await tryOnce(view, ending.signal);
    checkLife();
    return ending.signal.aborted ? 'interrupted' : flaw;
  } finally {
    clearInterval(watch);
    signal.removeEventListener('abort', end);
  }
}

async function tryOnce(view: View, signal: AbortSignal): Promise<FailedCheck | null> {
  let shown = 'CONFIRM_URL';
  try {
    const url = view.settings.url?.() ?? '';
    shown = `"${maskUrl(url)}"`;
    const timeoutMs = Math.min(TRY_MS, Math.max(leftMs(view), INTERVAL_MS));
    const response = await request({
      ...{ method: 'GET', url, signal, maxBytes: MAX_BODY_BYTES, truncate: true, stage: 'reload' },
      headers: view.settings.headers?.() ?? [],
      tls: view.settings.tls?.() ?? {},
      timeoutMs,
      bodyMs: timeoutMs / 2,
    });
    return await judge(response, view, { url, shown });
  } catch (thrown) {
    const { code, message } = toSidecarError(thrown, 'reload');
    const reason = `${message.replace(`Cannot GET ${shown}: `, '')}${code === 'http.tls' ? TLS_ADVICE : ''}`;
    return { code: NO_ANSWER, reason: `${shown} was not answered: ${reason}` };
  }
}

interface Asked {
  readonly url: string;
  /** As messages name it. */
  readonly shown: string;
}

async function judge(response: HttpResponse, view: View, { url, shown }: Asked): Promise<FailedCheck | null> {
  const { status, body, isCut = false } = response;
  const text = body.toString();
  const output = text === '' ? {} : { output: text.slice(0, MAX_OUTPUT_LENGTH) };
  if (status < 200 || status > 299) {
    return {
      code: 'confirm.status',
      reason: `${shown} answered ${status}${locationOf(response, url)}`,
      ...output,
    };
  }
  const { match } = view.settings;
  if (match === undefined) return null;
  const flaw = await findFlaw(text, { match, version: view.version, notBeforeMs: view.trial.notBefore });
  const cut = flaw !== null && isCut ? ' in the part of it that was read' : '';
  return (
    flaw && { code: flaw.code, reason: `${shown} answered ${status}, but ${flaw.reason}${cut}`, ...output }
  );
}
