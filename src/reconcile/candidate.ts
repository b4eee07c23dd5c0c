// What is wanted on the volume: the newest data with its templates, what that was rendered to, and whether it may be
// published. It knows how, never when.
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Published } from '../ledger/ledger.ts';
import { withStagedCopy } from '../ledger/staged-copy.ts';
import { type SidecarError, toSidecarError } from '../lib/errors.ts';
import type { Changes, Random } from '../lib/schedule.ts';
import type { Generation } from '../render/generation.ts';
import { type Input, inputOf } from '../render/input.ts';
import { prepare, renderingExtras } from '../render/prepare.ts';
import { runValidateCommand } from '../render/validate-command.ts';
import { type Environment, environmentForCommands } from '../settings/environment.ts';
import { checkerHint } from '../settings/preset.ts';
import type { Loaded } from '../settings/settings.ts';
import type { Followed } from '../source/follow.ts';
import type { AttemptedVersion } from './attempts.ts';
import type { Facts } from './decide.ts';
import { Retries } from './retries.ts';

export interface CandidateParts {
  readonly loaded: Loaded;
  readonly env: Environment;
  readonly source: Followed;
  /** The followed templates; null without TEMPLATE. */
  readonly template: Followed | null;
  readonly random: Random;
  /** Milliseconds of a clock that does not jump. */
  readonly clock: () => number;
  /** A source that failed has not answered: for a run that goes on asking until its time is over. */
  readonly untilAnswered: boolean;
}

/** What an input came to: a generation, or null when it was rejected. */
interface Rendered {
  readonly input: Input;
  readonly version: AttemptedVersion;
  readonly generation: Generation | null;
}

/** At most this many turns of the event loop are given to changes that came while the last one was applied. */
const TURNS = 200;

export class Candidate {
  readonly #parts: CandidateParts;
  readonly #extra: string;
  readonly #checking: Retries;
  #input: Input | null = null;
  #changes: Changes = { first: 0, latest: 0 };
  #rendered: Rendered | null = null;
  #complaint: SidecarError | null = null;
  #checked: { readonly rendering: string; readonly passed: boolean } | null = null;

  constructor(parts: CandidateParts) {
    this.#parts = parts;
    this.#extra = renderingExtras(parts.loaded, parts.env);
    this.#checking = new Retries(parts.random);
  }

  /** Its part of the facts. */
  get facts(): Pick<Facts, 'asked' | 'input' | 'rendered' | 'checked' | 'validates'> {
    const { source, template, loaded, untilAnswered } = this.#parts;
    const isAsked = (followed: Followed): boolean => {
      const { snapshot, error } = followed.state();
      return snapshot !== null || (error !== null && !untilAnswered);
    };
    const rendered = this.#rendered;
    return {
      asked: isAsked(source) && (template === null || isAsked(template)),
      input: this.#input && { id: this.#input.id, changes: this.#changes },
      rendered: rendered && { input: rendered.input.id, rendering: rendered.generation?.rendering ?? null },
      checked: this.#checked && { ...this.#checked, retryAt: this.#checking.dueAt },
      validates: loaded.settings.VALIDATE_COMMAND !== undefined,
    };
  }

  /** The newest version that was asked for; `rendering` null when it was rejected; null until something was rendered. */
  get version(): AttemptedVersion | null {
    return this.#rendered?.version ?? null;
  }

  /** What was rendered last; null when that was rejected. */
  get generation(): Generation | null {
    return this.#rendered?.generation ?? null;
  }

  /** Why the newest input was rejected or refused; null when it was not, and while that is not known. */
  get complaint(): SidecarError | null {
    return this.#complaint;
  }

  /** The version as the ledger keeps it; null when it was rejected. */
  get publishable(): Published | null {
    if (this.#rendered === null) return null;
    const { version, input } = this.#rendered;
    const { rendering } = version;
    return rendering === null
      ? null
      : { ...version, rendering, input: input.id, moment: null, as: 'desired' };
  }

  /** When VALIDATE_COMMAND is asked again about what it refused; 0 when there is nothing to ask. */
  get checkDueAt(): number {
    const isRefused = this.#checked?.passed === false && this.#checked.rendering === this.version?.rendering;
    return isRefused ? this.#checking.dueAt : 0;
  }

  /** Takes over what the source and the templates hold now; true when it is a new revision of what is rendered already. */
  take(): boolean {
    const { source, template, clock } = this.#parts;
    const input = inputOf(source.state().snapshot, template?.state().snapshot ?? null, {
      hasTemplates: template !== null,
      extra: this.#extra,
    });
    if (input === null) return false;
    const now = clock();
    const before = this.#input;
    this.#input = input;
    if (before?.id !== input.id) {
      const waits = before !== null && before.id !== this.#rendered?.input.id;
      this.#changes = { first: waits ? this.#changes.first : now, latest: now };
      return false;
    }
    return this.#rendered?.input.id === input.id && before.snapshot.revision !== input.snapshot.revision;
  }

  /**
   * Lets changes in that have arrived but were not handed over yet: a loop that goes from one change to the next without
   * a pause would fall behind them.
   */
  async takeArrived(): Promise<void> {
    for (let turns = 0, seen: Input | null = null; turns < TURNS && this.#input !== seen; turns += 1) {
      seen = this.#input;
      await nextTurn();
    }
  }

  /**
   * Reads, guards and renders the newest input. `published`: data that was published keeps the revision it was published
   * with.
   * @returns why it was rejected, or null.
   */
  async render(published: Published | null): Promise<SidecarError | null> {
    const { loaded, env, source } = this.#parts;
    const input = this.#input;
    if (input === null) return null;
    const revision = published?.input === input.id ? published.revision : input.snapshot.revision;
    const version = { revision, digest: input.digest, rendering: null, at: Date.now() };
    try {
      const generation = await prepare(input, { loaded, env, source: source.state().url, revision });
      this.#rendered = { input, generation, version: { ...version, rendering: generation.rendering } };
      this.#complaint = null;
    } catch (thrown) {
      this.#rendered = { input, generation: null, version };
      this.#complaint = toSidecarError(thrown, 'render');
    }
    return this.#complaint;
  }

  /**
   * Asks VALIDATE_COMMAND about a copy below `stateDirectory`.
   * @returns why it was refused, or could not be asked; null when it passed, or the sidecar is ending.
   */
  async validate(stateDirectory: string, signal: AbortSignal): Promise<SidecarError | null> {
    const { loaded, env, clock } = this.#parts;
    const { VALIDATE_COMMAND: argv, VALIDATE_TIMEOUT: timeoutMs, OUTPUT: output } = loaded.settings;
    const { generation } = this;
    if (argv === undefined || generation === null) return null;
    const { rendering } = generation;
    if (this.#checked?.rendering !== rendering) this.#checking.clear();
    const command = { argv, env: environmentForCommands(env), timeoutMs, signal, hint: checkerHint(loaded) };
    try {
      await withStagedCopy(stateDirectory, { output, generation }, (path) =>
        runValidateCommand({ ...command, path }),
      );
      this.#checked = { rendering, passed: true };
      this.#checking.clear();
      if (this.version?.rendering === rendering) this.#complaint = null;
      return null;
    } catch (thrown) {
      if (signal.aborted) return null;
      this.#checked = { rendering, passed: false };
      this.#checking.fail(clock());
      const error = toSidecarError(thrown, 'validate');
      if (this.version?.rendering === rendering) this.#complaint = error;
      return error;
    }
  }

  /** Has what was rendered rendered again: what there is to say of it may have changed. */
  reconsider(): void {
    this.#rendered = null;
  }

  /** Forgets what was rejected or refused: the reason may lie outside the data (a schema that was mended). */
  tryAgain(): void {
    if (this.generation === null) this.#rendered = null;
    this.#checking.clear();
  }
}
