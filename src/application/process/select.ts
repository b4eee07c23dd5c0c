// Says which process is the application. Pure: it is given what was seen, and asks for more only about candidates.
import {
  ancestorsOf,
  candidateOf,
  createScene,
  GRADE,
  type ProcessCandidate,
  type Scene,
} from './candidate.ts';
import { isHelper, isLauncher } from './launchers.ts';
import { describeProcess, type ProcessRow } from './proc.ts';
import { isSameProgram } from './program.ts';
import { explainNone, type ProcessView, type Selector } from './selector.ts';

type Choice =
  | { readonly kind: 'one'; readonly process: ProcessRow }
  /** `reason` is a clause: `no process is named "nginx"`. */
  | { readonly kind: 'none'; readonly reason: string }
  | { readonly kind: 'ambiguous'; readonly processes: readonly ProcessRow[]; readonly reason: string };

/** `wrappers` only stand above a better match: while they live, they are not the application. */
export type Selection = Choice & { readonly wrappers: readonly ProcessRow[] };

/**
 * Chooses one process. To be the program beats to mention it in an argument; of related matches the topmost that takes the
 * signal is meant; several unrelated ones are `ambiguous`. What is never chosen: see `candidateOf`.
 */
export function select(rows: readonly ProcessRow[], selector: Selector, view: ProcessView): Selection {
  const scene = createScene(rows, view);
  const excluded: string[] = [];
  const all: ProcessCandidate[] = [];
  for (const row of rows) {
    const found = candidateOf(row, selector, scene);
    if (typeof found === 'string') excluded.push(`${describeProcess(row)} is ${found}`);
    else if (found !== null) all.push(found);
  }
  const best = bestOf(all, scene);
  const wrappers = all.filter((one) => isWrapper(one, best, scene)).map(({ row }) => row);
  if (best.length === 0) return { kind: 'none', reason: explainNone(selector, excluded), wrappers };
  return { ...choose(best, selector, scene), wrappers };
}

/** The best grade there is; among those that only mention the program, parents of another such program are left out. */
function bestOf(all: readonly ProcessCandidate[], scene: Scene): readonly ProcessCandidate[] {
  const grade = Math.min(...all.map((one) => one.grade));
  const best = all.filter((one) => one.grade === grade);
  if (grade !== GRADE.mentions) return best;
  return best.filter(
    (one) => !best.some((other) => isAbove(one, other, scene) && !isSameProgram(one.program, other.program)),
  );
}

/** Only a process that *is* the program and takes the signal shows that: an application may start what mentions its file. */
function isWrapper(one: ProcessCandidate, best: readonly ProcessCandidate[], scene: Scene): boolean {
  if (best.includes(one) || best[0]?.grade !== GRADE.is) return false;
  return best.some((other) => isAbove(one, other, scene) && scene.view.receives(other.row));
}

function isAbove(one: ProcessCandidate, other: ProcessCandidate, scene: Scene): boolean {
  return ancestorsOf(other.row, scene).includes(one.row);
}

function choose(best: readonly ProcessCandidate[], selector: Selector, scene: Scene): Choice {
  const tops = topsOf(best, scene);
  const oldest = tops[0] as ProcessCandidate;
  if (tops.length > 1 && !isOneContainer(tops, selector, scene)) {
    return severalOf(tops, `several unrelated processes match: ${listed(tops)}`);
  }
  return isContainerAlone(selector)
    ? chooseBelowInit(oldest, best, { scene, container: selector.container ?? '' })
    : readyOf(oldest, best, scene);
}

/** Those with none of them above, oldest first. */
function topsOf(some: readonly ProcessCandidate[], scene: Scene): readonly ProcessCandidate[] {
  return some
    .filter((one) => !some.some((other) => isAbove(other, one, scene)))
    .sort((a, b) => a.row.startTicks - b.row.startTicks || a.row.pid - b.row.pid);
}

/**
 * The topmost that takes the signal, from `top` downwards: itself, or what runs below a wrapper without a handler. Workers
 * are copies of their master, and several are no choice: then it is the master that is waited for.
 */
function readyOf(top: ProcessCandidate, best: readonly ProcessCandidate[], scene: Scene): Choice {
  const { view } = scene;
  const one = ({ row }: ProcessCandidate): Choice => ({ kind: 'one', process: row });
  // To ask is not for nothing, and one alone is the one that is waited for, too.
  if (best.length === 1 || view.receives(top.row)) return one(top);
  const lineOf = ({ row }: ProcessCandidate): string => view.arguments(row.pid).join(' ');
  const below = best.filter((each) => isAbove(top, each, scene) && lineOf(each) !== lineOf(top));
  const ready = topsOf(
    below.filter(({ row }) => view.receives(row)),
    scene,
  );
  if (ready.length > 1 && top.program.isShell) {
    return severalOf(ready, `several processes below ${describeProcess(top.row)} match: ${listed(ready)}`);
  }
  return one(ready.length === 1 && ready[0] !== undefined ? ready[0] : top);
}

interface InContainer {
  readonly scene: Scene;
  readonly container: string;
}

/** What runs in a container whose processes were not named is what its init or supervisor keeps, if that is one thing. */
function chooseBelowInit(
  main: ProcessCandidate,
  members: readonly ProcessCandidate[],
  { scene, container }: InContainer,
): Choice {
  const kept = keptBy(main, members, scene);
  const [one] = kept;
  if (one === undefined) {
    const reason = `container "${container}" runs nothing but ${describeProcess(main.row)}`;
    return { kind: 'none', reason };
  }
  if (kept.length > 1) {
    const above = describeProcess(main.row);
    return severalOf(kept, `container "${container}" runs several below ${above}: ${listed(kept)}`);
  }
  return readyOf(one, members, scene);
}

function keptBy(
  one: ProcessCandidate,
  members: readonly ProcessCandidate[],
  scene: Scene,
): readonly ProcessCandidate[] {
  if (isHelper(one.program)) return [];
  if (!isLauncher(one.program)) return [one];
  const children = members.filter(({ row }) => row.ppid === one.row.pid);
  return children.flatMap((child) => keptBy(child, members, scene));
}

function isContainerAlone({ name, pattern, pid, container }: Selector): boolean {
  return container !== undefined && [name, pattern, pid].every((one) => one === undefined);
}

/**
 * Commands run in a container later (probes) have no parent in sight either; its oldest such process is its main one. Where
 * nothing but the container was named, daemons whose parent has ended are no rivals either.
 */
function isOneContainer(tops: readonly ProcessCandidate[], selector: Selector, { view }: Scene): boolean {
  const containers = new Set(tops.map(({ row }) => view.container(row.pid)));
  const [container] = containers;
  if (containers.size !== 1 || container === null || container === view.container(view.self)) return false;
  return isContainerAlone(selector) || tops.every(({ row }) => row.ppid === 0);
}

function severalOf(some: readonly ProcessCandidate[], reason: string): Choice {
  return { kind: 'ambiguous', processes: some.map(({ row }) => row), reason };
}

function listed(some: readonly ProcessCandidate[]): string {
  return some.map(({ row }) => describeProcess(row)).join(', ');
}
