// A small world for `decide`: a source, a volume, a validator, an application and a clock, in which a loop like the one
// of src/target.ts carries out what was decided, and can be killed at every point of it.
import { decide, type Facts, type Obstacle, type ProcessFact, type Step } from '../src/decide.ts';
import type { Ledger, Published } from '../src/ledger.ts';
import * as ledgers from '../src/ledger.ts';
import { type BootStamp, startedAfter } from '../src/process/boot-clock.ts';

/** Where in a step the sidecar can be killed, in the order in which a publication passes them. */
export const KILL_POINTS = ['waiting', 'intended', 'renamed', 'published', 'delivered', 'told'] as const;
export type KillPoint = (typeof KILL_POINTS)[number];

/** How the hook behaves. `unknown`: the application reloads, but the answer is lost. */
export type HookMode = 'works' | 'unavailable' | 'refuses' | 'unknown' | 'gone';

export type Trouble =
  /** The source shows another content; every fifth cannot be rendered, every seventh never passes the validator. */
  | { readonly kind: 'change'; readonly content: number }
  | { readonly kind: 'hook'; readonly mode: HookMode }
  | { readonly kind: 'validator'; readonly works: boolean }
  | { readonly kind: 'disk'; readonly full: boolean }
  | { readonly kind: 'drift'; readonly to: 'other' | 'nothing' }
  | { readonly kind: 'app'; readonly becomes: 'absent' | 'restarted' | 'ambiguous' }
  | { readonly kind: 'kill'; readonly at: KillPoint }
  | { readonly kind: 'ledger lost' }
  /** The source answers a sidecar that has just started. */
  | { readonly kind: 'answer' };

/** A trouble and how long after the one before it comes. */
export interface Event {
  readonly afterMs: number;
  readonly trouble: Trouble;
}

export interface Setting {
  readonly limits: Facts['limits'];
  readonly hook: Facts['hook'];
  /** Whether the application's process is named. */
  readonly isNamed: boolean;
  readonly validates: boolean;
  /** How long the steps take, used in turn. */
  readonly durationsMs: readonly number[];
}

interface App {
  /** Start time on the world's clock. */
  readonly startedAt: number;
  /** What it read last: at its start, or when it was told. */
  runs: string | null;
}

const BOOT = 'boot';
/** An application takes orders from this age on, and has a handler from the first of them on. */
const HANDLER_AFTER_MS = 400;
const SETTLED_AFTER_MS = 1_000;
/** How long the source takes to answer a sidecar that starts. */
const ANSWER_MS = 5;
/** Far above what any chain of rules needs at one instant. */
const MAX_STEPS_AT_ONCE = 25;

/** What is forgotten when the sidecar is killed. */
const NEWBORN = {
  asked: false,
  input: null as Facts['input'],
  rendered: null as Facts['rendered'],
  checked: null as Facts['checked'],
  checkFailures: 0,
  held: null as string | null,
  volume: null as Facts['volume'],
  publishedAt: null as number | null,
  publishFailures: 0,
  publishRetryAt: 0,
  reloadRetryAt: 0,
  reloadFailures: 0,
};

class Killed extends Error {}

export function isRenderable(content: number): boolean {
  return content % 5 !== 4;
}

export function isValid(content: number): boolean {
  return content % 7 !== 6;
}

export function renderingOf(content: number): string {
  return `r${content}`;
}

export class World {
  now = 0;
  content = 1;
  volume: string | null = null;
  app: App | null = null;
  isAmbiguous: boolean = false;
  hookMode: HookMode = 'works';
  validatorWorks: boolean = true;
  isDiskFull: boolean = false;
  onDisk: Ledger = ledgers.EMPTY_LEDGER;
  ledger: Ledger = ledgers.EMPTY_LEDGER;
  /** When the publications of each run began, one list per run. */
  readonly runs: number[][] = [];
  readonly renders: number[] = [];
  /** One for each time the application was told: what it then read, and of which publication. */
  readonly tellings: { readonly at: number; readonly read: string | null; readonly publication: number }[] =
    [];
  /** Publications of which it cannot be known whether the application was told. */
  readonly uncertain = new Set<number>();
  readonly renames: number[] = [];
  readonly setting: Setting;
  #memory = { ...NEWBORN };
  #publications = 0;
  #driftAt = Number.NEGATIVE_INFINITY;
  #changedAt: number | null = null;
  #killAt: KillPoint | null = null;
  #queue: { readonly at: number; readonly trouble: Trouble }[] = [];
  #stepsAtOnce = 0;
  #turn = 0;

  constructor(setting: Setting) {
    this.setting = setting;
    this.app = setting.isNamed ? { startedAt: -60_000, runs: null } : null;
    this.#start();
  }

  /** Lets the events happen, one after the other, and the world go on for `thenMs` after the last. */
  play(events: readonly Event[], thenMs: number): void {
    let at = this.now;
    for (const { afterMs, trouble } of events) {
      at += afterMs;
      this.#queue.push({ at, trouble });
    }
    this.#queue.sort((a, b) => a.at - b.at);
    const end = at + thenMs;
    while (this.now < end) this.#step(end);
  }

  /** All trouble ends; the source keeps what it has. */
  heal(): void {
    this.#happen();
    this.hookMode = 'works';
    this.validatorWorks = true;
    this.isDiskFull = false;
    this.isAmbiguous = false;
    this.#killAt = null;
    if (this.setting.isNamed && this.app === null) this.#startApp();
  }

  get publications(): number {
    return this.#publications;
  }

  #start(): void {
    this.#memory = { ...NEWBORN };
    this.ledger = ledgers.resolveIntention(this.onDisk, this.volume, this.#momentOfVolume());
    this.runs.push([]);
    this.#look();
    this.#queue.push({ at: this.now + ANSWER_MS, trouble: { kind: 'answer' } });
    this.#queue.sort((a, b) => a.at - b.at);
  }

  #step(end: number): void {
    this.#happen();
    try {
      const facts = this.#facts();
      const step = decide(facts);
      this.#watchForHotLoop(step);
      if (step.kind === 'wait') this.#wait(step.until, end);
      else this.#carryOut(step, facts);
    } catch (thrown) {
      if (!(thrown instanceof Killed)) throw thrown;
      this.#killAt = null;
      this.#start();
    }
  }

  #watchForHotLoop(step: Step): void {
    this.#stepsAtOnce += 1;
    if (step.kind === 'wait' && !(step.until > this.now))
      throw new Error(`waits for the past: ${JSON.stringify(step)}`);
    if (this.#stepsAtOnce > MAX_STEPS_AT_ONCE)
      throw new Error(`hot loop at ${this.now}: ${JSON.stringify(step)}`);
  }

  #wait(until: number, end: number): void {
    if (!this.isDiskFull && this.onDisk !== this.ledger) this.onDisk = this.ledger;
    this.#dieIfDue('waiting');
    const next = this.#queue.find(({ trouble }) => wakes(trouble))?.at ?? Number.POSITIVE_INFINITY;
    this.#pass(Math.max(1, Math.min(until, next, end) - this.now));
  }

  #pass(ms: number): void {
    if (ms <= 0) return;
    this.#stepsAtOnce = 0;
    this.now += ms;
  }

  /** A step takes its time, and the world goes on meanwhile. */
  #take(): void {
    const { durationsMs } = this.setting;
    this.#pass(durationsMs[this.#turn++ % durationsMs.length] ?? 0);
    this.#happen();
  }

  #happen(): void {
    while (this.#queue[0] !== undefined && this.#queue[0].at <= this.now) {
      const { trouble } = this.#queue.shift() as { readonly trouble: Trouble };
      this.#befall(trouble);
    }
  }

  #befall(trouble: Trouble): void {
    switch (trouble.kind) {
      case 'change':
        this.#change(trouble.content);
        return;
      case 'answer':
        this.#change(this.content);
        return;
      case 'hook':
        this.hookMode = trouble.mode;
        return;
      case 'validator':
        this.validatorWorks = trouble.works;
        return;
      case 'disk':
        this.isDiskFull = trouble.full;
        return;
      case 'drift':
        this.volume = trouble.to === 'other' ? 'drifted' : null;
        this.#driftAt = this.now;
        this.#changedAt = this.now;
        return;
      case 'app':
        this.isAmbiguous = trouble.becomes === 'ambiguous';
        this.app = null;
        if (trouble.becomes !== 'absent' && this.setting.isNamed) this.#startApp();
        return;
      case 'kill':
        this.#killAt = trouble.at;
        return;
      case 'ledger lost':
        this.onDisk = ledgers.EMPTY_LEDGER;
        this.uncertain.add(this.#publications);
        return;
    }
  }

  #startApp(): void {
    this.app = { startedAt: this.now, runs: this.volume };
  }

  #change(content: number): void {
    this.content = content;
    const memory = this.#memory;
    const id = `i${content}`;
    memory.asked = true;
    if (memory.input?.id === id) return;
    const waits = memory.input !== null && memory.input.id !== memory.rendered?.input;
    const first = waits && memory.input !== null ? memory.input.changes.first : this.now;
    memory.input = { id, changes: { first, latest: this.now } };
  }

  #facts(): Facts {
    const { limits, hook, validates } = this.setting;
    const { asked, input, rendered, checked, volume, held, publishedAt, publishRetryAt } = this.#memory;
    const { published, owed } = this.ledger;
    return {
      now: this.now,
      limits,
      asked,
      askUntil: Number.POSITIVE_INFINITY,
      input,
      rendered,
      checked,
      validates,
      volume,
      published: published && { rendering: published.rendering, held: held === published.rendering },
      publishedAt,
      publishRetryAt,
      owed: owed && { retryAt: this.#memory.reloadRetryAt },
      hook,
      process: this.#process(),
    };
  }

  #process(): ProcessFact | null {
    const { published, owed } = this.ledger;
    if (!this.setting.isNamed || owed === null || published === null) return null;
    if (this.isAmbiguous) return obstacle('ambiguous');
    if (this.app === null) return obstacle('no-target');
    const { startedAt } = this.app;
    const id = { pid: 7, startTicks: ticksOf(startedAt) };
    if (published.moment !== null && startedAfter(id, published.moment, this.#stamp()))
      return { kind: 'started-after' };
    if (this.now < startedAt + HANDLER_AFTER_MS) return obstacle('held-back');
    if (this.now < startedAt + SETTLED_AFTER_MS)
      return { kind: 'settling', until: startedAt + SETTLED_AFTER_MS };
    return { kind: 'ready' };
  }

  #stamp(): BootStamp {
    return { bootId: BOOT, ticks: ticksOf(this.now) };
  }

  #carryOut(step: Exclude<Step, { kind: 'wait' }>, facts: Facts): void {
    switch (step.kind) {
      case 'look':
        this.#look();
        return;
      case 'render':
        this.#render();
        return;
      case 'validate':
        this.#validate();
        return;
      case 'publish':
        this.#publish(step.what);
        return;
      case 'adopt':
        this.#adopt();
        return;
      case 'reload':
        this.#reload(facts);
        return;
      case 'settle':
        this.#settle(step.why);
        return;
    }
  }

  #look(): void {
    this.#memory.volume = { rendering: this.volume, lookedAt: this.now };
  }

  #render(): void {
    const memory = this.#memory;
    const { content } = this;
    this.renders.push(this.now);
    this.#take();
    memory.rendered = {
      input: `i${content}`,
      rendering: isRenderable(content) ? renderingOf(content) : null,
    };
    if (memory.rendered.rendering === null) return;
    memory.publishFailures = 0;
    memory.publishRetryAt = 0;
    if (memory.rendered.rendering !== memory.volume?.rendering) return;
    memory.held = memory.rendered.rendering;
    memory.publishedAt ??= this.now - this.setting.limits.minIntervalMs;
  }

  #validate(): void {
    const memory = this.#memory;
    const rendering = memory.rendered?.rendering ?? null;
    if (rendering === null) throw new Error('validates nothing');
    this.#take();
    const passed = this.validatorWorks && isValid(Number(rendering.slice(1)));
    memory.checkFailures = passed ? 0 : memory.checkFailures + 1;
    const retryAt = passed ? Number.POSITIVE_INFINITY : this.now + delayOf(memory.checkFailures);
    memory.checked = { rendering, passed, retryAt };
  }

  #publish(what: 'rendered' | 'published'): void {
    const memory = this.#memory;
    const startedAt = this.now;
    const version = what === 'rendered' ? this.#newVersion() : this.ledger.published;
    const bytes = what === 'rendered' ? version?.rendering : memory.held;
    if (!version || bytes !== version.rendering) throw new Error(`publishes what it does not have: ${what}`);
    const content = Number(version.rendering.slice(1));
    if (!isRenderable(content) || (this.setting.validates && !isValid(content)))
      throw new Error('publishes what is refused');
    if (this.isDiskFull) {
      this.#publishFailed();
      return;
    }
    const intended = ledgers.intend(this.ledger, { ...version, at: this.now, moment: null }, this.#tells);
    this.onDisk = intended;
    this.#dieIfDue('intended');
    this.ledger = intended;
    this.#take();
    // The disk filled up meanwhile: the files were not swapped.
    if (this.isDiskFull) {
      this.ledger = ledgers.resolveIntention(this.ledger, this.volume, this.#momentOfVolume());
      this.#publishFailed();
      return;
    }
    this.#rename(version.rendering);
    this.#dieIfDue('renamed');
    this.ledger = ledgers.carriedOut(intended, this.#stamp());
    this.runs.at(-1)?.push(startedAt);
    Object.assign(memory, { volume: null, held: version.rendering, publishedAt: startedAt });
    Object.assign(memory, { publishFailures: 0, reloadRetryAt: 0, reloadFailures: 0 });
    this.#dieIfDue('published');
    if (!this.#tells) this.#save();
  }

  #rename(rendering: string): void {
    this.volume = rendering;
    this.#changedAt = this.now;
    this.#publications += 1;
    this.renames.push(this.now);
  }

  #publishFailed(): void {
    const memory = this.#memory;
    memory.publishFailures += 1;
    memory.publishRetryAt = this.now + delayOf(memory.publishFailures);
    this.#look();
  }

  get #tells(): boolean {
    return this.setting.hook !== 'none';
  }

  #newVersion(): Published | null {
    const { rendered } = this.#memory;
    if (rendered === null || rendered.rendering === null) return null;
    const { rendering, input } = rendered;
    return { revision: input, digest: input, rendering, input, at: this.now, moment: null };
  }

  #adopt(): void {
    const version = this.#newVersion();
    if (version === null) throw new Error('adopts nothing');
    this.uncertain.add(this.#publications);
    this.ledger = ledgers.adopt(this.ledger, { ...version, moment: this.#momentOfVolume() }, this.#tells);
    this.#save();
  }

  /** Read off the volume: its own time and a second more. */
  #momentOfVolume(): BootStamp {
    return this.#changedAt === null
      ? { bootId: null, ticks: null }
      : { bootId: BOOT, ticks: ticksOf(this.#changedAt) + 100 };
  }

  #reload(facts: Facts): void {
    const { published } = this.ledger;
    const mode = this.hookMode;
    if (published === null || facts.volume?.rendering !== published.rendering)
      throw new Error('tells of what is not there');
    if (this.volume !== published.rendering && this.#driftAt <= facts.volume.lookedAt) {
      throw new Error('tells of what it could have seen is gone');
    }
    if (this.setting.isNamed && facts.process?.kind !== 'ready')
      throw new Error('tells a process that is not ready');
    const tellee = this.app;
    if (mode === 'works' || mode === 'unknown') this.#deliver();
    this.#dieIfDue('delivered');
    this.#take();
    const isStillThere = !this.setting.isNamed || (tellee !== null && tellee === this.app);
    if (mode === 'works') {
      const process = tellee === null ? null : { pid: 7, startTicks: ticksOf(tellee.startedAt) };
      this.ledger = ledgers.toldOf(this.ledger, {
        at: this.now,
        process,
        evidence: isStillThere ? 'answered' : null,
      });
      this.#save();
      this.#memory.reloadFailures = 0;
      this.#dieIfDue('told');
      return;
    }
    if (mode === 'unknown') this.uncertain.add(this.#publications);
    this.#memory.reloadFailures += 1;
    const delay = mode === 'gone' ? GONE_MS : delayOf(this.#memory.reloadFailures);
    this.#memory.reloadRetryAt = this.now + delay;
  }

  #deliver(): void {
    if (this.app !== null) this.app.runs = this.volume;
    this.tellings.push({ at: this.now, read: this.volume, publication: this.#publications });
    if (this.#killAt === 'delivered') this.uncertain.add(this.#publications);
  }

  #settle(why: 'picked-up' | 'no-hook'): void {
    const evidence = why === 'picked-up' ? 'started' : null;
    const told = { at: this.now, process: null, evidence } as const;
    this.ledger = why === 'picked-up' ? ledgers.toldOf(this.ledger, told) : { ...this.ledger, owed: null };
    this.#save();
  }

  #save(): void {
    if (this.isDiskFull) this.uncertain.add(this.#publications);
    else this.onDisk = this.ledger;
  }

  #dieIfDue(point: KillPoint): void {
    if (this.#killAt === point) throw new Killed();
  }
}

/** Time between tries when the process vanished in the very moment. */
const GONE_MS = 100;

/** What wakes the loop out of a wait; everything else it finds when it looks. */
function wakes(trouble: Trouble): boolean {
  return trouble.kind === 'change' || trouble.kind === 'answer' || trouble.kind === 'kill';
}

function ticksOf(ms: number): number {
  return Math.floor(ms / 10) + 1_000_000;
}

function delayOf(failures: number): number {
  return Math.min(60_000, 500 * 2 ** failures);
}

function obstacle(outcome: Obstacle['outcome']): ProcessFact {
  return { kind: 'obstacle', obstacle: { outcome, code: `reload.${outcome}`, message: 'Not now.' } };
}
