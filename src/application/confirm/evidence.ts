// What was proved, in the contract's order, and what is missing.

import type { Evidence } from '../../ledger/ledger.ts';
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

/** `CONFIRM_WORKERS`: a living child that is not among those of before. null: it has one, or nobody asks. */
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
