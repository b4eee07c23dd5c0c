// Whom the settings name, and what of a process is asked to see whether it is that one.
import { basename } from 'node:path';
import type { TextPattern } from '../../lib/linear-regexp.ts';
import type { ProcessRow } from './proc.ts';
import { programName } from './program.ts';

/** Whom the settings name; what is given must all match. */
export interface Selector {
  /** Name of the program (`nginx`), whole. */
  readonly name?: string;
  /** Searched for on the command line, its words joined by blanks. */
  readonly pattern?: TextPattern;
  /** Name of the Kubernetes container it belongs to; alone it means what runs below the init of that one. */
  readonly container?: string;
  /** The number that stands in the PID file. */
  readonly pid?: number;
}

/** Looks closer at one process. */
export interface ProcessView {
  /** Our own number. */
  readonly self: number;
  /** The words of its command line. */
  readonly arguments: (pid: number) => readonly string[];
  /** What its container has for itself alone (its root mount), or null when that is not known. */
  readonly container: (pid: number) => string | null;
  /** Name of its Kubernetes container, or null when the runtime shows none. */
  readonly containerName: (pid: number) => string | null;
  /** Whether it is another command of this program. */
  readonly isOwnCommand: (row: ProcessRow) => boolean;
  /** Whether we descend from it. */
  readonly isAboveUs: (row: ProcessRow) => boolean;
  /** Whether it stood above a better match earlier. */
  readonly wasWrapper: (row: ProcessRow) => boolean;
  /** Whether it does something with the signal; true as well where that cannot be said, or there is none to send. */
  readonly receives: (row: ProcessRow) => boolean;
}

/** What a process shows of itself; each is asked for only when the answer depends on it. */
export interface ProcessFace extends Pick<ProcessView, 'arguments' | 'containerName'> {
  readonly pid: number;
  readonly comm: () => string | null;
}

/** What a process shows. Made for each of hundreds of processes: to copy the whole view would cost as much as to read its name. */
export function faceOf(
  pid: number,
  comm: ProcessFace['comm'],
  view: Pick<ProcessView, 'arguments' | 'containerName'>,
): ProcessFace {
  return { pid, comm, arguments: view.arguments, containerName: view.containerName };
}

/** Whether number, name, container and command line are those of the selector, whatever the process is besides. */
export function fits({ name, pattern, pid, container }: Selector, face: ProcessFace): boolean {
  if (pid !== undefined && face.pid !== pid) return false;
  if (name !== undefined && !hasName(face, name)) return false;
  if (container !== undefined && face.containerName(face.pid) !== container) return false;
  return pattern === undefined || pattern.test(face.arguments(face.pid).join(' '));
}

/** The kernel cuts its name for a process to this many bytes. */
const COMM_BYTES = 15;

function hasName(face: ProcessFace, name: string): boolean {
  const comm = face.comm();
  const bytes = Buffer.byteLength(name);
  if (comm === name && bytes < COMM_BYTES) return true;
  const [program = '', ...words] = face.arguments(face.pid);
  const isCalled = programName(program) === name;
  if (isCalled || comm !== Buffer.from(name).subarray(0, COMM_BYTES).toString()) return isCalled;
  // The name may have been cut: the whole one is the first word, or the script that an interpreter was given.
  const script = words.find((word) => !word.startsWith('-')) ?? '';
  const whole = [programName(program), basename(script)];
  return whole.includes(name) || (bytes === COMM_BYTES && !whole.some((word) => word.startsWith(name)));
}

/** Why no process is meant; `excluded` are clauses about those that match and are never chosen. */
export function explainNone(
  { name, pattern, pid, container }: Selector,
  excluded: readonly string[],
): string {
  const wanted = [
    ...(pid === undefined ? [] : [`has the number ${pid}`]),
    ...(name === undefined ? [] : [`is named "${name}"`]),
    ...(pattern === undefined ? [] : [`matches /${pattern.source}/`]),
    ...(container === undefined ? [] : [`belongs to container "${container}"`]),
  ].join(' and ');
  if (excluded.length === 0) return `no process ${wanted}`;
  const more = excluded.length > 3 ? ` and ${excluded.length - 3} more` : '';
  return `no process that may be notified ${wanted}: ${excluded.slice(0, 3).join(', ')}${more}`;
}
