// What status, metrics, page and commands read off the state of a target.

import { type Version, versionOf } from '../ledger/ledger.ts';
import type { State } from '../reconcile/state.ts';
import type { TargetView } from '../reconcile/view.ts';

/** Whether a configuration of ours is on the volume; false as soon as it has vanished. */
export function isReady({
  state: { ledger, session },
  isThere,
}: Pick<TargetView, 'state' | 'isThere'>): boolean {
  const { published } = ledger;
  const isShown = published !== null && session.volume?.rendering === published.rendering;
  return session.isOpen && isShown && isThere();
}

/** Whether something is being done that ends in an outcome by itself: not what waits for the application, or failed. */
export function isUnderWay({ session: { isOpen, waits } }: State): boolean {
  return isOpen && (waits === null || waits.some(({ settles }) => settles === true));
}

/** When what is not done yet is tried again, on the loop's clock; null while it is at work, and when there is nothing to try. */
export function nextTryAt({
  ledger: { owed, trial, suspect },
  session: { isOpen, waits },
}: State): number | null {
  if (waits === null) return null;
  const isOwed = owed !== null || trial !== null || suspect !== null || !isOpen;
  const retries = waits.filter(({ retries }) => retries === true);
  const counted = retries.length > 0 ? retries : isOwed ? waits : [];
  return counted.length === 0 ? null : Math.min(...counted.map(({ until }) => until));
}

/** A trial as it is shown: since when, until when, and what it waits for. */
export interface UnderTrial {
  readonly version: Version;
  /** Unix milliseconds: when it began, and when it ends at the latest. */
  readonly since: number;
  readonly until: number;
  /** The settings that ask for what has to be seen. */
  readonly waitsFor: readonly string[];
}

/** null: nothing is on trial. */
export function underTrialOf({
  state: { ledger },
  settings,
}: Pick<TargetView, 'state' | 'settings'>): UnderTrial | null {
  const { trial, published } = ledger;
  if (trial === null || published === null) return null;
  const { CONFIRM_PERIOD, CONFIRM_WORKERS, CONFIRM_URL, CONFIRM_TIMEOUT } = settings;
  const waitsFor = [
    ...(trial.process !== null && CONFIRM_PERIOD > 0 ? ['CONFIRM_PERIOD'] : []),
    ...(trial.process !== null && CONFIRM_WORKERS ? ['CONFIRM_WORKERS'] : []),
    ...(CONFIRM_URL === undefined ? [] : ['CONFIRM_URL']),
  ];
  return { version: versionOf(published), since: trial.at, until: trial.at + CONFIRM_TIMEOUT, waitsFor };
}
