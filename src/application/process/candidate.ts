// Which processes may be the application at all, and how well each matches.
import { dirname } from 'node:path';
import { isHelper, isLauncher } from './launchers.ts';
import { isDead, type ProcessRow } from './proc.ts';
import { type Program, programOf } from './program.ts';
import { faceOf, fits, type ProcessView, type Selector } from './selector.ts';

/** How a process matches; the smaller, the better. */
export const GRADE = {
  /** It is the program: by name, executable or script. Also what was found otherwise than by a pattern. */
  is: 0,
  /** Only the folder of its executable or script matches. */
  inFolder: 1,
  /** It mentions the program in an argument. */
  mentions: 2,
} as const;

export interface ProcessCandidate {
  readonly row: ProcessRow;
  readonly program: Program;
  readonly grade: (typeof GRADE)[keyof typeof GRADE];
}

export interface Scene {
  readonly view: ProcessView;
  readonly byPid: ReadonlyMap<number, ProcessRow>;
  /** Our own container when its processes are not meant because those of others are in sight; else null. */
  readonly ownContainer: () => string | null;
  readonly isMachine: boolean;
}

export function createScene(rows: readonly ProcessRow[], view: ProcessView): Scene {
  const byPid = new Map(rows.map((row) => [row.pid, row]));
  const second = byPid.get(2);
  const isMachine = second?.comm === 'kthreadd' && second.ppid === 0;
  let own: string | null | undefined;
  const ownContainer = (): string | null => {
    if (own === undefined) own = !isMachine && isSharedNamespace(view) ? view.container(view.self) : null;
    return own;
  };
  return { view, byPid, ownContainer, isMachine };
}

/**
 * PID 1 lives in another container than we. Not asked on a machine of its own (its kernel threads are in sight): a laptop
 * that runs containers would lose the application beside us.
 */
function isSharedNamespace(view: ProcessView): boolean {
  const first = view.container(1);
  const own = view.container(view.self);
  return first !== null && own !== null && first !== own;
}

/** The candidate; or why it is never chosen although it matches, as a clause after "is"; or null when it does not match. */
export function candidateOf(
  row: ProcessRow,
  selector: Selector,
  scene: Scene,
): ProcessCandidate | string | null {
  const { view, byPid, isMachine } = scene;
  // Kernel threads have no command line, and take nothing.
  if (isMachine && row.ppid === 2 && byPid.get(2) !== undefined) return null;
  if (
    !fits(
      selector,
      faceOf(row.pid, () => row.comm, view),
    )
  )
    return null;
  const program = programOf(row.comm, view.arguments(row.pid));
  const grade = gradeOf(program, selector);
  return objectionTo({ row, program, grade }, scene) ?? { row, program, grade };
}

function gradeOf(program: Program, { pattern }: Selector): ProcessCandidate['grade'] {
  if (pattern === undefined) return GRADE.is;
  const search = (text: string): boolean => pattern.test(text);
  if (program.names.some(search)) return GRADE.is;
  if (program.paths.some(search)) {
    return program.paths.some((path) => search(`${dirname(path)}/`)) ? GRADE.inFolder : GRADE.is;
  }
  // What matches only together with its own name, like `node worker --queue=mail`, is no mention of another one.
  return search(program.rest) ? GRADE.mentions : GRADE.is;
}

/**
 * Never: ourselves, what we descend from and what descends from us, other commands of ours with theirs, a zombie, the pod's
 * pause process, our own container while others are in sight, and a shell, launcher or supervisor that only mentions it.
 */
function objectionTo({ row, program, grade }: ProcessCandidate, scene: Scene): string | null {
  const { view, isMachine } = scene;
  if (row.pid === view.self) return 'this sidecar itself';
  if (isDead(row)) return 'a zombie';
  const ancestors = ancestorsOf(row, scene);
  if (ancestors.some(({ pid }) => pid === view.self)) return 'a command started by this sidecar';
  if (view.isOwnCommand(row)) return 'another command of this program';
  if (ancestors.some((ancestor) => view.isOwnCommand(ancestor)))
    return 'started by another command of this program';
  if (isPause(row, view)) return "the pod's pause process";
  const isAlone = !isMachine && isOwnInit(view);
  if (row.pid === 1 && isAlone) return `the first process of this sidecar's own container${UNSHARED}`;
  if (view.isAboveUs(row)) return `a process above this sidecar${isAlone ? UNSHARED : ''}`;
  if (grade !== GRADE.is && (isLauncher(program) || isHelper(program) || isCommandShell(program, grade)))
    return 'a shell, launcher or supervisor that only mentions it';
  if (view.wasWrapper(row)) return 'a wrapper whose own process is not there now';
  const own = scene.ownContainer();
  if (own !== null && view.container(row.pid) === own) return "in this sidecar's own container";
  return null;
}

const UNSHARED = ', so the process namespace is not shared with the application';

/** PID 1 lives in our own container. */
function isOwnInit(view: ProcessView): boolean {
  const own = view.container(view.self);
  return own !== null && view.container(1) === own;
}

/** A shell that was given a command, or a script with arguments: only the script's own name makes it the application. */
function isCommandShell({ isShell }: Program, grade: ProcessCandidate['grade']): boolean {
  return isShell && grade === GRADE.mentions;
}

/** What Kubernetes (`pause`) and podman (`catatonit -P`) start first in a pod. */
function isPause(row: ProcessRow, view: ProcessView): boolean {
  if (row.pid !== 1) return false;
  return row.comm === 'pause' || (row.comm === 'catatonit' && view.arguments(1).includes('-P'));
}

export function ancestorsOf(row: ProcessRow, { byPid }: Pick<Scene, 'byPid'>): readonly ProcessRow[] {
  const ancestors: ProcessRow[] = [];
  let parent = byPid.get(row.ppid);
  // The table was not read in one moment, so a reused number could close a circle.
  while (parent !== undefined && parent !== row && !ancestors.includes(parent)) {
    ancestors.push(parent);
    parent = byPid.get(parent.ppid);
  }
  return ancestors;
}
