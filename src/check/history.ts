// What the ledger holds that a person should know: whether there is something to roll back to, and what is pinned, blocked or owed.

import { readGeneration } from '../ledger/kept-generations.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { isoTime } from '../lib/iso-time.ts';
import type { Release } from '../render/release.ts';
import { type Finding, failure, ok, warn } from './finding.ts';

export interface HistoryQuestion {
  /** The state directory of the output. */
  readonly directory: string;
  /** Paths of the outputs. */
  readonly outputs: readonly string[];
  readonly ledger: Ledger;
  /** What the source holds now, rendered; null when that is not known. */
  readonly generation: Release | null;
  readonly rollback: boolean;
}

export function checkHistory(question: HistoryQuestion): readonly Finding[] {
  const { ledger, generation, rollback } = question;
  return [
    ...(rollback || ledger.kept.length > 0 ? [lastKnownGood(question)] : []),
    ...pinned(ledger),
    ...blocked(ledger, generation),
    ...owed(ledger),
  ];
}

function lastKnownGood({ directory, outputs, ledger: { kept, published } }: HistoryQuestion): Finding {
  const [newest] = kept;
  if (newest === undefined && published === null) {
    return ok('kept', 'kept.nothing-yet', 'There is nothing to roll back to yet: nothing was published.');
  }
  if (newest === undefined) {
    const message = 'There is nothing to roll back to: no configuration has been confirmed yet.';
    return warn('kept', 'kept.nothing', message, FIRST_STAYS);
  }
  try {
    readGeneration(directory, newest, { outputs });
  } catch (thrown) {
    return failure(
      'kept',
      thrown,
      'This copy cannot be repaired. The next configuration that is confirmed replaces it.',
    );
  }
  const { generation, revision, confirmedAt } = newest;
  const message = `The last known good configuration is generation ${generation}, revision ${revision}, confirmed ${isoTime(confirmedAt)}; ${kept.length} kept.`;
  return ok('kept', 'kept.last-known-good', message);
}

const FIRST_STAYS =
  'See the findings about process, hook and confirmation below. Until one is confirmed, a configuration that does not work stays.';

function pinned({ pinned: pin }: Ledger): readonly Finding[] {
  if (pin === null) return [];
  const message = `Generation ${pin.generation} is pinned by a rollback: changes of the source are not applied.`;
  return [warn('kept', 'kept.pinned', message, 'config-sidecar resume follows the source again.')];
}

function blocked({ blocked: blocks }: Ledger, generation: Release | null): readonly Finding[] {
  const block = blocks.find(({ rendering }) => rendering === generation?.rendering);
  if (block === undefined) return [];
  const message = `What the source holds did not work (${block.outcome}, ${isoTime(block.at)}) and is blocked: ${block.message}`;
  const mend = 'Correct it at the source. If the reason was elsewhere, run config-sidecar sync --retry.';
  return [warn('kept', 'kept.blocked', message, mend)];
}

function owed({ owed: debt }: Ledger): readonly Finding[] {
  if (debt === null) return [];
  const message = `The application is owed a reload since ${isoTime(debt.since)}: it has not been notified of what is on the volume.`;
  return [
    warn(
      'kept',
      'kept.owed',
      message,
      'Fix what is reported below about process and hook; a running sidecar then notifies it.',
    ),
  ];
}
