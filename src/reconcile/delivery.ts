// Getting an owed reload delivered: how tries that failed are counted, when the next is due, and what that is called.

import type { ReloadResult } from '../application/reload/hook.ts';
import type { Obstacle } from '../application/types.ts';
import { type Random, RETRY, retryDelay, SLOW_RETRY_MS } from '../lib/schedule.ts';
import type { Outcome } from './decide.ts';

/** The application said no this often in a row: then it means it. */
const REFUSALS = 3;

/** Who was there a moment ago is looked for again; at once, it could be a hot loop. */
const GONE_RETRY_MS = 100;

/** What a try that did not tell the application came to. */
export interface Setback {
  readonly outcome: Outcome;
  readonly code: string;
  readonly message: string;
  readonly retryInMs: number;
}

/** The tries for what is on the volume; a new publication starts anew. */
export class Delivery {
  readonly #random: Random;
  #failures = 0;
  #refusals = 0;
  #obstacle: {
    readonly code: string;
    readonly message: string;
    readonly since: number;
    readonly loud: boolean;
  } | null = null;

  constructor(random: Random) {
    this.#random = random;
  }

  reset(): void {
    this.#failures = 0;
    this.#refusals = 0;
    this.#obstacle = null;
  }

  fail(result: Exclude<ReloadResult, { kind: 'told' }>): Setback {
    this.#failures += 1;
    const growing = retryDelay(this.#failures, RETRY, this.#random);
    const { code, message } = result;
    if (result.kind !== 'owed') {
      const outcome = result.kind === 'gone' ? 'no-target' : 'not-permitted';
      return { outcome, code, message, retryInMs: result.kind === 'gone' ? GONE_RETRY_MS : growing };
    }
    this.#refusals = result.class === 'refused' ? this.#refusals + 1 : 0;
    if (this.#refusals >= REFUSALS) return { outcome: 'refused', code, message, retryInMs: SLOW_RETRY_MS };
    if (result.class === 'misconfigured')
      return { outcome: 'failed', code, message, retryInMs: SLOW_RETRY_MS };
    return { outcome: 'failed', code, message, retryInMs: Math.max(growing, result.retryAfterMs ?? 0) };
  }

  /**
   * What is to be said of an obstacle: `new` when it was not met before or its reason is another one, `loud` once when
   * there has been one for `loudAfterMs`.
   */
  meet(obstacle: Obstacle | null, nowMs: number, loudAfterMs: number): 'new' | 'loud' | null {
    const before = this.#obstacle;
    if (obstacle === null) {
      this.#obstacle = null;
      return null;
    }
    const { code, message } = obstacle;
    const since = before?.code === code ? before.since : nowMs;
    const loud = before?.code === code && before.loud;
    this.#obstacle = { code, message, since, loud: loud || nowMs - since >= loudAfterMs };
    if (this.#obstacle.loud && !loud) return 'loud';
    return before?.code === code && before.message === message ? null : 'new';
  }
}
