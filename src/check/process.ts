// Whether the application's process is found, may be sent the signal, and would survive it. Nothing is sent.

import type { LookedUp, Lookup } from '../application/process/lookup.ts';
import { inSight } from '../application/process/namespace.ts';
import {
  type ProcessStatus,
  processFolder,
  readBlockedInAllThreads,
  readStatus,
} from '../application/process/proc.ts';
import { isReceived, isRuntime, type SentSignal } from '../application/process/readiness.ts';
import { hookKind, lookupOf } from '../application/reload/settings.ts';
import type { ProcessId } from '../ledger/types.ts';
import { sleep } from '../lib/wait.ts';
import type { Settings } from '../settings/settings.ts';
import { type CheckContext, type Finding, fail, ok, warn } from './finding.ts';

export interface ProcessCheck {
  readonly findings: readonly Finding[];
  /** The application, when it was found. */
  readonly found: { readonly id: ProcessId; readonly name: string } | null;
}

export async function checkProcess({ loaded: { settings }, signal }: CheckContext): Promise<ProcessCheck> {
  const lookup = await lookupOf(settings);
  if (lookup === null) return { findings: [unnamed(settings)], found: null };
  const found = await observe(lookup, signal);
  if (found.kind === 'none') return { findings: [explainNone(found.reason)], found: null };
  if (found.kind === 'ambiguous') {
    const message = `Cannot say which process is the application: ${found.reason}.`;
    return { findings: [fail('process', 'reload.ambiguous', message, CHOOSE)], found: null };
  }
  return { findings: [judge(found, settings)], found: { id: found.id, name: found.name } };
}

const CHOOSE = 'Make APP_PROCESS match one of them, or add APP_CONTAINER or APP_PID_FILE.';

function unnamed(settings: Settings): Finding {
  const message =
    hookKind(settings) === 'none'
      ? 'No process is configured, so none is notified or monitored.'
      : 'No process is configured, so whether the application survives a reload is not monitored.';
  return ok('process', 'process.unnamed', message);
}

const LOOK_EVERY_MS = 100;
/** A process that is older has installed its handlers, or will not for a long time. */
const YOUNG_MS = 5_000;
/** The command never waits longer. */
const SETTLES_WITHIN_MS = 7_000;

async function observe(lookup: Lookup, signal: AbortSignal): Promise<LookedUp> {
  const end = performance.now() + SETTLES_WITHIN_MS;
  for (;;) {
    const now = performance.now();
    const found = lookup.look(now);
    if (!isOpen(found) || now >= end || signal.aborted) return found;
    await sleep(LOOK_EVERY_MS, signal);
  }
}

/** A handler that is missing, or a signal that is ignored, need not be so a moment later while it starts. */
function isOpen(found: LookedUp): boolean {
  if (found.kind !== 'found' || found.readiness.kind === 'ready') return false;
  const { ticks } = found.seenAt;
  const isYoung = ticks !== null && (ticks - found.id.startTicks) * 10 < YOUNG_MS;
  return found.readiness.kind === 'settling' || (isYoung && found.readiness.kind !== 'not-permitted');
}

/** The reason says what the look-up saw; the remedy depends on which processes are visible at all. */
function explainNone(reason: string): Finding {
  const message = `Cannot find the application: ${reason}.`;
  if (reason.includes('hidepid')) return fail('process', 'reload.hidden', message, SHOW);
  const { isOwnContainerOnly, names } = inSight();
  // What is wrong with these is known already, and may be all.
  const isKnown = reason.includes('PID file') || reason.includes('zombie');
  if (isOwnContainerOnly && !isKnown) {
    const why = 'Only processes of this container are visible, so the process namespace is not shared.';
    return fail('process', 'reload.not-shared', `${message} ${why}`, SHARE);
  }
  const others = names.length === 0 ? 'No other process is visible.' : `Visible are ${names.join(', ')}.`;
  const mend = `Start the application, or correct APP_PROCESS, APP_CONTAINER or APP_PID_FILE. ${others}`;
  return fail('process', 'reload.no-target', message, mend);
}

const SHOW = 'Mount /proc in the sidecar without hidepid, or run both as the same user and group.';
const SHARE =
  'Use RELOAD_URL, which needs no shared namespace. Or set shareProcessNamespace: true in the pod (Compose: see examples/haproxy-compose): each container then sees the processes of all, and with the same user also their files.';

type Found = Extract<LookedUp, { readonly kind: 'found' }>;

/** What was found, as one sentence about signal, handler and permission. */
export function judge(
  { id, name, readiness }: Found,
  { RELOAD_SIGNAL, RELOAD_GATE, ...settings }: Settings,
): Finding {
  const status = readStatus(processFolder(id.pid));
  const users = describeUsers(status);
  if (readiness.kind === 'settling') {
    const message = `Process ${name} was found, but is still starting: whether it can be notified is not known yet.`;
    return warn('process', 'reload.settling', message, 'Check again in a few seconds.');
  }
  if (readiness.kind !== 'ready') {
    const { code, mend } = CLOSED[readiness.kind];
    return fail(
      'process',
      code,
      `Cannot notify the application: process ${name} ${readiness.reason}${users}.`,
      mend,
    );
  }
  const isSignal = hookKind({ RELOAD_SIGNAL, RELOAD_GATE, ...settings }) === 'signal';
  if (!isSignal || RELOAD_SIGNAL === undefined || RELOAD_SIGNAL === 'none')
    return ok('process', 'process.found', `The application is process ${name}${users}.`);
  if (RELOAD_SIGNAL === 'SIGTERM') return ok('process', 'process.found', restarts(name, users));
  const handles = status && describeHandling(id, status, RELOAD_SIGNAL);
  if (handles === null) {
    const message = `Process ${name} shows no handler for ${RELOAD_SIGNAL}, but gets it anyway because RELOAD_GATE is off: this kills it unless it waits with sigwait${users}.`;
    return warn(
      'process',
      'reload.no-handler',
      message,
      'Leave RELOAD_GATE out if the application installs a handler.',
    );
  }
  return ok(
    'process',
    'process.ready',
    `The application is process ${name}; it ${handles}, and this sidecar may send it${users}.`,
  );
}

function restarts(name: string, users: string): string {
  return `The application is process ${name}, and this sidecar may send it SIGTERM; its supervisor has to start it again${users}.`;
}

/** Both users, since it is their numbers that have to be made equal. */
function describeUsers(status: ProcessStatus | null): string {
  if (status === null) return '';
  return ` (it runs as user ${status.effectiveUid}, this sidecar as user ${process.geteuid?.() ?? '?'})`;
}

const CLOSED = {
  'no-handler': {
    code: 'reload.held-back',
    mend: 'Correct RELOAD_SIGNAL, make the application install a handler, or use RELOAD_URL or RELOAD_COMMAND. RELOAD_GATE=off is only for a program that waits with sigwait (BIND): any other is killed by it.',
  },
  'unknown-handler': {
    code: 'reload.held-back',
    mend: 'Use RELOAD_URL or RELOAD_COMMAND. Set RELOAD_GATE=off only if you know that the application has a handler: without one, the signal kills it.',
  },
  stopped: {
    code: 'reload.stopped',
    mend: 'Let it run again with kill -CONT, unless it is being debugged.',
  },
  ignored: {
    code: 'reload.ignored',
    mend: 'Correct RELOAD_SIGNAL, and check how the application is started: nohup and `trap "" HUP` make it ignore SIGHUP.',
  },
  'not-permitted': {
    code: 'reload.not-permitted',
    mend: 'Give both containers the same runAsUser (a capability KILL does not reach a user other than root), or use RELOAD_URL.',
  },
} as const;

function describeHandling(id: ProcessId, { caught }: ProcessStatus, signal: SentSignal): string | null {
  if (isReceived({ caught, blocked: 0n }, signal)) {
    const doubt = isRuntime({ caught }) ? ' (as its run-time does with most signals, so try one reload)' : '';
    return `catches ${signal}${doubt}`;
  }
  const blocked = readBlockedInAllThreads(processFolder(id.pid));
  return isReceived({ caught: 0n, blocked }, signal) ? `waits for ${signal} with sigwait or signalfd` : null;
}
