// A small world for `decide`: a source, a volume, a state directory, an application with its supervisor, and a clock. The
// sidecar in it can be ended at every point of a step, by kill -9 or SIGTERM.
import type { Obstacle, ProcessFact } from '../src/decide.ts';
import { SidecarError } from '../src/errors.ts';
import { EMPTY_LEDGER, type Kept, type Ledger, type Published } from '../src/ledger.ts';
import { type BootStamp, startedAfter } from '../src/process/boot-clock.ts';
import type { ProcessId } from '../src/process/proc.ts';
import { isAnswered, natureOfRendering, type Setting } from './decide-contents.ts';
import { lawOfIntervals, lawsOfRest } from './decide-laws.ts';
import { DiskFull, type KillPoint, Sidecar } from './decide-sidecar.ts';

/** How the hook behaves. `unknown`: the application reloads, but the answer is lost; `lost`: so is the question. */
export type HookMode = 'works' | 'unavailable' | 'refuses' | 'misconfigured' | 'unknown' | 'lost' | 'gone';

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

interface App {
  readonly pid: number;
  /** On the world's clock. */
  readonly startedAt: number;
  /** What it read last: at its start, or when it was told. */
  runs: string | null;
}

/** An application takes orders from this age on, and has a handler from the first of them on. */
const HANDLER_AFTER_MS = 400;
const SETTLED_AFTER_MS = 1_000;
/** What is deadly kills it so long after a start, or after a telling; a SIGTERM ends it. */
const DIES_AFTER_START_MS = 300;
const DIES_AFTER_TELLING_MS = 30;
const ENDS_AFTER_MS = 20;
/** An application that watches its files itself has read them after this. */
const READS_AFTER_MS = 20;
/** Who lives for so long has not died of its start. */
const HEALTHY_MS = 10_000;
const LONGEST_RESTART_MS = 4_000;
/** How long the source takes to answer a sidecar that starts. */
const ANSWER_MS = 5;

class Killed extends Error {
  readonly downMs: number | null;
  constructor(downMs: number | null) {
    super('killed');
    this.downMs = downMs;
  }
}

interface Happening {
  readonly at: number;
  readonly wakes: boolean;
  readonly act: () => void;
}

export class World {
  now = 0;
  content = 1;
  volume: string | null = null;
  app: App | null = null;
  sidecar: Sidecar | null = null;
  /** Lives of the sidecar so far. */
  lives = 0;
  validatorWorks: boolean = true;
  isOutputFull: boolean = false;
  isStateFull: boolean = false;
  disk: { readonly before: Ledger; readonly current: Ledger } = {
    before: EMPTY_LEDGER,
    current: EMPTY_LEDGER,
  };
  readonly copies = new Map<number, { readonly kept: Kept; isWhole: boolean }>();
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
  /** One for each time the application was told: what it then read, and of which publication. */
  readonly tellings: { readonly at: number; readonly read: string | null; readonly publication: number }[] =
    [];
  /** Publications of which it cannot be known whether the application was told. */
  readonly uncertain = new Set<number>();
  readonly setting: Setting;
  /** Nothing but the contents is at fault when something does not work. */
  readonly onlyContent: boolean;
  #nextUnder = this.under;
  #source: 'up' | 'fails' | 'hangs' = 'up';
  #hookMode: HookMode = 'works';
  #isAmbiguous = false;
  #isPodDown = false;
  #end: { readonly at: KillPoint; readonly how: 'kill' | 'stop'; readonly downMs: number } | null = null;
  #comesBackInMs: number | null = 0;
  #changedAt: number | null = null;
  #queue: Happening[] = [];
  #pids = 100;
  #deathsInARow = 0;
  #supervised = 0;
  #turn = 0;
  #isAwake = false;
  #harms = new Set<string>();

  constructor(setting: Setting, { onlyContent = false }: { readonly onlyContent?: boolean } = {}) {
    this.setting = setting;
    this.onlyContent = onlyContent;
    if (setting.isNamed) this.app = { pid: this.#pids, startedAt: -60_000, runs: null };
    this.#startSidecar();
  }

  /** Lets the events happen, one after the other, and the world go on for `thenMs` after the last. */
  play(events: readonly Event[], thenMs: number): void {
    let at = this.now;
    for (const { afterMs, trouble } of events) {
      at += afterMs;
      const { kind } = trouble;
      const wakes = ['change', 'source', 'end', 'hand', 'settings', 'pod'].includes(kind);
      this.#later(at - this.now, () => this.#befall(trouble), wakes);
    }
    const end = at + thenMs;
    while (this.now < end || this.#nextAt <= this.now) this.#turnOver(end);
  }

  /** All trouble ends; the source keeps what it has. */
  heal(): void {
    this.#hookMode = 'works';
    this.validatorWorks = true;
    this.isOutputFull = false;
    this.isStateFull = false;
    this.#isAmbiguous = false;
    this.#end = null;
    this.#setSource('up');
    if (this.setting.isNamed && this.app === null && !this.#isPodDown) this.#startApp();
  }

  // Time.

  #turnOver(end: number): void {
    try {
      this.#happen();
      if (this.sidecar === null) this.#passTo(Math.min(this.#nextAt, end));
      else this.sidecar.step(end);
    } catch (thrown) {
      if (!(thrown instanceof Killed)) throw thrown;
      this.#comesBackInMs = thrown.downMs;
      this.sidecarEnded();
    }
  }

  #later(inMs: number, act: () => void, wakes = false): void {
    const at = this.now + inMs;
    const after = this.#queue.findIndex((one) => one.at > at);
    this.#queue.splice(after < 0 ? this.#queue.length : after, 0, { at, act, wakes });
  }

  #happen(): void {
    while (this.#queue[0] !== undefined && this.#queue[0].at <= this.now) {
      const one = this.#queue.shift();
      if (one?.wakes) this.#isAwake = true;
      one?.act();
    }
  }

  get #nextAt(): number {
    return this.#queue[0]?.at ?? Number.POSITIVE_INFINITY;
  }

  #passTo(at: number): void {
    this.now = Math.max(at, this.now + 1);
  }

  /** A wait that what wakes the loop ends early; everything else happens meanwhile, and is found at the next look. */
  passUntil(until: number): void {
    this.#isAwake = false;
    while (this.now < until && !this.#isAwake) {
      this.#passTo(Math.min(this.#nextAt, until));
      this.#happen();
    }
  }

  /** A step takes its time, and the world goes on meanwhile. */
  take(): void {
    const { durationsMs } = this.setting;
    const end = this.now + (durationsMs[this.#turn++ % durationsMs.length] ?? 0);
    while (this.#queue[0] !== undefined && this.#queue[0].at <= end) {
      this.now = Math.max(this.now, this.#queue[0].at);
      this.#happen();
    }
    this.now = end;
  }

  // The lives of the sidecar.

  #startSidecar(): void {
    this.under = this.#nextUnder;
    this.sidecar = new Sidecar(this);
    this.lives += 1;
    this.#harms.clear();
    const { sidecar } = this;
    const answer = (): void => {
      if (this.sidecar !== sidecar || this.#source === 'hangs') return;
      sidecar.notice(this.#source === 'up' ? this.content : null);
    };
    this.#later(ANSWER_MS, answer, true);
  }

  /** A point of a step is passed, at which the sidecar may have to end. */
  point(point: KillPoint): void {
    if (this.#end?.at !== point || this.sidecar === null) return;
    const { how, downMs } = this.#end;
    this.#end = null;
    // A death that was seen, and then kill -9 before anybody knows why: the next start takes the content for its cause.
    if (how === 'kill' && this.#isPodDown && this.onlyContent) return;
    this.uncertain.add(this.publications);
    if (how === 'kill') throw new Killed(downMs);
    this.#comesBackInMs = downMs;
    this.sidecar.isStopping = true;
  }

  /** Nothing is left to do for now. */
  rest(sidecar: Sidecar): void {
    lawsOfRest(this, sidecar);
  }

  sidecarEnded(): void {
    if (this.sidecar !== null) lawOfIntervals(this.sidecar, this.setting);
    this.sidecar = null;
    if (this.#comesBackInMs === null || this.#isPodDown) return;
    this.#later(this.#comesBackInMs, () => {
      if (this.sidecar === null && !this.#isPodDown) this.#startSidecar();
    });
  }

  // What happens.

  #befall(trouble: Trouble): void {
    this.troubles += 1;
    switch (trouble.kind) {
      case 'change':
        this.content = trouble.content;
        if (this.#source === 'up') this.sidecar?.notice(this.content);
        return;
      case 'source':
        this.#setSource(trouble.mode);
        return;
      case 'hook':
        this.#hookMode = trouble.mode;
        return;
      case 'validator':
        this.validatorWorks = trouble.works;
        return;
      case 'disk':
        if (trouble.of !== 'state') this.isOutputFull = trouble.full;
        if (trouble.of !== 'output') this.isStateFull = trouble.full;
        return;
      case 'drift':
        this.volume = trouble.to === 'other' ? 'drifted' : null;
        this.driftAt = this.now;
        this.#volumeChanged();
        return;
      case 'app':
        this.#befallApp(trouble.becomes);
        return;
      case 'end':
        this.#end = trouble;
        return;
      case 'pod':
        this.#endPod(trouble);
        return;
      case 'settings':
        this.#nextUnder = `settings ${this.troubles}`;
        this.#end = { at: 'waiting', how: 'stop', downMs: 0 };
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
    if (mode !== 'hangs') this.sidecar?.notice(mode === 'up' ? this.content : null);
  }

  #damageCopy(): void {
    const newest = [...this.copies.values()].sort((a, b) => b.kept.confirmedAt - a.kept.confirmedAt)[0];
    if (newest !== undefined) newest.isWhole = false;
  }

  #useHand(does: Extract<Trouble, { kind: 'hand' }>['does']): void {
    const { sidecar } = this;
    if (sidecar === null || sidecar.isStopping) return;
    this.#harms.clear();
    try {
      if (does === 'sync' || does === 'retry') sidecar.sync(does === 'retry');
      else if (does === 'resume') sidecar.setPinned(null);
      else sidecar.pin(does === 'pin' ? null : (sidecar.ledger.kept.at(-1)?.generation ?? null));
    } catch (thrown) {
      if (!(thrown instanceof SidecarError || thrown instanceof DiskFull)) throw thrown;
    }
  }

  #endPod({ how, stopAfterMs, downMs, isAppFirst, keeps }: Extract<Trouble, { kind: 'pod' }>): void {
    if (this.#isPodDown) return;
    this.#isPodDown = true;
    this.app = null;
    this.#supervised += 1;
    this.uncertain.add(this.publications).add(this.publications + 1);
    const startsInMs = stopAfterMs + downMs;
    this.#later(startsInMs, () => this.#startPod(keeps, isAppFirst), true);
    this.#comesBackInMs = null;
    if (how === 'kill') throw new Killed(null);
    const stop = (): void => {
      if (this.sidecar !== null) this.sidecar.isStopping = true;
    };
    this.#later(stopAfterMs, stop, true);
  }

  #startPod(keeps: Extract<Trouble, { kind: 'pod' }>['keeps'], isAppFirst: boolean): void {
    if (this.sidecar !== null) throw new Error('the sidecar outlived its pod');
    this.#isPodDown = false;
    if (keeps !== 'everything') {
      this.volume = null;
      this.#changedAt = null;
      this.bootId = `boot ${this.now}`;
    }
    if (keeps === 'nothing') {
      this.disk = { before: EMPTY_LEDGER, current: EMPTY_LEDGER };
      this.copies.clear();
    }
    const startApp = (): void => {
      if (this.setting.isNamed && this.app === null && !this.#isPodDown) this.#startApp();
    };
    const startSidecar = (): void => {
      if (this.sidecar === null && !this.#isPodDown) this.#startSidecar();
    };
    this.#later(isAppFirst ? 0 : 500, startApp);
    this.#later(isAppFirst ? 500 : 0, startSidecar);
  }

  // The volume.

  rename(rendering: string): void {
    this.volume = rendering;
    this.publications += 1;
    this.renames.push({ at: this.now, rendering });
    this.#volumeChanged();
  }

  #volumeChanged(): void {
    this.#changedAt = this.now;
    if (this.setting.hook !== 'none') return;
    const { app } = this;
    this.#later(READS_AFTER_MS, () => {
      if (app !== null && app === this.app) this.#read(app);
    });
  }

  /** Read off the volume: its own time and a second more. */
  momentOfVolume(): BootStamp {
    return this.#changedAt === null
      ? { bootId: null, ticks: null }
      : { bootId: this.bootId, ticks: ticksOf(this.#changedAt) + 100 };
  }

  stamp(): BootStamp {
    return { bootId: this.bootId, ticks: ticksOf(this.now) };
  }

  // The application.

  /** What the application runs; undefined where nobody is there who could. */
  get runs(): string | null | undefined {
    if (this.setting.isNamed) return this.app?.runs;
    return this.setting.hook === 'none' ? undefined : this.tellings.at(-1)?.read;
  }

  isAlive({ pid }: ProcessId): boolean {
    return this.app?.pid === pid;
  }

  /** What CONFIRM_URL shows. */
  answersAs(rendering: string): boolean {
    if (natureOfRendering(rendering) === 'unconfirmed') return false;
    const isThere = !this.setting.isNamed || this.app !== null;
    return isThere && (this.runs === undefined || this.runs === rendering);
  }

  see({ moment }: Published): { readonly fact: ProcessFact | null; readonly id: ProcessId | null } {
    const { app, setting } = this;
    if (!setting.isNamed) return { fact: null, id: null };
    if (this.#isAmbiguous) return { fact: obstacle('ambiguous'), id: null };
    if (app === null) return { fact: obstacle('no-target'), id: null };
    const id = { pid: app.pid, startTicks: ticksOf(app.startedAt) };
    if (moment !== null && startedAfter(id, moment, this.stamp()))
      return { fact: { kind: 'started-after' }, id };
    if (setting.hook !== 'signal') return { fact: { kind: 'ready' }, id };
    if (!setting.restarts && this.now < app.startedAt + HANDLER_AFTER_MS)
      return { fact: obstacle('held-back'), id };
    const settledAt = app.startedAt + SETTLED_AFTER_MS;
    return { fact: this.now < settledAt ? { kind: 'settling', until: settledAt } : { kind: 'ready' }, id };
  }

  /** The hook is used. */
  tell(process: ProcessId | null): 'told' | 'unavailable' | 'refused' | 'misconfigured' | 'unknown' | 'gone' {
    const { setting, app } = this;
    const mode = this.#hookMode;
    if (mode === 'gone') return 'gone';
    const isThere = !setting.isNamed || (app !== null && app.pid === process?.pid);
    if (!isThere) return isAnswered(setting) ? 'unavailable' : 'gone';
    if (mode === 'unavailable' || mode === 'misconfigured') return mode;
    if (!isAnswered(setting)) {
      this.#deliver();
      return 'told';
    }
    if (app !== null && this.now < app.startedAt + HANDLER_AFTER_MS) return 'unavailable';
    if (mode === 'refuses' || natureOfRendering(this.volume) === 'refused') return 'refused';
    if (mode !== 'lost') this.#deliver();
    if (mode === 'works') return 'told';
    this.uncertain.add(this.publications);
    return 'unknown';
  }

  #deliver(): void {
    this.tellings.push({ at: this.now, read: this.volume, publication: this.publications });
    if (this.app === null) return;
    if (!this.setting.restarts) {
      this.#read(this.app);
      return;
    }
    this.#dieIn(ENDS_AFTER_MS, this.app, () => this.#harm('deadly'));
  }

  #read(app: App): void {
    app.runs = this.volume;
    const nature = natureOfRendering(this.volume);
    if (nature !== 'deadly' && nature !== 'kills when told') return;
    if (this.setting.hook !== 'none') this.#harm(nature);
    this.#dieIn(DIES_AFTER_TELLING_MS, app);
  }

  /** A bad content harms the application by our doing once in a life of the sidecar, unless somebody wanted it so. */
  #harm(nature: string): void {
    const { volume } = this;
    if (volume === null || natureOfRendering(volume) !== nature) return;
    if (this.#harms.has(volume) && !this.confirmed.has(volume) && this.setting.periodMs > 0)
      throw new Error(`harms the application with ${volume} again`);
    this.#harms.add(volume);
  }

  /** `then`: when another one has its place. */
  #dieIn(ms: number, app: App, then: () => void = () => {}): void {
    this.#later(ms, () => {
      if (this.app !== app) return;
      this.app = null;
      const isSoon = this.now - app.startedAt < HEALTHY_MS;
      this.#deathsInARow = isSoon ? this.#deathsInARow + 1 : 0;
      const inMs = Math.min(LONGEST_RESTART_MS, this.setting.restartMs * 2 ** this.#deathsInARow);
      const turn = ++this.#supervised;
      this.#later(inMs, () => {
        if (this.#supervised !== turn || this.app !== null || this.#isPodDown) return;
        this.#startApp();
        then();
      });
    });
  }

  #startApp(): void {
    this.#pids += 1;
    this.app = { pid: this.#pids, startedAt: this.now, runs: this.volume };
    const { app } = this;
    if (natureOfRendering(app.runs) !== 'deadly') return;
    // Unless it has read something else by then.
    this.#later(DIES_AFTER_START_MS, () => {
      if (natureOfRendering(app.runs) === 'deadly') this.#dieIn(0, app);
    });
  }

  #befallApp(becomes: 'absent' | 'restarted' | 'ambiguous'): void {
    if (!this.setting.isNamed || this.#isPodDown) return;
    this.#isAmbiguous = becomes === 'ambiguous';
    this.#supervised += 1;
    this.app = null;
    if (becomes !== 'absent') this.#startApp();
  }
}

function ticksOf(ms: number): number {
  return Math.floor(ms / 10) + 1_000_000;
}

function obstacle(outcome: Obstacle['outcome']): ProcessFact {
  return { kind: 'obstacle', obstacle: { outcome, code: `reload.${outcome}`, message: 'Not now.' } };
}
