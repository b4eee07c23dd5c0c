// Why the loop of a target waits, for a run that is to end when there is nothing left to do.

import type { Obstacle } from '../application/types.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Telling, Untold } from './telling.ts';

export interface Waiting {
  readonly obstacle: Obstacle | null;
  readonly owed: boolean;
  /** Whether it is being found out if what is on the volume works. */
  readonly tries: boolean;
  /** Whether the application's process is only too young to be told. */
  readonly settling: boolean;
  /** How the last try to tell the application ended, when it was not told; null before one and after success. */
  readonly lastReload: Untold | null;
}

/** What else is known where the loop waits. */
interface Moment {
  readonly obstacle: Obstacle | null;
  readonly telling: Pick<Telling, 'isSettling' | 'lastResult'>;
  readonly isValidating: boolean;
  /** The last known good configuration was tried again, and did not work either. */
  readonly hasFailedToGoBack: boolean;
}

export function waitingOf(ledger: Ledger, moment: Moment): Waiting {
  const { owed, trial, suspect, verdict, published } = ledger;
  const { obstacle, telling, isValidating, hasFailedToGoBack } = moment;
  const isUntried = published !== null && owed === null && verdict === 'pending';
  const goesBack = published?.as === 'rolled-back' && owed !== null && !hasFailedToGoBack;
  const isTrying = trial !== null || suspect !== null || goesBack || (isUntried && obstacle === null);
  return {
    obstacle,
    owed: owed !== null,
    tries: isValidating || isTrying,
    settling: telling.isSettling,
    lastReload: telling.lastResult,
  };
}
