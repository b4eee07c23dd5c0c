// Proof that the application took a configuration: one look at the evidence, called again until there is a verdict.

import type { Trial, Version } from '../../ledger/ledger.ts';
import { printDuration } from '../../settings/units.ts';
import { bestEvidence, missingWorkers } from './evidence.ts';
import { lookAtProcess, missingLife, watches } from './life.ts';
import { Probing } from './probe.ts';
import type { ConfirmSettings } from './settings.ts';
import { ageMs } from './trial-clock.ts';
import {
  type ConfirmResult,
  type FailedCheck,
  intervalMs,
  pending,
  type Sightings,
  type View,
} from './view.ts';

export { NO_ANSWER } from './probe.ts';
export { type ConfirmSettings, confirmSettingsOf } from './settings.ts';
export type { ConfirmResult, Sightings } from './view.ts';

export interface ConfirmationParts {
  /** Read again for every look. */
  readonly settings: () => ConfirmSettings;
  /** The first trial was begun by a run before this one: what happened meanwhile was not seen. */
  readonly resumed: boolean;
}

interface Memory {
  readonly key: string;
  unseenMs: number;
  /** The trial's age when it was last looked at. */
  seenAtMs: number;
  readonly probing: Probing;
}

/** Looks are never put off as long: in between we were asleep, or busy with something else. */
const UNSEEN_MS = 1_500;

/** Remembers, for the trial it looked at last, what `CONFIRM_URL` answered; another trial starts over. */
export class Confirmation {
  readonly #parts: ConfirmationParts;
  #memory: Memory | null = null;

  constructor(parts: ConfirmationParts) {
    this.#parts = parts;
  }

  /**
   * Checks in this order: the process lives through `CONFIRM_PERIOD`, then it has new workers, and `CONFIRM_URL`
   * answers as wanted. It is asked only after the period: before, the configuration of yesterday may still be the one
   * that answers. Never throws for anything the other side does; an abort ends it at once with `pending`.
   */
  async look(
    trial: Trial,
    version: Version,
    sightings: Sightings,
    signal: AbortSignal,
  ): Promise<ConfirmResult> {
    const startedAt = performance.now();
    const { view, probing } = this.#viewOf(trial, version, sightings);
    try {
      return await this.#judge(view, probing, signal);
    } finally {
      if (this.#memory !== null) this.#memory.seenAtMs = view.ageMs + performance.now() - startedAt;
    }
  }

  async #judge(view: View, probing: Probing, signal: AbortSignal): Promise<ConfirmResult> {
    const fate = lookAtProcess(view);
    if (fate !== null) return fate;
    const leftOfPeriodMs = watches(view) ? view.settings.periodMs - view.ageMs : 0;
    if (leftOfPeriodMs > 0) return pending(Math.min(leftOfPeriodMs, intervalMs(view)));
    const answered = await probing.askIfDue(view, signal);
    // The process died meanwhile, or the sidecar is stopping: the next look shows which.
    if (answered === 'interrupted') return pending(0);
    const missing = [missingLife(view), missingWorkers(view), probing.missing(view)].filter(
      (one) => one !== null,
    );
    if (missing.length === 0) return { kind: 'confirmed', evidence: bestEvidence(view) };
    const leftMs = view.settings.timeoutMs - view.waitedMs;
    if (leftMs <= 0) return unconfirmed(view, missing);
    return pending(Math.min(leftMs, intervalMs(view), probing.dueInMs(view)));
  }

  #viewOf(trial: Trial, version: Version, sightings: Sightings): { view: View; probing: Probing } {
    const age = ageMs(trial, sightings);
    const isReturn = this.#memory === null && this.#parts.resumed;
    const key = JSON.stringify([trial.at, trial.moment.ticks, trial.process]);
    if (this.#memory?.key !== key) {
      this.#memory = { key, unseenMs: isReturn ? age : 0, seenAtMs: age, probing: new Probing() };
    }
    const unseen = age - this.#memory.seenAtMs;
    if (unseen > UNSEEN_MS) this.#memory.unseenMs += unseen;
    const { unseenMs, probing } = this.#memory;
    const settings = this.#parts.settings();
    const times = { ageMs: age, waitedMs: age - unseenMs, isReturn };
    return { view: { trial, version, settings, sightings, ...times }, probing };
  }
}

function unconfirmed({ version, settings }: View, missing: readonly FailedCheck[]): ConfirmResult {
  const reasons = missing.map(({ reason }) => reason).join('; and ');
  const message = `Cannot confirm revision "${version.revision}" within ${printDuration(settings.timeoutMs)} (CONFIRM_TIMEOUT): ${reasons}`;
  const output = missing.find((one) => one.output !== undefined)?.output;
  const code = missing[0]?.code ?? 'confirm.missing';
  return { kind: 'unconfirmed', code, message, ...(output !== undefined && { output }) };
}

/** Where nothing was ever confirmed, `NO_ANSWER` is no verdict: what to say of it. */
export function notThereYet({ code, message }: { readonly code: string; readonly message: string }) {
  const why = 'The application is probably not there yet: nothing was confirmed before.';
  return { code, message: `${message}. ${why} CONFIRM_URL is asked until it answers.` };
}
