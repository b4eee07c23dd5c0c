// What the loop of a target asks: is the application there, which process is it, and can it be told now?
import { bootStamp } from './boot-clock.ts';
import { createLookupElsewhere } from './elsewhere.ts';
import { find, type Wanted } from './find.ts';
import { type GateAnswer, gate } from './gate.ts';
import type { LookedUp, Lookup } from './looked-up.ts';
import { describeProcess, isStopped, listPids, type ProcessRow, processFolder, readStatus } from './proc.ts';
import { allBlocked, type Sending } from './receives.ts';
import { ageMs, type Look, nextSample, type Sample, type Sight } from './sample.ts';
import { createScanner } from './scan.ts';

export interface LookupOptions extends Wanted, Sending {
  /** Default: what the system has. `ps` is for systems without `/proc`, and knows less. */
  readonly listing?: 'proc' | 'ps';
}

export type { LookedUp, Lookup } from './looked-up.ts';

/** A look-up by what the settings say (`APP_PROCESS`, `APP_CONTAINER`, `APP_PID_FILE`). */
export function createLookup({ signal, gateOff, listing, ...wanted }: LookupOptions): Lookup {
  const options = { signal, gateOff };
  if (listing === 'ps' || listPids().length === 0) return createLookupElsewhere({ ...options, ...wanted });
  const scanner = createScanner(options);
  let before: Look | null = null;
  const look = (nowMs: number): LookedUp => {
    const seenAt = bootStamp();
    const first = find(wanted, scanner.scan(seenAt, nowMs));
    // That it is not there, and why, is said only after every process was asked.
    const found =
      first.kind === 'none' && scanner.forget() ? find(wanted, scanner.scan(seenAt, nowMs)) : first;
    const sight = found.kind === 'one' ? lookAt(found.process, nowMs, seenAt.ticks) : null;
    const sample = sight && nextSample(before, sight, options.signal);
    before = { nowMs, sample };
    if (found.kind !== 'one') return found;
    const name = describeProcess(found.process);
    if (sight === null || sample === null)
      return { kind: 'none', reason: `process ${name} cannot be looked at` };
    const { pid, startTicks } = found.process;
    const answer = askGate(sight, sample, options);
    return { kind: 'found', id: { pid, startTicks }, name, gate: answer, seenAt };
  };
  return { look };
}

function lookAt(row: ProcessRow, nowMs: number, ticks: number | null): Sight | null {
  const status = readStatus(processFolder(row.pid));
  return status && { row, status, nowMs, ticks };
}

function askGate(sight: Sight, sample: Sample, { signal, gateOff }: Sending): GateAnswer {
  const { row, status, nowMs } = sight;
  const { caught, ignored } = status;
  return gate({
    ...{ signal, gateOff, isInit: status.isInit, isStopped: isStopped(row) },
    masks: { caught, ignored, blocked: allBlocked(row.pid, status, signal) },
    ageMs: ageMs(sight, sample),
    stableForMs: nowMs - sample.sameSinceMs,
    busy: sample.busy.share,
    sender: readStatus('/proc/self') ?? status,
    receiver: status,
  });
}
