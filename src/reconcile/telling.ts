// Telling one application: its process is looked up, its hook is used, and tries that failed are counted.

import { type SeenProcess, seeProcess } from '../application/process/fact.ts';
import type { Lookup, ProcessFact as Sight } from '../application/process/lookup.ts';
import type { OwedClass, ReloadResult } from '../application/reload/hook.ts';
import { reload } from '../application/reload/reload.ts';
import { hookOf, lookupOf } from '../application/reload/settings.ts';
import type { Obstacle, ProcessFact } from '../application/types.ts';
import type { Published, Told } from '../ledger/ledger.ts';
import type { ProcessId } from '../ledger/types.ts';
import { SidecarError } from '../lib/errors.ts';
import type { Random } from '../lib/schedule.ts';
import type { Environment } from '../settings/environment.ts';
import type { Loaded } from '../settings/settings.ts';
import type { Outcome } from './decide.ts';
import { Delivery } from './delivery.ts';

export interface TellingParts {
  readonly loaded: Loaded;
  readonly env: Environment;
  readonly random: Random;
  /** Milliseconds of a clock that does not jump. */
  readonly clock: () => number;
}

/** What was seen during a publication counts for so long: an exceptionally slow disk makes it worthless. */
const FORESIGHT_MS = 50;

/** How a try ended that did not tell the application. */
export type Untold = OwedClass | Exclude<ReloadResult['kind'], 'owed' | 'told'>;

/** Why the application has not been told. */
export interface Reason {
  readonly outcome: Outcome;
  readonly error: SidecarError;
}

/** What a try came to. */
export type TellResult =
  | { readonly kind: 'told'; readonly evidence: Told['evidence'] }
  | (Reason & { readonly kind: 'untold'; readonly result: Untold });

export class Telling {
  readonly #parts: TellingParts;
  readonly #lookup: Lookup | null;
  readonly #delivery: Delivery;
  #seen: SeenProcess | null = null;
  #foreseen: { readonly atMs: number; readonly sight: Sight } | null = null;
  #retryAt = 0;
  #lastResult: Untold | null = null;
  #reason: Reason | null = null;

  constructor(parts: TellingParts) {
    this.#parts = parts;
    this.#lookup = lookupOf(parts.loaded.settings);
    this.#delivery = new Delivery(parts.random);
  }

  /** Not before this may the hook be used again. */
  get retryAt(): number {
    return this.#retryAt;
  }

  /** The process seen last, when one is named and there. */
  get process(): ProcessId | null {
    return this.#seen?.id ?? null;
  }

  /** Whether the process seen last is only too young to be told. */
  get isSettling(): boolean {
    return this.#seen?.fact.kind === 'settling';
  }

  /** How the last try ended; null before one, and after it was told. */
  get lastResult(): Untold | null {
    return this.#lastResult;
  }

  /** What was said last of why it has not been told; null when nothing was. */
  get reason(): Reason | null {
    return this.#reason;
  }

  /** Looks the named process up, for every reload anew; null when none is named. */
  see(published: Published | null, nowMs: number): ProcessFact | null {
    if (this.#lookup === null || published === null) return null;
    const outputPath = this.#parts.loaded.settings.OUTPUT.path;
    const foreseen = this.#foreseen;
    this.#foreseen = null;
    const lookup =
      foreseen !== null && nowMs - foreseen.atMs <= FORESIGHT_MS
        ? { look: () => foreseen.sight }
        : this.#lookup;
    this.#seen = seeProcess({ lookup, moment: published.moment, outputPath, nowMs });
    return this.#seen.fact;
  }

  /**
   * Looks the process up while the disk is at work on a publication, for the `see` right after it. Nothing is lost by that: who
   * is there now started before, and that it is still the same and ready is made sure of right before it is told.
   */
  foresee(): void {
    if (this.#lookup === null) return;
    const atMs = this.#parts.clock();
    const sight = this.#lookup.look(atMs);
    // Only the good case: anything else may be another one by then.
    this.#foreseen = sight.kind === 'found' && sight.gate.kind === 'ready' ? { atMs, sight } : null;
  }

  /** What did not work is told again no sooner than this (the loop's clock). */
  putOff(retryAt: number): void {
    this.#retryAt = retryAt;
  }

  /** To be called when nothing is urgent: a look-up soon after has less to ask. */
  glance(): void {
    this.#lookup?.glance(this.#parts.clock());
  }

  /** One try. null: the sidecar is ending, and what was under way is owed. */
  async tell(
    published: Published,
    previousRevision: string | null,
    signal: AbortSignal,
  ): Promise<TellResult | null> {
    const { loaded, env, clock } = this.#parts;
    const hook = hookOf(loaded, env);
    if (hook === null) return null;
    const { revision } = published;
    const output = loaded.settings.OUTPUT.path;
    const result = await reload(hook, { process: this.process, output, revision, previousRevision }, signal);
    if (result.kind === 'told') return result;
    if (signal.aborted) return null;
    this.#lastResult = result.kind === 'owed' ? result.class : result.kind;
    const { outcome, retryInMs } = this.#delivery.fail(result);
    this.#retryAt = clock() + retryInMs;
    this.#reason = { outcome, error: errorOf(result) };
    return { kind: 'untold', result: this.#lastResult, ...this.#reason };
  }

  /** What is to be said of an obstacle, if anything: see `Delivery.meet`. */
  meet(obstacle: Obstacle | null): 'new' | 'loud' | null {
    const { clock, loaded } = this.#parts;
    const met = this.#delivery.meet(obstacle, clock(), loaded.settings.RELOAD_WAIT);
    if (obstacle !== null && met !== null) {
      const { outcome, code, message } = obstacle;
      this.#reason = { outcome, error: new SidecarError(message, { code, stage: 'reload' }) };
    }
    return met;
  }

  /** There is something new to tell, or nothing any more. */
  reset(): void {
    this.#delivery.reset();
    this.#retryAt = 0;
    this.#lastResult = null;
    this.#reason = null;
  }
}

function errorOf(result: Exclude<ReloadResult, { kind: 'told' }>): SidecarError {
  const { code, message } = result;
  const output = result.kind === 'owed' && result.output !== undefined ? { output: result.output } : {};
  return new SidecarError(message, { code, stage: 'reload', ...output });
}
