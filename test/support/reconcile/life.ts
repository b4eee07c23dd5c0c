// One life of the sidecar in the small world: the real loop, with the world in place of disk, application, source and clock.

import type { KeptGeneration, Ledger } from '../../../src/ledger/ledger.ts';
import { SidecarError } from '../../../src/lib/errors.ts';
import type { StagedRelease } from '../../../src/publish/outputs.ts';
import type { Action } from '../../../src/reconcile/decide.ts';
import { perform } from '../../../src/reconcile/perform.ts';
import { Reconciler } from '../../../src/reconcile/reconciler.ts';
import { chooseGeneration } from '../../../src/reconcile/sentences.ts';
import { type Event, type State, startOf } from '../../../src/reconcile/state.ts';
import type { Steps } from '../../../src/reconcile/steps.ts';
import type { Input } from '../../../src/render/input.ts';
import type { Release } from '../../../src/render/release.ts';
import { natureOf, policyOf, renderingOf } from './contents.ts';
import { lawOfPickingUp, lawsOfNotifying, lawsOfPublishing } from './laws.ts';
import { Looks } from './trial.ts';
import type { World } from './world.ts';

/** Where in a step the sidecar can be ended, in the order in which a change passes them. */
export const KILL_POINTS = [
  ...([
    'waiting',
    'intended',
    'between',
    'renamed',
    'published',
    'reload',
    'delivered',
    'told',
    'begun',
  ] as const),
  ...(['confirm', 'copied', 'kept', 'condemned', 'going back', 'blocked'] as const),
];
export type KillPoint = (typeof KILL_POINTS)[number];

/** FETCH_TIMEOUT. */
const ASK_MS = 10_000;
/** Far above what any chain of rules needs at one instant. */
const MOST_ACTIONS_AT_ONCE = 40;
/** Nor is more done without a rest. */
const MOST_ACTIONS = 5_000;

/** The points that are passed once an event is reduced and saved. */
const POINTS: Partial<Record<Event['kind'], KillPoint>> = {
  intended: 'intended',
  published: 'published',
  notified: 'told',
  'trial-started': 'begun',
  confirmed: 'kept',
  kept: 'kept',
  'trial-failed': 'condemned',
  'suspicion-confirmed': 'blocked',
};

interface Sleep {
  readonly until: number;
  readonly wake: AbortSignal;
  readonly end: () => void;
}

export class Life {
  /** It was killed: whatever it still tries has no effect. */
  isDead: boolean = false;
  /** When each publication of this life began, and whether it had to wait for the interval. */
  readonly publications: { readonly at: number; readonly isUrgent: boolean }[] = [];
  readonly #world: World;
  readonly #reconciler: Reconciler;
  readonly #ending = new AbortController();
  readonly #looks: Looks;
  #sleep: Sleep | null = null;
  #isStarted = false;
  #isOver = false;
  #isCheckerAtWork = false;
  #onStill: () => void = () => {};
  #actions = { at: 0, count: 0 };
  #sinceRest = 0;
  #saved: Ledger | null = null;
  /** Whether what is visible would outlive a crash of the machine; of what the run before has left that is not known. */
  #isOnDisk = false;

  constructor(world: World) {
    this.#world = world;
    this.#looks = new Looks(world);
    const policy = policyOf(world.setting, { under: world.under, askUntil: world.now + ASK_MS });
    const steps = this.#steps();
    this.#reconciler = new Reconciler(startOf(policy), {
      time: () => {
        world.refuseForbidden();
        return steps.time();
      },
      turn: () => Promise.resolve(),
      sleep: (ms, wake) => this.#rest(ms, wake),
      perform: (action, state, signal) => {
        this.#judge(action, state);
        return perform(action, state, steps, signal);
      },
      save: (ledger) => this.#save(ledger),
      announce: (before, event, after) => this.#passed(before, event, after),
      release: () => {},
    });
  }

  get state(): State {
    return this.#reconciler.state;
  }

  get isStopping(): boolean {
    return this.#ending.signal.aborted;
  }

  get isValidating(): boolean {
    return !this.#isOver && this.state.session.isValidating;
  }

  /** Whether `start` was called. */
  get isStarted(): boolean {
    return this.#isStarted;
  }

  /** Starts the loop; settles when it has nothing to do, or has ended. */
  async start(): Promise<void> {
    this.#isStarted = true;
    const still = this.#untilStill();
    const over = (): void => {
      this.#isOver = true;
      this.#onStill();
    };
    // The world remembers what must not happen.
    void this.#reconciler.run(this.#ending.signal).then(over, over);
    await still;
  }

  /** What the loop waits for; null when it has ended. */
  get sleeping(): Sleep | null {
    return this.#isOver ? null : this.#sleep;
  }

  /** Ends its wait; settles when it has nothing to do again, or has ended. */
  async wake(): Promise<void> {
    const still = this.#untilStill();
    this.#sleep?.end();
    await still;
  }

  /** SIGTERM. */
  stop(): void {
    this.#ending.abort();
  }

  /** `kill -9`. */
  kill(): void {
    this.isDead = true;
    this.#ending.abort();
  }

  #untilStill(): Promise<void> {
    return new Promise((resolve) => {
      this.#onStill = resolve;
    });
  }

  #rest(ms: number, wake: AbortSignal): Promise<void> {
    if (wake.aborted || this.isDead) return Promise.resolve();
    return new Promise((resolve) => {
      const end = (): void => {
        this.#sleep = null;
        resolve();
      };
      this.#sleep = { until: this.#world.now + ms, wake, end };
      this.#onStill();
    });
  }

  // What comes from outside.

  /** The source answered, or failed (null). */
  notice(content: number | null): void {
    this.#reconciler.post({
      kind: 'source',
      isAsked: true,
      input: content === null ? null : inputOf(content),
    });
  }

  sync(retry: boolean): void {
    if (retry) this.#world.uncertain.add(this.#world.publications);
    this.#reconciler.post({ kind: 'retry-asked', unblocks: retry });
  }

  /** @throws SidecarError when there is no such generation, or the ledger cannot be written. */
  pin(generation: number | null): void {
    const { ledger, session } = this.state;
    const chosen = chooseGeneration(ledger, { generation, onVolume: session.volume?.rendering ?? null });
    this.#reconciler.post({
      kind: 'pinned',
      pinned: { rendering: chosen.rendering, generation: chosen.generation },
    });
  }

  unpin(): void {
    this.#reconciler.post({ kind: 'pinned', pinned: null });
  }

  // What is watched.

  /** Forbids what must not happen, before it does. */
  #judge(action: Action, state: State): void {
    const { now } = this.#world;
    this.#actions = { at: now, count: this.#actions.at === now ? this.#actions.count + 1 : 1 };
    this.#sinceRest += 1;
    if (this.#sinceRest > MOST_ACTIONS) this.#world.forbid(`never rests: ${JSON.stringify([action, state])}`);
    if (this.#actions.count > MOST_ACTIONS_AT_ONCE)
      this.#world.forbid(`hot loop at ${now}: ${JSON.stringify([action, state])}`);
    if (action.kind === 'publish') lawsOfPublishing(this.#world, state, action.goal);
    if (action.kind === 'notify') lawsOfNotifying(this.#world, state);
    // What did not work is notified of again, slowly, where there is nothing to roll back to.
    const isAgain = action.kind === 'notify' && !['pending', 'good'].includes(state.ledger.verdict);
    if (isAgain) this.#world.uncertain.add(this.#world.publications);
    if (action.kind === 'pick-up') lawOfPickingUp(this.#world, state);
  }

  #passed(before: State, event: Event, after: State): void {
    const world = this.#world;
    if (this.isDead) return;
    if (event.kind === 'rested') {
      this.#sinceRest = 0;
      const until = Math.min(...event.waits.map((wait) => wait.until));
      if (!(until > world.now)) world.forbid(`waits for the past: ${JSON.stringify(event.waits)}`);
      world.rest(this);
      world.point('waiting');
    }
    if (event.kind === 'published') {
      const { verdict, published } = before.ledger;
      const wasBad = published !== null && !['pending', 'good'].includes(verdict);
      const isUrgent = before.ledger.intended?.version.as !== 'desired' || wasBad;
      this.publications.push({ at: event.startedAt, isUrgent });
    }
    if (event.kind === 'intended' && event.isUrgent) world.point('going back');
    if (event.kind === 'confirmed' && !this.#isOnDisk)
      world.forbid('confirmed before the rename was on the disk');
    if (isUncertain(event, after)) world.uncertain.add(world.publications);
    const point = POINTS[event.kind];
    if (point !== undefined && !('kept' in event && event.kept === null)) world.point(point);
  }

  #save(ledger: Ledger): SidecarError | null | undefined {
    const world = this.#world;
    if (this.isDead || this.#saved === ledger) return undefined;
    if (world.isStateFull) {
      world.uncertain.add(world.publications);
      if (ledger.intended !== null) world.uncertain.add(world.publications + 1);
      if (this.#saved?.suspect != null && ledger.suspect === null) world.isSuspicionStuck = true;
      return new SidecarError('The disk is full.', { code: 'ledger.write', stage: 'ledger' });
    }
    world.disk = { before: world.disk.current, current: ledger };
    this.#saved = ledger;
    return null;
  }

  // The steps.

  #steps(): Steps {
    const world = this.#world;
    const { application } = world;
    const look = () => {
      const { volume, changedAt } = world;
      return { rendering: volume, changedAt, problem: null, moment: world.momentOfVolume() };
    };
    return {
      time: () => ({ ms: world.now, unixMs: world.now, chance: 0.5 }),
      open: async () => {
        const ledger = world.disk.current;
        this.#saved = ledger;
        const intended = ledger.intended?.staged === undefined ? null : ledger.intended.version.rendering;
        for (const output of world.outputs.unfinished(intended)) world.swap(output, intended ?? '');
        world.outputs.staged = null;
        return {
          ledger,
          from: 'current',
          copies: ledger.generation > 0 ? [] : this.#wholeCopies(),
          volume: look(),
        };
      },
      isHeld: () => true,
      observe: async () => look(),
      observeNow: look,
      readVolume: () => generationOf(world.volume ?? ''),
      moment: () => world.stamp(),
      stage: async (release) => this.#stage(release),
      settled: async () => {
        world.take();
        this.#isOnDisk = true;
      },
      readCopy: (kept) => this.#readCopy(kept),
      writeCopy: async (kept) => await this.#writeCopy(kept),
      pruneCopies: () => {
        const kept = this.#saved?.kept.map(({ generation }) => generation) ?? [];
        if (this.isDead) return;
        for (const number of [...world.copies.keys()])
          if (!kept.includes(number)) world.copies.delete(number);
      },
      render: async (input) => await this.#render(input),
      validate: async (generation, signal) => {
        if (this.#isCheckerAtWork) world.forbid('validates twice at the same time');
        this.#isCheckerAtWork = true;
        await world.pass(signal);
        this.#isCheckerAtWork = false;
        const nature = natureOf(Number(generation.rendering.slice(1)));
        if (!world.validatorWorks || nature === 'invalid')
          throw new SidecarError('It is refused.', { code: 'validate.command', stage: 'validate' });
      },
      findProcess: (published) => application.see(published),
      childrenOf: () => [],
      notify: async ({ process }, signal) => {
        world.point('reload');
        // As the real one does.
        if (signal.aborted)
          return { kind: 'owed', class: 'unavailable', code: 'reload.aborted', message: 'It is ending.' };
        const result = application.notify(process);
        world.take();
        world.point('delivered');
        return result;
      },
      confirm: async ({ trial, published, current, isResumed }) => {
        const result = this.#looks.look({ trial, published, current: current(), isResumed });
        if (result.kind !== 'confirmed') return result;
        // Its copy may be the only record left of it.
        world.confirmed.add(published.rendering);
        world.point('confirm');
        return result;
      },
    };
  }

  #wholeCopies(): readonly KeptGeneration[] {
    const whole = [...this.#world.copies.values()].filter(({ isWhole }) => isWhole).map(({ kept }) => kept);
    const newestFirst = whole.sort((a, b) => b.confirmedAt - a.confirmedAt);
    return newestFirst.filter(
      (one, i) => newestFirst.findIndex(({ rendering }) => rendering === one.rendering) === i,
    );
  }

  async #render({ id }: Input): Promise<Release> {
    const world = this.#world;
    if (!this.isDead) world.renders.push(world.now);
    world.take();
    const content = Number(id.slice(1));
    if (natureOf(content) === 'unrenderable')
      throw new SidecarError('It cannot be rendered.', { code: 'render.template', stage: 'render' });
    return generationOf(renderingOf(content));
  }

  #stage({ rendering }: Release): StagedRelease {
    const world = this.#world;
    const outputs = world.outputs.missing(rendering);
    const isSeveral = world.setting.outputs > 1;
    if (isSeveral) this.#writes();
    if (!this.isDead && outputs.length > 1) world.outputs.staged = { rendering, outputs };
    return {
      parts: outputs.length < 2 ? [] : outputs.map((at) => ({ output: `${at}`, name: rendering, rendering })),
      mustLook: isSeveral,
      discard: async () => {
        if (!this.isDead) world.outputs.staged = null;
      },
      swap: async () => {
        for (const [done, output] of outputs.entries()) {
          this.#writes();
          if (this.isDead) return;
          this.#isOnDisk = false;
          world.swap(output, rendering);
          world.point(done < outputs.length - 1 ? 'between' : 'renamed');
        }
      },
    };
  }

  /** The disk may have filled up meanwhile. */
  #writes(): void {
    const world = this.#world;
    world.take();
    if (!this.isDead && world.isOutputFull)
      throw new SidecarError('The disk is full.', { code: 'publish.no-space', stage: 'publish' });
  }

  #readCopy(kept: KeptGeneration): Release {
    const copy = this.#world.copies.get(kept.generation);
    if (copy?.isWhole === true && copy.kept.rendering === kept.rendering) return generationOf(kept.rendering);
    throw new SidecarError('It is damaged.', { code: 'state.generation-damaged', stage: 'ledger' });
  }

  async #writeCopy(kept: KeptGeneration): Promise<void> {
    const world = this.#world;
    if (world.isStateFull)
      throw new SidecarError('The disk is full.', { code: 'state.generation-write', stage: 'ledger' });
    if (!this.isDead) world.copies.set(kept.generation, { kept, isWhole: true });
    world.point('copied');
  }
}

/** Whether it cannot be known any more if the application was notified of the publication. */
function isUncertain(event: Event, { ledger }: State): boolean {
  switch (event.kind) {
    case 'adopted':
    case 'trial-lost':
      return true;
    case 'trial-failed':
      // The last known good is notified again.
      return ledger.kept[0]?.rendering === ledger.published?.rendering;
    default:
      return false;
  }
}

function generationOf(rendering: string): Release {
  return { parts: [], rendering };
}

function inputOf(content: number): Input {
  const id = `i${content}`;
  const snapshot = { revision: id, content: { kind: 'tree', entries: [] } } as const;
  return { id, digest: id, snapshot, templates: null };
}
