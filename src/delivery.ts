// Getting an owed reload delivered: how tries that failed are counted, when the next is due, and what that is called.
import type { Obstacle, Outcome } from './decide.ts';
import type { ReloadResult } from './reload-hook.ts';
import { type Random, RETRY, retryDelay, SLOW_RETRY_MS } from './schedule.ts';

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
  #obstacle: { readonly code: string; readonly since: number; loud: boolean } | null = null;

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
    if (result.class === 'misconfigured') return { outcome: 'failed', code, message, retryInMs: SLOW_RETRY_MS };
    return { outcome: 'failed', code, message, retryInMs: Math.max(growing, result.retryAfterMs ?? 0) };
  }

  /** `new`: an obstacle not met before; `loud`: it has lasted for `loudAfterMs` and that was not said yet. */
  meet(obstacle: Obstacle | null, nowMs: number, loudAfterMs: number): 'new' | 'loud' | null {
    if (obstacle === null || this.#obstacle?.code !== obstacle.code) {
      this.#obstacle = obstacle === null ? null : { code: obstacle.code, since: nowMs, loud: false };
      return obstacle === null ? null : 'new';
    }
    if (this.#obstacle.loud || nowMs - this.#obstacle.since < loudAfterMs) return null;
    this.#obstacle.loud = true;
    return 'loud';
  }
}
