// A trial as it is shown: since when, until when, and what it waits for.
import { type Ledger, type Version, versionOf } from '../ledger/ledger.ts';
import type { Settings } from '../settings/settings.ts';

export interface UnderTrial {
  readonly version: Version;
  /** Unix milliseconds: when it began, and when it ends at the latest. */
  readonly since: number;
  readonly until: number;
  /** The settings that ask for what has to be seen. */
  readonly waitsFor: readonly string[];
}

/** null: nothing is being found out. */
export function underTrialOf({ trial, published }: Ledger, settings: Settings): UnderTrial | null {
  if (trial === null || published === null) return null;
  const { CONFIRM_PERIOD, CONFIRM_WORKERS, CONFIRM_URL, CONFIRM_TIMEOUT } = settings;
  const waitsFor = [
    ...(trial.process !== null && CONFIRM_PERIOD > 0 ? ['CONFIRM_PERIOD'] : []),
    ...(trial.process !== null && CONFIRM_WORKERS ? ['CONFIRM_WORKERS'] : []),
    ...(CONFIRM_URL === undefined ? [] : ['CONFIRM_URL']),
  ];
  return { version: versionOf(published), since: trial.at, until: trial.at + CONFIRM_TIMEOUT, waitsFor };
}
