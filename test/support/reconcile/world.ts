// A small world for the real loop: a source, a volume, a state directory, an application with its supervisor, and a clock. The
// sidecar in it can be ended at every point of a step, by kill -9 or SIGTERM.

import { EMPTY_LEDGER, type KeptGeneration, type Ledger } from '../../../src/ledger/ledger.ts';
import type { BootStamp } from '../../../src/ledger/types.ts';
import { SidecarError } from '../../../src/lib/errors.ts';
import { Application, type HookMode } from './application.ts';
import { Clock } from './clock.ts';
import { type Setting, ticksOf } from './contents.ts';
import { lawOfIntervals, lawsOfRest } from './laws.ts';
import { type KillPoint, Life } from './life.ts';
import { Volume } from './volume.ts';

export type Trouble =
  | { readonly kind: 'change'; readonly content: number }
  /** `hangs`: it does not even fail. */
  | { readonly kind: 'source'; readonly mode: 'up' | 'fails' | 'hangs' }
  | { readonly kind: 'hook'; readonly mode: HookMode }
  | { readonly kind: 'validator'; readonly works: boolean }
  | { readonly kind: 'disk'; readonly of: 'output' | 'state' | 'both'; readonly full: boolean }
  | { readonly kind: 'drift'; readonly to: 'other' | 'nothing' }
  | { readonly kind: 'app'; readonly becomes: 'absent' | 'restarted' | 'ambiguous' }
  /** The sidecar ends at that point, and comes back after `downMs`. `under`: with other reload and confirm settings. */
  | { readonly kind: 'end'; readonly at: KillPoint; readonly how: 'kill' | 'stop'; readonly downMs: number }
  /** The pod ends: the application first, the sidecar a little later; and both start again, here or elsewhere. */
  | {
      readonly kind: 'pod';
      readonly how: 'kill' | 'stop';
      readonly stopAfterMs: number;
      readonly downMs: number;
      readonly isAppFirst: boolean;
      readonly keeps: 'everything' | 'state' | 'nothing';
    }
  | { readonly kind: 'settings' }
  | { readonly kind: 'ledger'; readonly is: 'lost' | 'cut' }
  /** The newest copy of a generation cannot be read any more. */
  | { readonly kind: 'copy damaged' }
  | { readonly kind: 'hand'; readonly does: 'pin' | 'pin oldest' | 'resume' | 'sync' | 'retry' };

/** A trouble and how long after the one before it comes. */
export interface Event {
  readonly afterMs: number;
  readonly trouble: Trouble;
}

/** Far above what any world needs: a loop that turns for nothing is a failure, and no test that hangs. */
const MOST_TURNS = 100_000;

/** How long the source takes to answer a sidecar that starts. */
const ANSWER_MS = 5;

export class World {
  content = 1;
  readonly outputs: Volume;
  life: Life | null = null;
  /** Lives of the sidecar so far. */
  lives = 0;
  validatorWorks: boolean = true;
  isOutputFull: boolean = false;
  isStateFull: boolean = false;
  /** A suspicion was over and the full disk still holds it. */
  isSuspicionStuck: boolean = false;
  disk: { readonly before: Ledger; readonly current: Ledger } = {
    before: EMPTY_LEDGER,
    current: EMPTY_LEDGER,
  };
  readonly copies = new Map<number, { readonly kept: KeptGeneration; isWhole: boolean }>();
  /** Digest of the settings. */
  under = 'settings 0';
  bootId = 'boot 0';
  driftAt: number = Number.NEGATIVE_INFINITY;
  publications = 0;
  troubles = 0;
  /** Every rendering that was ever found to work. */
  readonly confirmed = new Set<string>();
  readonly renders: number[] = [];
  readonly renames: { readonly at: number; readonly rendering: string }[] = [];
  /** One for each notification of the application: what it then read, and of which publication. */
  readonly tellings: { readonly at: number; readonly read: string | null; readonly publication: number }[] =
    [];
  /** Publications of which it is unknown whether the application was notified. */
  readonly uncertain = new Set<number>();
  readonly setting: Setting;
  readonly application: Application;
  /** Nothing but the contents is at fault when something does not work. */
  readonly onlyContent: boolean;
  #nextUnder = this.under;
  #source: 'up' | 'fails' | 'hangs' = 'up';
  readonly #clock = new Clock();
  isPodDown: boolean = false;
  #end: { readonly at: KillPoint; readonly how: 'kill' | 'stop'; readonly downMs: number } | null = null;
  #comesBackInMs: number | null = 0;
  changedAt: number | null = null;
  #forbidden: Error | null = null;
  #turn = 0;

  constructor(setting: Setting, { onlyContent = false }: { readonly onlyContent?: boolean } = {}) {
    this.setting = setting;
    this.outputs = new Volume(setting.outputs);
    this.onlyContent = onlyContent;
    this.application = new Application(this, this.#clock);
    this.#startSidecar();
  }

  /** Something that must not happen: the test fails, whatever becomes of it. */
  forbid(message: string): never {
    this.#forbidden ??= new Error(message);
    throw this.#forbidden;
  }

  /** For a loop that goes on all the same: it must not turn for ever. */
  refuseForbidden(): void {
    if (this.#forbidden !== null) throw this.#forbidden;
  }

  /** Lets the events happen, one after the other, and the world go on for `thenMs` after the last. */
  async play(events: readonly Event[], thenMs: number): Promise<void> {
    let at = this.now;
    for (const { afterMs, trouble } of events) {
      at += afterMs;
      this.#clock.later(at - this.now, () => this.#befall(trouble));
    }
    const end = at + thenMs;
    for (let turns = 0; this.now < end || this.#clock.nextAt <= this.now; turns += 1) {
      if (turns > MOST_TURNS) throw new Error(`it never comes to rest: ${JSON.stringify(this.life?.state)}`);
      await this.#goOn(end);
      this.refuseForbidden();
    }
  }

  /** All trouble ends; the source keeps what it has. */
  heal(): void {
    this.application.hookMode = 'works';
    this.validatorWorks = true;
    this.isOutputFull = false;
    this.isStateFull = false;
    this.application.isAmbiguous = false;
    this.#end = null;
    this.#setSource('up');
    this.application.start();
  }

  get now(): number {
    return this.#clock.now;
  }

  // Time.

  /** Until the sidecar has something to do, or nothing is left but time. */
  async #goOn(end: number): Promise<void> {
    const { life } = this;
    if (life?.isStarted === false) await life.start();
    const sleeping = life?.sleeping ?? null;
    if (life !== null && sleeping === null) {
      this.#ended(life);
      return;
    }
    const until = Math.min(sleeping?.until ?? end, end);
    this.#clock.happen();
    await this.#letValidate(life);
    while (this.now < until && !sleeping?.wake.aborted && this.life === life) {
      this.#clock.passTo(Math.min(this.#clock.nextAt, until));
      this.#clock.happen();
      await this.#letValidate(life);
    }
    const isAwake = sleeping !== null && (sleeping.wake.aborted || this.now >= sleeping.until);
    if (isAwake && life !== null) await life.wake();
  }

  /** A validation that has ended beside the loop is handed over. */
  async #letValidate(life: Life | null): Promise<void> {
    if (life?.isValidating !== true) return;
    for (let turns = 0; turns < 30 && life.sleeping?.wake.aborted === false; turns += 1)
      await Promise.resolve();
  }

  /** Something beside the loop takes its time. */
  async pass(signal: AbortSignal): Promise<void> {
    const { durationsMs } = this.setting;
    const ms = durationsMs[this.#turn++ % durationsMs.length] ?? 0;
    if (ms === 0 || signal.aborted) return;
    await new Promise<void>((resolve) => {
      const end = (): void => {
        signal.removeEventListener('abort', end);
        resolve();
      };
      this.#clock.later(ms, end);
      signal.addEventListener('abort', end);
    });
  }

  /** A step of the sidecar takes its time. */
  take(): void {
    const { durationsMs } = this.setting;
    this.#clock.take(durationsMs[this.#turn++ % durationsMs.length] ?? 0);
  }

  // The lives of the sidecar.

  #startSidecar(): void {
    this.under = this.#nextUnder;
    const life = new Life(this);
    this.life = life;
    this.lives += 1;
    this.application.forgetHarms();
    this.#clock.later(ANSWER_MS, () => {
      if (this.life !== life || this.#source === 'hangs') return;
      life.notice(this.#source === 'up' ? this.content : null);
    });
  }

  /** A point of a step is passed, at which the sidecar may have to end. */
  point(point: KillPoint): void {
    const { life } = this;
    if (this.#end?.at !== point || life === null || life.isDead || life.isStopping) return;
    const { how, downMs } = this.#end;
    this.#end = null;
    // A death that was seen, and then kill -9 before the reason is known: the next start takes the content for the cause.
    if (how === 'kill' && this.isPodDown && this.onlyContent) return;
    this.uncertain.add(this.publications);
    this.#comesBackInMs = downMs;
    if (how === 'kill') life.kill();
    else life.stop();
  }

  /** Nothing is left to do for now. */
  rest(life: Life): void {
    lawsOfRest(this, life);
  }

  #ended(life: Life): void {
    lawOfIntervals(this, life);
    if (this.life === life) this.life = null;
    if (this.#comesBackInMs === null || this.isPodDown) return;
    this.#clock.later(this.#comesBackInMs, () => {
      if (this.life === null && !this.isPodDown) this.#startSidecar();
    });
  }

  // What happens.

  #befall(trouble: Trouble): void {
    this.troubles += 1;
    switch (trouble.kind) {
      case 'change':
        this.content = trouble.content;
        if (this.#source === 'up') this.life?.notice(this.content);
        return;
      case 'source':
        this.#setSource(trouble.mode);
        return;
      case 'hook':
        this.application.hookMode = trouble.mode;
        return;
      case 'validator':
        this.validatorWorks = trouble.works;
        return;
      case 'disk':
        if (trouble.of !== 'state') this.isOutputFull = trouble.full;
        if (trouble.of !== 'output') this.isStateFull = trouble.full;
        return;
      case 'drift':
        this.#drift(trouble.to === 'other' ? 'drifted' : null);
        this.driftAt = this.now;
        // What was tried meanwhile is not judged, and has to be tried again.
        this.application.forgetHarms();
        this.#volumeChanged();
        return;
      case 'app':
        this.application.befall(trouble.becomes);
        return;
      case 'end':
        this.#end = trouble;
        if (this.life?.sleeping != null) this.point('waiting');
        return;
      case 'pod':
        this.#endPod(trouble);
        return;
      case 'settings':
        this.#nextUnder = `settings ${this.troubles}`;
        this.#end = { at: 'waiting', how: 'stop', downMs: 0 };
        if (this.life?.sleeping != null) this.point('waiting');
        return;
      case 'ledger':
        this.uncertain.add(this.publications);
        this.disk =
          trouble.is === 'lost'
            ? { before: EMPTY_LEDGER, current: EMPTY_LEDGER }
            : { before: this.disk.before, current: this.disk.before };
        return;
      case 'copy damaged':
        this.#damageCopy();
        return;
      case 'hand':
        this.#useHand(trouble.does);
    }
  }

  #setSource(mode: 'up' | 'fails' | 'hangs'): void {
    this.#source = mode;
    if (mode !== 'hangs') this.life?.notice(mode === 'up' ? this.content : null);
  }

  #damageCopy(): void {
    const newest = [...this.copies.values()].sort((a, b) => b.kept.confirmedAt - a.kept.confirmedAt)[0];
    if (newest !== undefined) newest.isWhole = false;
  }

  #useHand(does: Extract<Trouble, { kind: 'hand' }>['does']): void {
    const { life } = this;
    if (life === null || life.isStopping || !life.state.session.isOpen) return;
    this.application.forgetHarms();
    try {
      if (does === 'sync' || does === 'retry') life.sync(does === 'retry');
      else if (does === 'resume') life.unpin();
      else life.pin(does === 'pin' ? null : (life.state.ledger.kept.at(-1)?.generation ?? null));
    } catch (thrown) {
      if (!(thrown instanceof SidecarError)) throw thrown;
    }
  }

  #endPod({ how, stopAfterMs, downMs, isAppFirst, keeps }: Extract<Trouble, { kind: 'pod' }>): void {
    if (this.isPodDown) return;
    this.isPodDown = true;
    this.application.end();
    this.uncertain.add(this.publications).add(this.publications + 1);
    const startsInMs = stopAfterMs + downMs;
    this.#clock.later(startsInMs, () => this.#startPod(keeps, isAppFirst));
    this.#comesBackInMs = null;
    if (how === 'kill') this.life?.kill();
    else this.#clock.later(stopAfterMs, () => this.life?.stop());
  }

  #startPod(keeps: Extract<Trouble, { kind: 'pod' }>['keeps'], isAppFirst: boolean): void {
    if (this.life !== null) this.forbid('the sidecar outlived its pod');
    this.isPodDown = false;
    if (keeps !== 'everything') {
      this.outputs.show(null);
      this.outputs.staged = null;
      this.changedAt = null;
      this.bootId = `boot ${this.now}`;
    }
    if (keeps === 'nothing') {
      this.disk = { before: EMPTY_LEDGER, current: EMPTY_LEDGER };
      this.copies.clear();
    }
    const startSidecar = (): void => {
      if (this.life === null && !this.isPodDown) this.#startSidecar();
    };
    this.#clock.later(isAppFirst ? 0 : 500, () => this.application.start());
    this.#clock.later(isAppFirst ? 500 : 0, startSidecar);
  }

  // The volume.

  /** What the outputs show together; null: nothing. */
  get volume(): string | null {
    return this.outputs.shown;
  }

  /** One output shows the rendering from now on; with the last of them it is published. */
  swap(output: number, rendering: string): void {
    this.outputs.outputs[output] = rendering;
    if (this.volume === rendering) {
      this.publications += 1;
      this.renames.push({ at: this.now, rendering });
    }
    this.#volumeChanged();
  }

  /** Of several outputs one is changed by others, or all. */
  #drift(to: string | null): void {
    if (this.troubles % 2 === 0) this.outputs.show(to);
    else this.outputs.outputs[this.troubles % this.setting.outputs] = to;
  }

  #volumeChanged(): void {
    this.changedAt = this.now;
    this.application.filesChanged();
  }

  /** Read off the volume: its own time and a second more. */
  momentOfVolume(): BootStamp {
    return this.changedAt === null
      ? { bootId: null, ticks: null }
      : { bootId: this.bootId, ticks: ticksOf(this.changedAt) + 100 };
  }

  stamp(): BootStamp {
    return { bootId: this.bootId, ticks: ticksOf(this.now) };
  }

  // The application.

  get app(): Application['app'] {
    return this.application.app;
  }

  /** What the application runs; undefined while there is no process. */
  get runs(): string | null | undefined {
    return this.application.runs;
  }
}
