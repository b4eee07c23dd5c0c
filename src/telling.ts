// Telling one application: its process is looked up, its hook is used, and tries that failed are counted.
import type { Obstacle, Outcome, ProcessFact } from './decide.ts';
import { Delivery } from './delivery.ts';
import { SidecarError } from './errors.ts';
import { hookOf, lookupOf } from './hook.ts';
import type { Published, Told } from './ledger.ts';
import type { Lookup } from './process/lookup.ts';
import type { ProcessId } from './process/proc.ts';
import { type SeenProcess, seeProcess } from './process-fact.ts';
import { reload } from './reload.ts';
import type { OwedClass, ReloadResult } from './reload-hook.ts';
import type { Random } from './schedule.ts';
import type { Environment } from './settings/environment.ts';
import type { Loaded } from './settings.ts';

export interface TellingParts {
  readonly loaded: Loaded;
  readonly env: Environment;
  readonly random: Random;
  /** Milliseconds of a clock that does not jump. */
  readonly clock: () => number;
}

/** How a try ended that did not tell the application. */
export type Untold = OwedClass | Exclude<ReloadResult['kind'], 'owed' | 'told'>;

/** What a try came to. */
export type TellResult =
  | { readonly kind: 'told'; readonly evidence: Told['evidence'] }
  | {
      readonly kind: 'untold';
      readonly result: Untold;
      readonly outcome: Outcome;
      readonly error: SidecarError;
    };

export class Telling {
  readonly #parts: TellingParts;
  readonly #lookup: Lookup | null;
  readonly #delivery: Delivery;
  #seen: SeenProcess | null = null;
  #retryAt = 0;
  #lastResult: Untold | null = null;

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

  /** Looks the named process up, anew every time; null when none is named. */
  see(published: Published | null, nowMs: number): ProcessFact | null {
    if (this.#lookup === null || published === null) return null;
    const outputPath = this.#parts.loaded.settings.OUTPUT.path;
    this.#seen = seeProcess({ lookup: this.#lookup, moment: published.moment, outputPath, nowMs });
    return this.#seen.fact;
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
    return { kind: 'untold', result: this.#lastResult, outcome, error: errorOf(result) };
  }

  /** What is to be said of an obstacle, if anything: see `Delivery.meet`. */
  meet(obstacle: Obstacle | null): 'new' | 'loud' | null {
    const { clock, loaded } = this.#parts;
    return this.#delivery.meet(obstacle, clock(), loaded.settings.RELOAD_WAIT);
  }

  /** There is something new to tell, or nothing any more. */
  reset(): void {
    this.#delivery.reset();
    this.#retryAt = 0;
    this.#lastResult = null;
  }
}

function errorOf(result: Exclude<ReloadResult, { kind: 'told' }>): SidecarError {
  const { code, message } = result;
  const output = result.kind === 'owed' && result.output !== undefined ? { output: result.output } : {};
  return new SidecarError(message, { code, stage: 'reload', ...output });
}
