// One look at a trial in the small world, as src/application/confirm/confirm.ts takes it.

import type { ConfirmResult } from '../../../src/application/confirm/confirm.ts';
import type { Published, Trial } from '../../../src/ledger/ledger.ts';
import type { ProcessId } from '../../../src/ledger/types.ts';
import type { World } from './world.ts';

interface View {
  readonly trial: Trial;
  readonly published: Published;
  /** Who is found now. */
  readonly current: ProcessId | null;
  /** The trial was started by a life before this one. */
  readonly isResumed: boolean;
}

interface Memory {
  readonly key: string;
  /** For this long the sidecar did not look. */
  readonly unseenMs: number;
  successes: number;
  dueAt: number;
}

/** CONFIRM_SUCCESSES, and the time between two requests. */
const SUCCESSES = 2;
const PROBE_MS = 250;
/** How often a trial is looked at. */
const LOOK_MS = 200;

const CONFIRMED: ConfirmResult = { kind: 'confirmed', evidence: ['alive'] };
const UNCONFIRMED: ConfirmResult = {
  kind: 'unconfirmed',
  code: 'confirm.missing',
  message: 'It did not work.',
};

function died(replaced: boolean): ConfirmResult {
  return { kind: 'died', code: 'confirm.died', message: 'It died.', replaced };
}

function pending(inMs: number): ConfirmResult {
  return { kind: 'pending', inMs };
}

/** The looks of one life of the sidecar. */
export class Looks {
  readonly #world: World;
  #memory: Memory | null = null;

  constructor(world: World) {
    this.#world = world;
  }

  look(view: View): ConfirmResult {
    const { trial } = view;
    const ageMs = this.#world.now - trial.at;
    const isReturn = this.#memory === null && view.isResumed;
    const key = JSON.stringify([trial.at, trial.process]);
    if (this.#memory?.key !== key)
      this.#memory = { key, unseenMs: isReturn ? ageMs : 0, successes: 0, dueAt: 0 };
    const waitedMs = ageMs - this.#memory.unseenMs;
    const fate = this.#fateOf(view, { ageMs, waitedMs, isReturn });
    return fate ?? this.#probe(view, this.#memory, waitedMs);
  }

  #fateOf(
    { trial, current }: View,
    {
      ageMs,
      waitedMs,
      isReturn,
    }: { readonly ageMs: number; readonly waitedMs: number; readonly isReturn: boolean },
  ): ConfirmResult | null {
    const { bootId, application, setting } = this.#world;
    const { periodMs, timeoutMs } = setting;
    if (trial.process === null) return null;
    const isOtherBoot = trial.moment.bootId !== bootId;
    const lives = !isOtherBoot && application.isAlive(trial.process);
    const next = successorOf(trial, current, isOtherBoot);
    if (trial.restarts) {
      if (!lives && next !== null) return { kind: 'restarted', process: next };
      return waitedMs < timeoutMs ? pending(Math.min(LOOK_MS, timeoutMs - waitedMs)) : UNCONFIRMED;
    }
    if (periodMs === 0) return null;
    if (lives) return periodMs > ageMs ? pending(Math.min(LOOK_MS, periodMs - ageMs)) : null;
    if (!isReturn) return died(next !== null);
    if (next === null) return { kind: 'absent' };
    const livedMs = (next.startTicks - (trial.moment.ticks ?? 0)) * 10;
    if (isOtherBoot || livedMs > periodMs) return { kind: 'restarted', process: next };
    return died(true);
  }

  #probe({ trial, published }: View, memory: Memory, waitedMs: number): ConfirmResult {
    const world = this.#world;
    const { setting, application } = world;
    if (!setting.probes) return CONFIRMED;
    if (world.now >= memory.dueAt) {
      world.take();
      const isWatched = trial.process !== null && setting.periodMs > 0;
      if (isWatched && trial.process !== null && !application.isAlive(trial.process)) return pending(1);
      memory.successes = application.answersAs(published.rendering) ? memory.successes + 1 : 0;
      memory.dueAt = world.now + PROBE_MS;
    }
    if (memory.successes >= SUCCESSES) return CONFIRMED;
    const leftMs = setting.timeoutMs - waitedMs;
    return leftMs <= 0 ? UNCONFIRMED : pending(Math.max(1, Math.min(leftMs, PROBE_MS)));
  }
}

/** The process that replaced it, and did not exist before the notification. */
function successorOf(trial: Trial, current: ProcessId | null, isOtherBoot: boolean): ProcessId | null {
  if (current === null || isOtherBoot) return current;
  const isSame = current.pid === trial.process?.pid && current.startTicks === trial.process.startTicks;
  const tellingTicks = Math.ceil((trial.at - trial.notBefore) / 10);
  const isLater = current.startTicks >= (trial.moment.ticks ?? 0) - tellingTicks;
  return isSame || !isLater ? null : current;
}
