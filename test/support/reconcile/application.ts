// The application of the small world, its hook and its supervisor: what it runs, when it dies, and when it is back.

import { startedAfter } from '../../../src/application/process/boot-clock.ts';
import type { ObservedProcess } from '../../../src/application/process/observe-process.ts';
import type { OwedClass, ReloadResult } from '../../../src/application/reload/hook.ts';
import type { Obstacle, ProcessFact } from '../../../src/application/types.ts';
import type { Published } from '../../../src/ledger/ledger.ts';
import type { ProcessId } from '../../../src/ledger/types.ts';
import type { Clock } from './clock.ts';
import { isAnswered, natureOfRendering, ticksOf } from './contents.ts';
import type { World } from './world.ts';

/** How the hook behaves. `unknown`: the application reloads, but the answer is lost; `lost`: so is the question. */
export type HookMode = 'works' | 'unavailable' | 'refuses' | 'misconfigured' | 'unknown' | 'lost' | 'gone';

export interface App {
  readonly pid: number;
  /** On the world's clock. */
  readonly startedAt: number;
  /** What it read last: at its start, or when it was notified. */
  runs: string | null;
}

/** An application takes orders from this age on, and has a handler from the first of them on. */
const HANDLER_AFTER_MS = 400;
const SETTLED_AFTER_MS = 1_000;
/** What is deadly kills it so long after a start, or after a notification; a SIGTERM ends it. */
const DIES_AFTER_START_MS = 300;
const DIES_AFTER_TELLING_MS = 30;
const ENDS_AFTER_MS = 20;
/** An application that watches its files itself has read them after this. */
const READS_AFTER_MS = 20;
/** Who lives for so long has not died of its start. */
const HEALTHY_MS = 10_000;
const LONGEST_RESTART_MS = 4_000;
export class Application {
  /** The living one. */
  app: App | null = null;
  hookMode: HookMode = 'works';
  isAmbiguous: boolean = false;
  readonly #world: World;
  readonly #clock: Clock;
  #pids = 100;
  #deathsInARow = 0;
  #supervised = 0;
  readonly #harms = new Set<string>();

  constructor(world: World, clock: Clock) {
    this.#world = world;
    this.#clock = clock;
    if (world.setting.isNamed) this.app = { pid: this.#pids, startedAt: -60_000, runs: null };
  }

  /** It is gone, and its supervisor with it. */
  end(): void {
    this.app = null;
    this.#supervised += 1;
  }

  /** What harm was done is forgotten: another life of the sidecar, or an operator asked for it. */
  forgetHarms(): void {
    this.#harms.clear();
  }

  /** What the application runs; undefined while there is no process. */
  get runs(): string | null | undefined {
    if (this.#world.setting.isNamed) return this.app?.runs;
    return this.#world.setting.hook === 'none' ? undefined : this.#world.tellings.at(-1)?.read;
  }

  isAlive({ pid }: ProcessId): boolean {
    return this.app?.pid === pid;
  }

  /** What CONFIRM_URL shows. */
  answersAs(rendering: string): boolean {
    if (natureOfRendering(rendering) === 'unconfirmed') return false;
    const isThere = !this.#world.setting.isNamed || this.app !== null;
    return isThere && (this.runs === undefined || this.runs === rendering);
  }

  see(published: Published): ObservedProcess {
    const { fact, id } = this.#lookUp(published);
    const until = published.at + this.#world.setting.periodMs;
    const mayDieYet = published.afterDeath === true && until > this.#clock.now;
    return { fact: fact.kind === 'ready' && mayDieYet ? { kind: 'settling', until } : fact, id };
  }

  #lookUp({ moment }: Published): ObservedProcess {
    const { app } = this;
    const { setting } = this.#world;
    if (this.isAmbiguous) return { fact: obstacle('ambiguous'), id: null };
    if (app === null) return { fact: obstacle('no-target'), id: null };
    const id = { pid: app.pid, startTicks: ticksOf(app.startedAt) };
    if (moment !== null && startedAfter(id, moment, this.#world.stamp()))
      return { fact: { kind: 'started-after' }, id };
    if (setting.hook !== 'signal') return { fact: { kind: 'ready' }, id };
    if (!setting.restarts && this.#clock.now < app.startedAt + HANDLER_AFTER_MS)
      return { fact: obstacle('held-back'), id };
    const settledAt = app.startedAt + SETTLED_AFTER_MS;
    return {
      fact: this.#clock.now < settledAt ? { kind: 'settling', until: settledAt } : { kind: 'ready' },
      id,
    };
  }

  /** The hook is used. */
  notify(process: ProcessId | null): ReloadResult {
    const answer = this.#answer(process);
    const said = { code: `reload.${answer}`, message: 'It said so.' };
    if (answer === 'told')
      return { kind: 'told', evidence: isAnswered(this.#world.setting) ? 'answered' : null, process };
    return answer === 'gone' ? { kind: 'gone', ...said } : { kind: 'owed', class: answer, ...said };
  }

  #answer(process: ProcessId | null): 'told' | 'gone' | OwedClass {
    const { app } = this;
    const { setting } = this.#world;
    const mode = this.hookMode;
    if (mode === 'gone') return 'gone';
    const isThere = !setting.isNamed || (app !== null && app.pid === process?.pid);
    if (!isThere) return isAnswered(setting) ? 'unavailable' : 'gone';
    if (mode === 'unavailable' || mode === 'misconfigured') return mode;
    if (!isAnswered(setting)) {
      this.#deliver();
      return 'told';
    }
    if (app !== null && this.#clock.now < app.startedAt + HANDLER_AFTER_MS) return 'unavailable';
    if (mode === 'refuses' || natureOfRendering(this.#world.volume) === 'refused') return 'refused';
    if (mode !== 'lost') this.#deliver();
    if (mode === 'works') return 'told';
    this.#world.uncertain.add(this.#world.publications);
    // It has to be notified again, since it is unknown that it was.
    this.#harms.clear();
    return 'unknown';
  }

  #deliver(): void {
    this.#world.tellings.push({
      at: this.#clock.now,
      read: this.#world.volume,
      publication: this.#world.publications,
    });
    if (this.app === null) return;
    if (!this.#world.setting.restarts) {
      this.#read(this.app);
      return;
    }
    this.#dieIn(ENDS_AFTER_MS, this.app, () => this.#harm('deadly'));
  }

  /** One without a hook watches its files itself. */
  filesChanged(): void {
    const { app } = this;
    if (this.#world.setting.hook !== 'none') return;
    this.#clock.later(READS_AFTER_MS, () => {
      if (app !== null && app === this.app) this.#read(app);
    });
  }

  #read(app: App): void {
    app.runs = this.#world.volume;
    const nature = natureOfRendering(this.#world.volume);
    if (nature !== 'deadly' && nature !== 'kills when told') return;
    if (this.#world.setting.hook !== 'none') this.#harm(nature);
    this.#dieIn(DIES_AFTER_TELLING_MS, app);
  }

  /** A bad content harms the application by our doing once in a life of the sidecar, unless an operator asked for it. */
  #harm(nature: string): void {
    const { volume } = this.#world;
    if (volume === null || natureOfRendering(volume) !== nature) return;
    if (this.#harms.has(volume) && !this.#world.confirmed.has(volume) && this.#world.setting.periodMs > 0)
      this.#world.forbid(`harms the application with ${volume} again`);
    this.#harms.add(volume);
  }

  /** `then`: when another one has its place. */
  #dieIn(ms: number, app: App, then: () => void = () => {}): void {
    this.#clock.later(ms, () => {
      if (this.app !== app) return;
      this.app = null;
      const isSoon = this.#clock.now - app.startedAt < HEALTHY_MS;
      this.#deathsInARow = isSoon ? this.#deathsInARow + 1 : 0;
      const inMs = Math.min(LONGEST_RESTART_MS, this.#world.setting.restartMs * 2 ** this.#deathsInARow);
      const turn = ++this.#supervised;
      this.#clock.later(inMs, () => {
        if (this.#supervised !== turn || this.app !== null || this.#world.isPodDown) return;
        this.start();
        then();
      });
    });
  }

  /** Another one starts, unless there is one. */
  start(): void {
    if (!this.#world.setting.isNamed || this.app !== null || this.#world.isPodDown) return;
    this.#pids += 1;
    this.app = { pid: this.#pids, startedAt: this.#clock.now, runs: this.#world.volume };
    const { app } = this;
    if (natureOfRendering(app.runs) !== 'deadly') return;
    // Unless it has read something else by then.
    this.#clock.later(DIES_AFTER_START_MS, () => {
      if (natureOfRendering(app.runs) === 'deadly') this.#dieIn(0, app);
    });
  }

  befall(becomes: 'absent' | 'restarted' | 'ambiguous'): void {
    if (!this.#world.setting.isNamed || this.#world.isPodDown) return;
    this.isAmbiguous = becomes === 'ambiguous';
    this.#supervised += 1;
    this.app = null;
    if (becomes !== 'absent') this.start();
  }
}

function obstacle(outcome: Obstacle['outcome']): ProcessFact {
  return { kind: 'obstacle', obstacle: { outcome, code: `reload.${outcome}`, message: 'Not now.' } };
}
