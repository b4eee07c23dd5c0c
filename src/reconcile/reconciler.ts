// The loop of one target: decide, perform, reduce, save, report. The only place where the state is replaced.

import type { Durability } from '../ledger/store.ts';
import { type SidecarError, toSidecarError } from '../lib/errors.ts';
import { type Action, decide } from './decide.ts';
import type { TimedStage } from './journal.ts';
import { withReports } from './outcome.ts';
import { reduce } from './reduce.ts';
import type { Event, State, Time, Wait } from './state.ts';

export interface World {
  readonly time: () => Time;
  /** Lets in what has arrived but was not handed over yet. */
  readonly turn: () => Promise<void>;
  /** Waits so long, or until the signal aborts; see `lib/wait.ts`. */
  readonly sleep: (ms: number, wake: AbortSignal) => Promise<void>;
  /** Does one action, and yields what happened as it happens. */
  readonly perform: (action: Action, state: State, signal: AbortSignal) => AsyncGenerator<Event, void>;
  /** See `Store.save`. */
  readonly save: (ledger: State['ledger'], how: Durability) => SidecarError | null | undefined;
  /** For the log. `after`: with what was recorded. */
  readonly announce: (before: State, event: Event, after: State) => void;
  /** At the end: gives up the lock. */
  readonly release: () => void;
}

/** Why a loop ends that another one for the same output takes over from: nothing is over by that. */
export const HANDED_OVER = 'handed over';

/** To make the usual reason, an error with a stack, is most of what an abort costs. */
const WOKEN = 'woken';
/** No wait is shorter, whatever the state says: a mistake must not become a hot loop. */
const SHORTEST_WAIT_MS = 1;
/** After something that no step should do. */
const AFTER_FAILURE_MS = 1_000;

const STAGES: Partial<Record<Action['kind'], TimedStage>> = {
  render: 'render',
  validate: 'validate',
  publish: 'publish',
  notify: 'reload',
  probe: 'confirm',
};

export class Reconciler {
  #state: State;
  /** Ends the wait of a loop that rests. */
  #wake: AbortController | null = null;
  readonly #world: World;

  constructor(start: State, world: World) {
    this.#state = start;
    this.#world = world;
  }

  /** A snapshot: a plain value, never a live object. */
  get state(): State {
    return this.#state;
  }

  /**
   * Takes an event from outside (a provider, a signal, the control socket) and wakes the loop. It is reduced at once, also
   * while a step is at work, so that what was asked for by hand is true when this returns.
   * @throws SidecarError `ledger.write` for `pinned`, when that cannot be saved; nothing has changed then.
   */
  post(event: Event): void {
    this.#take(event);
    this.#wake?.abort(WOKEN);
  }

  /** Runs until the signal aborts. Never throws. */
  async run(signal: AbortSignal): Promise<void> {
    const wake = (): void => this.#wake?.abort(WOKEN);
    signal.addEventListener('abort', wake);
    let validation = Promise.resolve();
    while (!signal.aborted) {
      const { action, waits } = decide(this.#state, this.#world.time().ms);
      if (action === null) await this.#rest(waits);
      else if (action.kind === 'render' && (await this.#isOvertaken())) continue;
      else if (action.kind === 'validate') {
        // A death during a trial is not to wait for a slow command.
        this.#take({ kind: 'validating', isAtWork: true });
        const over = (): void => this.post({ kind: 'validating', isAtWork: false });
        validation = this.#carryOut(action, signal).finally(over);
      } else await this.#carryOut(action, signal);
    }
    signal.removeEventListener('abort', wake);
    await validation;
    this.#take({ kind: 'ended', handsOver: signal.reason === HANDED_OVER });
    this.#world.release();
  }

  /** A loop that goes from one change to the next without a pause would fall behind them. */
  async #isOvertaken(): Promise<boolean> {
    const { input } = this.#state.session;
    await this.#world.turn();
    return this.#state.session.input !== input;
  }

  async #rest(waits: readonly Wait[]): Promise<void> {
    // From here on an event ends the wait, also one that the announcement of the rest brings about.
    const wake = new AbortController();
    this.#wake = wake;
    this.#take({ kind: 'rested', waits });
    const ms = Math.min(...waits.map(({ until }) => until)) - this.#world.time().ms;
    // A timer cuts fractions off: it would come too early, and another wait would follow.
    await this.#world.sleep(Math.max(SHORTEST_WAIT_MS, Math.ceil(ms)), wake.signal);
    this.#wake = null;
  }

  async #carryOut(action: Action, signal: AbortSignal): Promise<void> {
    const startedAt = this.#world.time().ms;
    const events = this.#world.perform(action, this.#state, signal);
    try {
      for (let next = await events.next(); next.done !== true; )
        next = await this.#advance(events, next.value);
      const stage = STAGES[action.kind];
      if (stage !== undefined)
        this.#take({ kind: 'measured', stage, tookMs: this.#world.time().ms - startedAt });
    } catch (thrown) {
      this.#take({ kind: 'failed', error: toSidecarError(thrown) });
      await this.#world.sleep(AFTER_FAILURE_MS, signal);
    }
  }

  /** An event that cannot be saved and must be is an error where it was yielded. */
  async #advance(events: AsyncGenerator<Event, void>, event: Event): Promise<IteratorResult<Event, void>> {
    try {
      this.#take(event);
    } catch (thrown) {
      return await events.throw(thrown);
    }
    return await events.next();
  }

  #take(event: Event): void {
    const at = this.#world.time();
    const before = this.#state;
    const after = reduce(before, event, at);
    const how = durabilityOf(event);
    const error = how && this.#world.save(after.ledger, how);
    if (error != null && mustBeSaved(event)) throw error;
    const saved = error === undefined ? after : reduce(after, { kind: 'saved', error }, at);
    this.#state = withReports(before, event, saved, at);
    this.#world.announce(before, event, this.#state);
  }
}

/** What is saved before the step goes on, and what of it has to outlive the machine. The rest is saved with the next of these. */
const DURABILITY: Partial<Record<Event['kind'], Durability>> = {
  intended: 'written',
  notified: 'written',
  confirmed: 'flushed',
  kept: 'flushed',
  'trial-failed': 'flushed',
  'suspicion-confirmed': 'flushed',
  pinned: 'flushed',
  rested: 'written',
  ended: 'written',
};

function durabilityOf(event: Event): Durability | undefined {
  // Without a copy there is nothing to roll back to by it.
  return 'kept' in event && event.kept === null ? 'written' : DURABILITY[event.kind];
}

/** A reload could be lost otherwise, or what was asked for by hand. To roll back is not barred by a ledger that cannot be written. */
function mustBeSaved(event: Event): boolean {
  return event.kind === 'pinned' || (event.kind === 'intended' && !event.isUrgent);
}
