// Says why no process was found, when that lies in what can be seen of them at all, and what to do about it.
import { isWithoutOthers } from './namespace.ts';
import { listPids, readMountInfo } from './proc.ts';
import type { ProcessView, Selector } from './selector.ts';

/** The reason of `select`, with what hides processes in brackets; another reason where no container has a name. */
export function explainNotFound(reason: string, selector: Selector, view: ProcessView): string {
  const names = selector.container === undefined ? null : namesInSight(view);
  if (names?.size === 0) {
    return 'this pod runtime does not show container names; use APP_PROCESS or APP_PID_FILE instead of APP_CONTAINER';
  }
  const hints = [
    hidesProcesses() &&
      'processes are hidden: /proc is mounted with hidepid; give both containers the same user and group',
    isWithoutOthers(view.self) &&
      'no other process is visible: share the process namespace (shareProcessNamespace: true), or use RELOAD_URL',
    names !== null && `visible containers: ${[...names].sort().join(', ')}`,
  ].filter((hint) => hint !== false);
  return hints.length === 0 ? reason : `${reason} (${hints.join('; ')})`;
}

function namesInSight(view: ProcessView): ReadonlySet<string> {
  const names = listPids().map((pid) => view.containerName(pid));
  return new Set(names.filter((name) => name !== null));
}

/** Mounted so that even the numbers of others are not shown (`hidepid` 2 or 4), or not what lies behind them (1). */
function hidesProcesses(): boolean {
  const mount = (readMountInfo('/proc/self') ?? '').match(/^\S+ \S+ \S+ \S+ \/proc .*$/gm)?.at(-1) ?? '';
  return /\bhidepid=(?!0\b|off\b)/.test(mount);
}
