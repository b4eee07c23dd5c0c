// What was proved, in the contract's order, and what is missing.

import type { Evidence, Ledger, Version } from '../../ledger/ledger.ts';
import type { ProcessId } from '../../ledger/types.ts';
import { childrenOf } from '../process/liveness.ts';
import { isStillLiving, watches } from './life.ts';
import { startedAfterTellingMs } from './trial-clock.ts';
import type { FailedCheck, View } from './view.ts';

const ORDER: readonly Evidence[] = ['answered', 'alive', 'workers', 'probed', 'started'];

/** All that a trial whose checks have passed has proved. */
export function bestEvidence(view: View): readonly Evidence[] {
  const { trial, settings } = view;
  const proved = new Set<Evidence>(trial.evidence);
  if (watches(view)) proved.add('alive');
  if (settings.workers && trial.process !== null) proved.add('workers');
  if (settings.url !== undefined) proved.add('probed');
  if (trial.how === 'picked-up') proved.add('started');
  return ORDER.filter((evidence) => proved.has(evidence));
}

/** `CONFIRM_WORKERS`: a living child that is not among those of before. null: it has one, or the setting is off. */
export function missingWorkers(view: View): FailedCheck | null {
  const { trial, settings } = view;
  const { process: id } = trial;
  if (!settings.workers || id === null) return null;
  const before = new Set(trial.children.map(({ pid, startTicks }) => `${pid} ${startTicks}`));
  const isNew = isStillLiving(view)
    ? childrenOf(id).some(
        (child) =>
          !before.has(`${child.pid} ${child.startTicks}`) && (startedAfterTellingMs(child, trial) ?? 0) >= 0,
      )
    : false;
  if (isNew) return null;
  const reason = `process ${id.pid} has no new children, so its workers still run the configuration of before`;
  return { code: 'confirm.no-workers', reason };
}

/** What the settings ask to be seen, as far as it tells one version from another. */
export interface Proof {
  /** New workers. */
  readonly workers: boolean;
  /** `CONFIRM_URL` shows the version's name, or the time of the reload. */
  readonly byName: boolean;
  readonly byTime: boolean;
}

/** What a notification was about that may have arrived. */
interface Uncertain extends Pick<Ledger, 'told'> {
  readonly process: ProcessId | null;
  readonly published: Version;
}

/** Whether a look can tell that the application took this very version, though the hook did not answer. */
export function canProve(proof: Proof, { process, published, told }: Uncertain): boolean {
  if (proof.workers && process !== null) return true;
  // The same data under another template has the same name.
  return proof.byTime || (proof.byName && told?.version.digest !== published.digest);
}
