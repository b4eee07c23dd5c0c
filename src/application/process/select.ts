// Says which process is the application. Pure: it is given what was seen, and asks for more only about candidates.
import { basename } from 'node:path';
import { describeProcess, isDead, type ProcessRow, programName } from './proc.ts';

/** Whom the settings name; what is given must all match. */
export interface Selector {
  /** Name of the program (`nginx`), whole. */
  readonly name?: string;
  /** Searched for on the command line, its words joined by blanks. */
  readonly pattern?: RegExp;
  /** Name of the Kubernetes container it belongs to; alone it means the topmost oldest process of that one. */
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
  /** Whether a text matches the selector's pattern. */
  readonly search: (text: string) => boolean;
  /** Whether it is another command of this program. */
  readonly isOurs: (row: ProcessRow) => boolean;
}

export type Selection =
  | { readonly kind: 'one'; readonly process: ProcessRow }
  /** `reason` is a clause: `no process is named "nginx"`. */
  | { readonly kind: 'none'; readonly reason: string }
  | { readonly kind: 'ambiguous'; readonly processes: readonly ProcessRow[]; readonly reason: string };

/**
 * Chooses the topmost oldest match. Never: ourselves, our descendants and other commands of ours; processes of our own
 * container while others are visible; a zombie; a shell that matches only by its arguments; the pod's pause process.
 * Several unrelated matches are `ambiguous` (README, "Policies").
 */
export function select(rows: readonly ProcessRow[], selector: Selector, view: ProcessView): Selection {
  const scene = createScene(rows, view);
  const leftOut: string[] = [];
  const candidates = new Map<number, ProcessRow>();
  for (const row of rows) {
    if (!isMatch(row, selector, scene)) continue;
    const objection = objectionTo(row, selector, scene);
    if (objection === null) candidates.set(row.pid, row);
    else leftOut.push(`${describeProcess(row)} is ${objection}`);
  }
  const tops = [...candidates.values()]
    .filter((row) => !ancestorsOf(row, scene).some((ancestor) => candidates.has(ancestor.pid)))
    .sort((a, b) => a.startTicks - b.startTicks || a.pid - b.pid);
  const [oldest, ...others] = tops;
  if (oldest === undefined) return { kind: 'none', reason: explainNone(selector, leftOut) };
  if (others.length > 0 && !isOneContainer(tops, selector, scene)) {
    const reason = `several unrelated processes match: ${tops.map(describeProcess).join(', ')}`;
    return { kind: 'ambiguous', processes: tops, reason };
  }
  return { kind: 'one', process: oldest };
}

interface Scene {
  readonly view: ProcessView;
  readonly byPid: ReadonlyMap<number, ProcessRow>;
  /** Our own container when its processes are not meant because those of others are in sight; else null. */
  readonly ownContainer: () => string | null;
}

function createScene(rows: readonly ProcessRow[], view: ProcessView): Scene {
  const byPid = new Map(rows.map((row) => [row.pid, row]));
  let own: string | null | undefined;
  const ownContainer = (): string | null => {
    if (own === undefined) own = isSharedNamespace(byPid, view) ? view.container(view.self) : null;
    return own;
  };
  return { view, byPid, ownContainer };
}

/**
 * PID 1 lives in another container than we. On a machine of its own (its kernel threads are in sight) that is no hint:
 * a laptop that runs containers would lose the application beside us.
 */
function isSharedNamespace(byPid: ReadonlyMap<number, ProcessRow>, view: ProcessView): boolean {
  const second = byPid.get(2);
  if (second?.comm === 'kthreadd' && second.ppid === 0) return false;
  const first = view.container(1);
  const own = view.container(view.self);
  return first !== null && own !== null && first !== own;
}

function isMatch(row: ProcessRow, selector: Selector, { view, byPid }: Scene): boolean {
  // Kernel threads have no command line, and nothing to be told.
  if (row.ppid === 2 && byPid.get(2)?.comm === 'kthreadd') return false;
  return fits(selector, { ...view, pid: row.pid, comm: () => row.comm });
}

/** What a process shows of itself; each is asked for only when the answer depends on it. */
export interface ProcessFace extends Pick<ProcessView, 'arguments' | 'containerName' | 'search'> {
  readonly pid: number;
  readonly comm: () => string | null;
}

/** Whether number, name, container and command line are those of the selector, whoever the process is besides. */
export function fits({ name, pattern, pid, container }: Selector, face: ProcessFace): boolean {
  if (pid !== undefined && face.pid !== pid) return false;
  if (name !== undefined && !hasName(face, name)) return false;
  if (container !== undefined && face.containerName(face.pid) !== container) return false;
  return pattern === undefined || face.search(face.arguments(face.pid).join(' '));
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

function objectionTo(row: ProcessRow, selector: Selector, scene: Scene): string | null {
  const { view } = scene;
  if (row.pid === view.self) return 'this sidecar itself';
  if (isDead(row)) return 'a zombie';
  const ancestors = ancestorsOf(row, scene);
  if (ancestors.some(({ pid }) => pid === view.self)) return 'a command started by this sidecar';
  if (view.isOurs(row)) return 'another command of this program';
  if (ancestors.some((ancestor) => view.isOurs(ancestor)))
    return 'started by another command of this program';
  if (selector.pattern !== undefined && isBystander(row, view)) {
    return 'a shell or launcher that only mentions it';
  }
  if (isPause(row, view)) return "the pod's pause process";
  const own = scene.ownContainer();
  if (own !== null && view.container(row.pid) === own) return "in this sidecar's own container";
  return null;
}

const SHELLS: ReadonlySet<string> = new Set(['sh', 'dash', 'bash', 'ash', 'zsh', 'ksh', 'fish']);
/** They run another program and stay; its whole command line is among their words. */
const LAUNCHERS: ReadonlySet<string> = new Set([
  ...['tini', 'dumb-init', 'docker-init', 'catatonit'],
  ...['sudo', 'su', 'runuser', 'timeout', 'strace'],
]);

/** A shell or launcher which matches by what it was told to run, not by what it is. */
function isBystander(row: ProcessRow, view: ProcessView): boolean {
  const [first = '', second = ''] = view.arguments(row.pid);
  const names = [row.comm, programName(first).replace(/^-/, '')];
  const isShell = names.some((name) => SHELLS.has(name) || LAUNCHERS.has(name));
  const isBusyboxShell = names.includes('busybox') && (second === '' || SHELLS.has(second));
  return (isShell || isBusyboxShell) && !view.search(row.comm) && !view.search(first);
}

/** What Kubernetes (`pause`) and podman (`catatonit -P`) start first in a pod. */
function isPause(row: ProcessRow, view: ProcessView): boolean {
  if (row.pid !== 1) return false;
  return row.comm === 'pause' || (row.comm === 'catatonit' && view.arguments(1).includes('-P'));
}

function ancestorsOf(row: ProcessRow, { byPid }: Scene): readonly ProcessRow[] {
  const ancestors: ProcessRow[] = [];
  let parent = byPid.get(row.ppid);
  // The table was not read in one moment, so a reused number could close a circle.
  while (parent !== undefined && parent !== row && !ancestors.includes(parent)) {
    ancestors.push(parent);
    parent = byPid.get(parent.ppid);
  }
  return ancestors;
}

/**
 * Commands run in a container later (probes) have no parent in sight either; its oldest such process is its main one. Where
 * nothing but the container was named, daemons whose parent has ended are no rivals either.
 */
function isOneContainer(tops: readonly ProcessRow[], selector: Selector, { view }: Scene): boolean {
  const containers = new Set(tops.map((row) => view.container(row.pid)));
  const [container] = containers;
  if (containers.size !== 1 || container === null || container === view.container(view.self)) return false;
  const { name, pattern, pid } = selector;
  return [name, pattern, pid].every((one) => one === undefined) || tops.every((row) => row.ppid === 0);
}

function explainNone({ name, pattern, pid, container }: Selector, leftOut: readonly string[]): string {
  const wanted = [
    ...(pid === undefined ? [] : [`has the number ${pid}`]),
    ...(name === undefined ? [] : [`is named "${name}"`]),
    ...(pattern === undefined ? [] : [`matches ${pattern}`]),
    ...(container === undefined ? [] : [`belongs to container "${container}"`]),
  ].join(' and ');
  if (leftOut.length === 0) return `no process ${wanted}`;
  const more = leftOut.length > 3 ? ` and ${leftOut.length - 3} more` : '';
  return `no process that may be told ${wanted}: ${leftOut.slice(0, 3).join(', ')}${more}`;
}
