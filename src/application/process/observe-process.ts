// From what is seen of the application's process to what `decide` needs to know of it.

import type { BootStamp, ProcessId } from '../../ledger/types.ts';
import type { Obstacle, ProcessFact } from '../types.ts';
import { startedAfter } from './boot-clock.ts';
import type { LookedUp, Lookup } from './lookup.ts';
import type { MountMemory } from './mount-memory.ts';

/** The fact, and the process it is about (null while there is none to tell). */
export interface ObservedProcess {
  readonly fact: ProcessFact;
  readonly id: ProcessId | null;
}

export interface ProcessQuestion {
  readonly lookup: Pick<Lookup, 'look'>;
  /** When what the volume shows became visible; null when that is not known. */
  readonly moment: BootStamp | null;
  readonly mounts: Pick<MountMemory, 'stale'>;
  readonly nowMs: number;
}

export function observeProcess({ lookup, moment, mounts, nowMs }: ProcessQuestion): ObservedProcess {
  const found = lookup.look(nowMs);
  if (found.kind !== 'found') return { fact: { kind: 'obstacle', obstacle: notFound(found) }, id: null };
  const { id, readiness } = found;
  const isLater = moment !== null && startedAfter(id, moment, found.seenAt);
  if (!isLater) {
    if (readiness.kind === 'settling')
      return { fact: { kind: 'settling', until: nowMs + readiness.waitMs }, id };
    if (readiness.kind !== 'ready')
      return { fact: { kind: 'obstacle', obstacle: notReady(found.name, readiness) }, id };
  }
  // A container mounts once: a process started in it later reads the old file like the one before.
  const stale = mounts.stale(id, nowMs);
  if (stale !== null) return { fact: { kind: 'obstacle', obstacle: staleMountOf(found.name, stale) }, id };
  return { fact: { kind: isLater ? 'started-after' : 'ready' }, id };
}

function notFound(found: Exclude<LookedUp, { kind: 'found' }>): Obstacle {
  return found.kind === 'none'
    ? {
        outcome: 'no-target',
        code: 'reload.no-target',
        message: `Cannot notify the application: ${found.reason}. It is notified as soon as it is there.`,
      }
    : {
        outcome: 'ambiguous',
        code: 'reload.ambiguous',
        message: `Cannot notify the application: ${found.reason}. None was notified. Set APP_PROCESS so that it matches exactly one, or use APP_PID_FILE.`,
      };
}

const CLOSED = {
  'no-handler': [
    'held-back',
    'reload.held-back',
    'It is notified as soon as it has one. If it never installs one, correct RELOAD_SIGNAL, or use RELOAD_URL or RELOAD_COMMAND.',
  ],
  'unknown-handler': [
    'held-back',
    'reload.held-back',
    'Use RELOAD_URL or RELOAD_COMMAND. Set RELOAD_GATE=off only if you know that it has one: without one, the signal kills it.',
  ],
  stopped: [
    'held-back',
    'reload.stopped',
    'It is notified once it runs again; SIGCONT continues it (kill -CONT).',
  ],
  ignored: [
    'ignored',
    'reload.ignored',
    'It is notified once it no longer ignores it. Check RELOAD_SIGNAL, and how the application is started: nohup makes it ignore SIGHUP.',
  ],
  'not-permitted': [
    'not-permitted',
    'reload.not-permitted',
    'Give both containers the same runAsUser, or use RELOAD_URL.',
  ],
} as const;

function notReady(
  name: string,
  readiness: { readonly kind: keyof typeof CLOSED; readonly reason: string },
): Obstacle {
  const [outcome, code, advice] = CLOSED[readiness.kind];
  return {
    outcome,
    code,
    message: `Cannot notify the application: process ${name} ${readiness.reason}. ${advice}`,
  };
}

function staleMountOf(name: string, reason: string): Obstacle {
  return {
    outcome: 'stale-mount',
    code: 'reload.stale-mount',
    message: `Cannot notify the application: process ${name} would read the old file: ${reason} (no subPath).`,
  };
}
