// Answers for the loop of a target: does the application run, as which process, and can it be signalled now?
import { bootStamp } from './boot-clock.ts';
import { find, type Wanted } from './find.ts';
import type { LookedUp, Lookup } from './looked-up.ts';
import {
  describeProcess,
  isStopped,
  listPids,
  type ProcessRow,
  type ProcessStatus,
  processFolder,
  readStatus,
} from './proc.ts';
import {
  ageMs,
  nextHistory,
  type PastLook,
  type ProcessHistory,
  type ProcessObservation,
} from './process-history.ts';
import { createPsLookup } from './ps.ts';
import { type ProcessCredentials, readiness, type SignalReadiness } from './readiness.ts';
import { allBlocked, type Sending } from './receives.ts';
import { createScanner } from './scan.ts';

export interface LookupOptions extends Wanted, Sending {
  /** Default: what the system has. `ps` is for systems without `/proc`, and knows less. */
  readonly listing?: 'proc' | 'ps';
}

export type { LookedUp, Lookup } from './looked-up.ts';

/** A look-up by what the settings say (`APP_PROCESS`, `APP_CONTAINER`, `APP_PID_FILE`). */
export function createLookup({ signal, gateOff, listing, ...wanted }: LookupOptions): Lookup {
  const options = { signal, gateOff };
  if (listing === 'ps' || listPids().length === 0) return createPsLookup({ ...options, ...wanted });
  const scanner = createScanner(options);
  let before: PastLook | null = null;
  // Users and capabilities of a running sidecar do not change.
  let own: ProcessStatus | null = null;
  const look = (nowMs: number): LookedUp => {
    const seenAt = bootStamp();
    const first = find(wanted, scanner.scan(seenAt, nowMs));
    // That it is not there, and why, is said only after every process was asked.
    const found =
      first.kind === 'none' && scanner.forget() ? find(wanted, scanner.scan(seenAt, nowMs)) : first;
    const observation = found.kind === 'one' ? observe(found.process, nowMs, seenAt.ticks) : null;
    const history = observation && nextHistory(before, observation, options.signal);
    before = { nowMs, history };
    if (found.kind !== 'one') return found;
    const name = describeProcess(found.process);
    if (observation === null || history === null)
      return { kind: 'none', reason: `process ${name} cannot be looked at` };
    const { pid, startTicks } = found.process;
    own ??= readStatus('/proc/self');
    const answer = readinessOf(observation, history, { ...options, sender: own ?? observation.status });
    return { kind: 'found', id: { pid, startTicks }, name, readiness: answer, seenAt };
  };
  return { look };
}

function observe(row: ProcessRow, nowMs: number, ticks: number | null): ProcessObservation | null {
  const status = readStatus(processFolder(row.pid));
  return status && { row, status, nowMs, ticks };
}

function readinessOf(
  observation: ProcessObservation,
  history: ProcessHistory,
  { signal, gateOff, sender }: Sending & { readonly sender: ProcessCredentials },
): SignalReadiness {
  const { row, status, nowMs } = observation;
  const { caught, ignored } = status;
  return readiness({
    ...{ signal, gateOff, isInit: status.isInit, isStopped: isStopped(row) },
    masks: { caught, ignored, blocked: allBlocked(row.pid, status, signal) },
    ageMs: ageMs(observation, history),
    stableForMs: nowMs - history.sameSinceMs,
    busyProcessors: history.busy.share,
    sender,
    receiver: status,
  });
}
