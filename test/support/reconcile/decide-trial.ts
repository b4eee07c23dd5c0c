// One look at a trial in the small world, as src/application/confirm/confirm.ts takes it.

import type { Published, Trial } from '../../../src/ledger/ledger.ts';
import type { ProcessId } from '../../../src/ledger/types.ts';
import type { World } from './decide-world.ts';

/** A number: look again after so many milliseconds. */
export type LookResult =
  | number
  | 'confirmed'
  | 'unconfirmed'
  | 'absent'
  | { readonly kind: 'died'; readonly isReplaced: boolean }
  | { readonly kind: 'restarted'; readonly process: ProcessId };

interface View {
  readonly trial: Trial;
  readonly published: Published;
  /** Who is found now. */
  readonly current: ProcessId | null;
}

interface Memory {
  readonly key: string;
  /** Nobody looked for so long. */
  readonly unseenMs: number;
  successes: number;
  dueAt: number;
}

/** CONFIRM_SUCCESSES, and the time between two requests. */
const SUCCESSES = 2;
const PROBE_MS = 250;
/** How often a trial is looked at. */
const LOOK_MS = 200;

/** The looks of one life of the sidecar. */
export class Looks {
  readonly #world: World;
  readonly #resumes: boolean;
  #memory: Memory | null = null;

  /** `resumes`: the first trial was begun by a life before this one. */
  constructor(world: World, resumes: boolean) {
    this.#world = world;
    this.#resumes = resumes;
  }

  look(view: View): LookResult {
    const { trial } = view;
    const ageMs = this.#world.now - trial.at;
    const isReturn = this.#memory === null && this.#resumes;
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
  ): LookResult | null {
    const { bootId, application, setting } = this.#world;
    const { periodMs, timeoutMs } = setting;
    if (trial.process === null) return null;
    const isOtherBoot = trial.moment.bootId !== bootId;
    const lives = !isOtherBoot && application.isAlive(trial.process);
    const next = successorOf(trial, current, isOtherBoot);
    if (trial.restarts) {
      if (!lives && next !== null) return { kind: 'restarted', process: next };
      return waitedMs < timeoutMs ? Math.min(LOOK_MS, timeoutMs - waitedMs) : 'unconfirmed';
    }
    if (periodMs === 0) return null;
    if (lives) return periodMs > ageMs ? Math.min(LOOK_MS, periodMs - ageMs) : null;
    if (!isReturn) return { kind: 'died', isReplaced: next !== null };
    if (next === null) return 'absent';
    const livedMs = (next.startTicks - (trial.moment.ticks ?? 0)) * 10;
    if (isOtherBoot || livedMs > periodMs) return { kind: 'restarted', process: next };
    return { kind: 'died', isReplaced: true };
  }

  #probe({ trial, published }: View, memory: Memory, waitedMs: number): LookResult {
    const world = this.#world;
    const { setting, application } = world;
    if (!setting.probes) return 'confirmed';
    if (world.now >= memory.dueAt) {
      world.take();
      const isWatched = trial.process !== null && setting.periodMs > 0;
      if (isWatched && trial.process !== null && !application.isAlive(trial.process)) return 1;
      memory.successes = application.answersAs(published.rendering) ? memory.successes + 1 : 0;
      memory.dueAt = world.now + PROBE_MS;
    }
    if (memory.successes >= SUCCESSES) return 'confirmed';
    const leftMs = setting.timeoutMs - waitedMs;
    return leftMs <= 0 ? 'unconfirmed' : Math.max(1, Math.min(leftMs, PROBE_MS));
  }
}

/** Who has its place, and was not there before the telling. */
function successorOf(trial: Trial, current: ProcessId | null, isOtherBoot: boolean): ProcessId | null {
  if (current === null || isOtherBoot) return current;
  const isSame = current.pid === trial.process?.pid && current.startTicks === trial.process.startTicks;
  const tellingTicks = Math.ceil((trial.at - trial.notBefore) / 10);
  const isLater = current.startTicks >= (trial.moment.ticks ?? 0) - tellingTicks;
  return isSame || !isLater ? null : current;
}
