// Decides whether a process can be sent a signal without harm. Pure: masks, users and times are given.
import { constants } from 'node:os';

/** The signals that can be sent. */
export type SentSignal = 'SIGHUP' | 'SIGUSR1' | 'SIGUSR2' | 'SIGWINCH' | 'SIGTERM';

/** The user and the rights a process acts with, as `/proc/PID/status` shows them. */
export interface ProcessCredentials {
  readonly realUid: number;
  readonly effectiveUid: number;
  readonly savedUid: number;
  readonly effectiveCapabilities: bigint;
}

export interface Masks {
  readonly caught: bigint;
  readonly ignored: bigint;
  readonly blocked: bigint;
}

export interface ReadinessQuestion {
  /** null: nothing will be sent; a process that is there is enough. */
  readonly signal: SentSignal | null;
  /** It is the first process of a PID namespace: the kernel drops signals that it does not catch. */
  readonly isInit: boolean;
  /** It was stopped (SIGSTOP), and does nothing until it is continued. */
  readonly isStopped: boolean;
  /** `RELOAD_GATE=off`: a process without a handler is signalled as well. */
  readonly gateOff: boolean;
  /** Signal n is bit n-1; `blocked`: by every thread. null where the system does not show them. */
  readonly masks: Masks | null;
  /** Time since the process started. */
  readonly ageMs: number;
  /** How long name and masks have been seen unchanged. */
  readonly stableForMs: number;
  /**
   * How many processors it kept busy, or would have, since the look before: `unseen` when there was none, null where the
   * kernel does not show it. Asked for only while `isOpaque` and younger than `START_MS`.
   */
  readonly busyProcessors: number | 'unseen' | null;
  readonly sender: ProcessCredentials;
  readonly receiver: ProcessCredentials;
}

export type SignalReadiness =
  | { readonly kind: 'ready' }
  /** Too young to be judged; ask again after `waitMs`. */
  | { readonly kind: 'settling'; readonly waitMs: number }
  /** `reason` is a clause about the process: `has no handler for SIGHUP, which would kill it`. */
  | {
      readonly kind: 'no-handler' | 'unknown-handler' | 'ignored' | 'not-permitted' | 'stopped';
      readonly reason: string;
    };

/** A process this old has done the first part of its start. */
const SETTLED_AGE_MS = 1000;
/** Up to this age, masks must have been seen unchanged for `STABLE_MS`. */
const YOUNG_AGE_MS = 5000;
const STABLE_MS = 250;
/** So long must a process have lived whose masks say nothing of what its program does with the signal. */
const OPAQUE_AGE_MS = YOUNG_AGE_MS;
/** Up to this age one that is busier than `IDLE` is taken to be starting still. */
export const START_MS = 30_000;
const IDLE = 0.5;
/** Bit of CAP_KILL. */
const KILL = 1n << 5n;

/**
 * Whether the signal can be sent now. A handler that shows is not enough: the runtimes of Go, Java and Ruby catch
 * SIGHUP at their own start in order to die of it, and what is ignored at first may be caught a moment later. So
 * nothing is concluded before the process has settled.
 */
export function readiness(question: ReadinessQuestion): SignalReadiness {
  const { signal, isStopped } = question;
  if (isStopped) return { kind: 'stopped', reason: 'is stopped (SIGSTOP), so it can take nothing' };
  if (signal === null) return { kind: 'ready' };
  const waitMs = unsettledMs(question, signal);
  if (waitMs > 0) return { kind: 'settling', waitMs };
  return judgePermission(question) ?? judgeMasks(question, signal);
}

function unsettledMs(question: ReadinessQuestion, signal: SentSignal): number {
  const { ageMs, stableForMs, masks, busyProcessors } = question;
  const unstableMs = ageMs < YOUNG_AGE_MS ? STABLE_MS - stableForMs : 0;
  if (!isOpaque(masks, signal)) return Math.max(0, SETTLED_AGE_MS - ageMs, unstableMs);
  const isStarting =
    ageMs < START_MS && busyProcessors !== null && (busyProcessors === 'unseen' || busyProcessors > IDLE);
  return Math.max(0, OPAQUE_AGE_MS - ageMs, unstableMs, isStarting ? STABLE_MS : 0);
}

/**
 * Whether the masks say nothing. A runtime that catches what only a defect of the program raises catches other signals for
 * its own sake as well: that the application does something with them does not show, and comes when it has read its
 * configuration, connected, ….
 */
export function isOpaque(masks: Masks | null, signal: SentSignal): boolean {
  if (signal === 'SIGTERM') return false;
  return masks === null || (isRuntime(masks) && (masks.caught & bitOf(signal)) !== 0n);
}

/** What only a defect raises is caught by runtimes (Go, Java, Ruby), which catch other signals for their own sake, too. */
export function isRuntime({ caught }: { readonly caught: bigint }): boolean {
  const defects = bitOf('SIGSEGV') | bitOf('SIGBUS');
  return (caught & defects) === defects;
}

/** kill(2): our real or effective user is its real or saved one, or we have CAP_KILL. */
function judgePermission({ sender, receiver }: ReadinessQuestion): SignalReadiness | null {
  const targets = [receiver.realUid, receiver.savedUid];
  const isSameUser = targets.includes(sender.realUid) || targets.includes(sender.effectiveUid);
  if (isSameUser || (sender.effectiveCapabilities & KILL) !== 0n) return null;
  const reason = `belongs to user ${receiver.realUid}, and this sidecar runs as user ${sender.effectiveUid} without CAP_KILL`;
  return { kind: 'not-permitted', reason };
}

function judgeMasks({ isInit, gateOff, masks }: ReadinessQuestion, signal: SentSignal): SignalReadiness {
  if (masks === null) return judgeBlindly({ isInit, gateOff }, signal);
  if (isReceived(masks, signal)) return { kind: 'ready' };
  if ((masks.ignored & bitOf(signal)) !== 0n) return { kind: 'ignored', reason: `ignores ${signal}` };
  if (gateOff || (signal === 'SIGTERM' && !isInit)) return { kind: 'ready' };
  return { kind: 'no-handler', reason: `has no handler for ${signal}, ${defaultEffect(signal, isInit)}` };
}

/** However old the process is: a long life is no sign of a handler. */
function judgeBlindly(
  { isInit, gateOff }: Pick<ReadinessQuestion, 'isInit' | 'gateOff'>,
  signal: SentSignal,
): SignalReadiness {
  if (gateOff || signal === 'SIGTERM') return { kind: 'ready' };
  const reason = `may have no handler for ${signal}, ${defaultEffect(signal, isInit)}: this system does not show handlers`;
  return { kind: 'unknown-handler', reason };
}

/** Signals 1 to 31 without SIGKILL and SIGSTOP, which cannot be blocked. */
const EVERY_SIGNAL = 0x7fff_ffffn & ~(1n << 8n) & ~(1n << 18n);

/**
 * Caught; or blocked in every thread, as for `signalfd`, or in a server while it replaces itself. One that blocks
 * every signal there is proves nothing: C libraries do so for a moment whenever they start a thread or a child, and a
 * signal that is sent then kills a moment later.
 */
export function isReceived(
  masks: { readonly caught: bigint; readonly blocked: bigint },
  signal: SentSignal,
): boolean {
  const blocked = (masks.blocked & EVERY_SIGNAL) === EVERY_SIGNAL ? 0n : masks.blocked;
  return ((masks.caught | blocked) & bitOf(signal)) !== 0n;
}

function defaultEffect(signal: SentSignal, isInit: boolean): string {
  // The kernel protects the first process of a namespace from signals it does not handle.
  return signal === 'SIGWINCH' || isInit ? 'which would pass unnoticed' : 'which would kill it';
}

function bitOf(signal: NodeJS.Signals): bigint {
  return 1n << BigInt(constants.signals[signal] - 1);
}
