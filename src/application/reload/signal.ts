// Sends the signal, to exactly the process that was chosen.
import type { ProcessId } from '../../ledger/types.ts';
import { errnoOf } from '../../lib/errors.ts';
import {
  isDead,
  listPids,
  readBlockedInAllThreads,
  readRow,
  readStatus,
  withProcessFolder,
} from '../process/proc.ts';
import { isStillThere } from '../process/ps.ts';
import { isReceived, type SentSignal } from '../process/readiness.ts';
import type { ReloadContext, ReloadResult, SignalHook } from './hook.ts';

/**
 * Signals the process of the context once. Immediately before, and through a handle that stays bound to that very
 * process, it is made sure that it is still the one that was chosen and still has a handler; what remains is a few
 * microseconds. A process that lost its handler since (it replaced itself by another program) is not signalled.
 */
export function signalReload(hook: SignalHook, context: ReloadContext): ReloadResult {
  const id = context.process;
  if (id === null) return gone(hook.signal, 'no process was found');
  // 0 and less would be whole groups of processes.
  if (!Number.isSafeInteger(id.pid) || id.pid < 1) return gone(hook.signal, `${id.pid} is no process`);
  const result = withProcessFolder(id.pid, (folder) => send(hook, id, folder));
  if (result === null && listPids().length === 0) return signalWithoutProc(hook, id);
  return result ?? gone(hook.signal, `process ${id.pid} ended`);
}

/**
 * The same where there is no `/proc`: only number and start time can be looked at again. Handlers do not show there, so
 * without `RELOAD_GATE=off` nothing but SIGTERM is sent.
 */
export function signalWithoutProc({ signal, gateOff }: SignalHook, id: ProcessId): ReloadResult {
  if (!gateOff && signal !== 'SIGTERM')
    return noHandler(id, signal, 'this system does not show whether it has a handler');
  if (!isStillThere(id)) return gone(signal, `process ${id.pid} ended`);
  return kill(id, signal);
}

function send({ signal, gateOff }: SignalHook, id: ProcessId, folder: string): ReloadResult {
  const row = readRow(folder);
  if (row === null || isDead(row)) return gone(signal, `process ${id.pid} ended`);
  if (row.pid !== id.pid || row.startTicks !== id.startTicks) {
    return gone(signal, `process ${id.pid} ended, and its number belongs to another one`);
  }
  if (!gateOff && !showsHandler(folder, signal)) {
    return noHandler(id, signal, 'it has no handler for it any more');
  }
  return kill(id, signal);
}

function kill(id: ProcessId, signal: SentSignal): ReloadResult {
  try {
    process.kill(id.pid, signal);
    return { kind: 'told', evidence: null, process: id };
  } catch (thrown) {
    return explainKill(errnoOf(thrown), id, signal);
  }
}

function showsHandler(folder: string, signal: SentSignal): boolean {
  const status = readStatus(folder);
  if (status === null) return false;
  // Its default ends a process, which is what is asked for; the kernel keeps it from the first one of a namespace.
  if (signal === 'SIGTERM' && !status.isInit) return true;
  if (isReceived({ caught: status.caught, blocked: 0n }, signal)) return true;
  return isReceived({ caught: 0n, blocked: readBlockedInAllThreads(folder) }, signal);
}

function noHandler({ pid }: ProcessId, signal: SentSignal, reason: string): ReloadResult {
  const message = `Cannot send ${signal} to process "${pid}": ${reason}`;
  return { kind: 'owed', class: 'unavailable', code: 'reload.no-handler', message };
}

function explainKill(code: string | undefined, { pid }: ProcessId, signal: SentSignal): ReloadResult {
  if (code === 'ESRCH') return gone(signal, `process ${pid} ended`);
  if (code === 'EPERM' || code === 'EACCES') {
    const remedy =
      code === 'EPERM'
        ? 'run both as the same user'
        : 'a security module (AppArmor, SELinux) forbids it; give both containers the same profile';
    const message = `Cannot send ${signal} to process "${pid}": not permitted; ${remedy}`;
    return { kind: 'not-permitted', code: 'reload.not-permitted', message };
  }
  const message = `Cannot send ${signal} to process "${pid}": ${code ?? 'unknown error'}`;
  return { kind: 'owed', class: 'unavailable', code: 'reload.signal', message };
}

function gone(signal: SentSignal, reason: string): ReloadResult {
  return {
    kind: 'gone',
    code: 'reload.gone',
    message: `Cannot send ${signal} to the application: ${reason}`,
  };
}
