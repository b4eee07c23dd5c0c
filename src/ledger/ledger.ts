// What was intended, published, owed, told, tried, blocked and kept, so that a crash at any point is made up for at the
// next start. Pure.
import type { StagedPart } from '../publish/types.ts';
import type { BootStamp, ProcessId } from './types.ts';

/** One configuration, as status shows it. */
export interface Version {
  /** The source's version of the data. */
  readonly revision: string;
  /** Ours, of the data. */
  readonly digest: string;
  /** Digest of the files. */
  readonly rendering: string;
  /** Unix milliseconds. */
  readonly at: number;
}

/**
 * Why a version is on the volume: it is what is wanted; the last known good one serves while that cannot be had
 * (`fallback`) or did not work (`rolled-back`); or it was rolled back to by hand and stays (`pinned`).
 */
export type PublishedAs = 'desired' | 'fallback' | 'rolled-back' | 'pinned';

/** A version that was made visible: when, and from what it was rendered. */
export interface Published extends Version {
  /** Digest of data, templates and what else decides the rendering: the same input is not rendered to a new revision. */
  readonly input: string;
  /** When it became visible; a process started later has read it. null: not known, so no process is taken to have read it. */
  readonly moment: BootStamp | null;
  readonly as: PublishedAs;
  /** What was on the volume before killed the application, or is suspected of it. */
  readonly afterDeath?: boolean;
}

/**
 * What shows that the application runs a version: the hook said yes, it lived through the period, it has new workers,
 * `CONFIRM_URL` answered as wanted, it started after the publication.
 */
export type Evidence = 'answered' | 'alive' | 'workers' | 'probed' | 'started';

interface LastNotified {
  readonly version: Version;
  /** Unix milliseconds. */
  readonly at: number;
  readonly process: ProcessId | null;
  /** null: a signal was sent, which proves nothing yet. */
  readonly evidence: Extract<Evidence, 'answered' | 'started'> | null;
}

/** What is found out about a publication before it counts as known to work. */
export interface Trial {
  /** The process that must live; null when none is named. */
  readonly process: ProcessId | null;
  /** `told`: the hook was used; `picked-up`: the process started after the publication; `published`: there is no hook. */
  readonly how: 'told' | 'picked-up' | 'published';
  /** A restart was asked for (SIGTERM): `process` is the one that has to go, and another one has to come. */
  readonly restarts: boolean;
  /** Its children right before the notification (`CONFIRM_WORKERS`); empty without that setting. */
  readonly children: readonly ProcessId[];
  /** When the trial began: Unix milliseconds, and on the boot clock. */
  readonly at: number;
  readonly moment: BootStamp;
  /** Unix milliseconds before which a reload time reported by the application proves nothing. */
  readonly notBefore: number;
  /** When the notification began, on the boot clock in 1/100 s; absent where there was none, or no such clock was seen. */
  readonly toldFrom?: number | null;
  /** What the notification itself has proved. */
  readonly evidence: readonly Evidence[];
}

/** How a trial can end badly. */
export type BadVerdict = 'refused' | 'target-died' | 'unconfirmed';

export type Verdict = 'pending' | 'good' | BadVerdict;

/** A rendering that is not tried again by itself. */
export interface Block extends Version {
  /** Digest of the reload and confirm settings it did not work under. */
  readonly under: string;
  readonly outcome: BadVerdict;
  readonly code: string;
  readonly message: string;
}

/** What killed the application, it seems: it is blocked when a replacement is seen, or at `until` (Unix milliseconds). */
interface Suspect {
  readonly block: Block;
  readonly process: ProcessId | null;
  readonly until: number;
}

/** A confirmed generation of which the state directory has a copy. */
export interface KeptGeneration extends Version {
  readonly generation: number;
  readonly input: string;
  /** Unix milliseconds. */
  readonly confirmedAt: number;
}

/** A generation that was chosen by hand. What an older version wrote has neither time nor words. */
export interface Pin {
  readonly rendering: string;
  readonly generation: number;
  /** Unix milliseconds. */
  readonly at?: number;
  /** Who asked for it, as far as that was said. */
  readonly by?: string;
  readonly reason?: string;
}

export interface Running {
  readonly version: Version;
  /** Unix milliseconds. */
  readonly at: number;
  readonly evidence: readonly Evidence[];
}

/**
 * The order of writing is what makes it work: `intended` and `owed` before the rename, `published` after it, `told`
 * (which clears `owed` and begins the trial) after the hook, `good` with what is kept after the trial. What the volume
 * holds is the truth, the ledger explains it.
 */
export interface Ledger {
  /** Counts publications. */
  readonly generation: number;
  readonly published: Published | null;
  /** On what is published. */
  readonly verdict: Verdict;
  /** Set before the rename and cleared after it: with it, a crash in between can be read off the volume. */
  readonly intended: {
    readonly version: Published;
    readonly owedBefore: boolean;
    /** Absent where one output changes. */
    readonly staged?: readonly StagedPart[];
  } | null;
  /** The application has not been told of what is on the volume; since when (Unix milliseconds). */
  readonly owed: { readonly since: number } | null;
  readonly told: LastNotified | null;
  readonly trial: Trial | null;
  /** What the application is known to run; null without evidence. */
  readonly running: Running | null;
  readonly suspect: Suspect | null;
  /** Newest first. */
  readonly blocked: readonly Block[];
  /** The one confirmed last first, which is the last known good. */
  readonly kept: readonly KeptGeneration[];
  readonly pinned: Pin | null;
  /** When what was wanted was last found to work, Unix milliseconds; a way back does not count. */
  readonly appliedAt: number | null;
}

export const EMPTY_LEDGER: Ledger = {
  generation: 0,
  published: null,
  verdict: 'pending',
  intended: null,
  owed: null,
  told: null,
  trial: null,
  running: null,
  suspect: null,
  blocked: [],
  kept: [],
  pinned: null,
  appliedAt: null,
};

/** More than anybody reads; the oldest go first. */
const MAX_BLOCKED = 50;

/** The version without what only the ledger needs. */
export function versionOf({ revision, digest, rendering, at }: Version): Version {
  return { revision, digest, rendering, at };
}

/** The generation that was confirmed last. */
export function lastKnownGoodOf({ kept }: Ledger): KeptGeneration | null {
  return kept[0] ?? null;
}

/** Before the rename: what will be visible, and that the application is owed a reload for it, if there is a hook. */
export function intend(
  ledger: Ledger,
  version: Published,
  notifies: boolean,
  staged: readonly StagedPart[] = [],
): Ledger {
  const owed = notifies ? (ledger.owed ?? { since: version.at }) : null;
  const owedBefore = ledger.owed !== null;
  return { ...ledger, intended: { version, owedBefore, ...(staged.length > 0 && { staged }) }, owed };
}

/** After the rename. */
export function carryOut(ledger: Ledger, moment: BootStamp): Ledger {
  if (ledger.intended === null) return ledger;
  const afterDeath = ledger.suspect !== null || ledger.verdict === 'target-died';
  const published = { ...ledger.intended.version, moment, ...(afterDeath && { afterDeath }) };
  const generation = ledger.generation + 1;
  return { ...ledger, generation, published, verdict: 'pending', trial: null, intended: null };
}

/** The application knows of what is published, so nothing is owed any more; whether it works is found out from now on. */
export function markNotified(ledger: Ledger, trial: Trial): Ledger {
  if (ledger.published === null) return { ...ledger, owed: null };
  const version = versionOf(ledger.published);
  const { at, process } = trial;
  const [evidence = null] = trial.evidence as readonly LastNotified['evidence'][];
  const running = evidence === null ? null : { version, at, evidence: [evidence] };
  return {
    ...ledger,
    owed: null,
    told: { version, at, process, evidence },
    trial,
    running,
    verdict: 'pending',
  };
}

/** What is published is tried without a notification. */
export function startTrial(ledger: Ledger, trial: Trial): Ledger {
  return { ...ledger, trial, verdict: 'pending' };
}

/** The trial cannot go on, and what it was about has to be told anew. */
export function loseTrial(ledger: Ledger, notifies: boolean, now: number): Ledger {
  return { ...ledger, trial: null, owed: notifies ? (ledger.owed ?? { since: now }) : null };
}

/** What is published works, and is not blocked any more. */
export function confirm(
  ledger: Ledger,
  { evidence, at }: { readonly evidence: readonly Evidence[]; readonly at: number },
): Ledger {
  const { published } = ledger;
  if (published === null) return ledger;
  const running = evidence.length === 0 ? null : { version: versionOf(published), at, evidence };
  const blocked = ledger.blocked.filter(({ rendering }) => rendering !== published.rendering);
  const appliedAt = published.as === 'desired' ? at : ledger.appliedAt;
  return { ...ledger, trial: null, verdict: 'good', running, blocked, appliedAt };
}

/** What a copy of what is published would be kept as; null when it is the last known good already. What was kept before keeps its number. */
export function nextKept(
  { published, kept, generation }: Ledger,
  confirmedAt: number,
): KeptGeneration | null {
  if (published === null) return null;
  const { rendering, revision, input } = published;
  if (kept[0]?.rendering === rendering && kept[0].revision === revision) return null;
  const before = kept.find((one) => one.rendering === rendering);
  return { ...versionOf(published), input, generation: before?.generation ?? generation, confirmedAt };
}

/** There is a copy of it, which makes it the last known good; at most `limit` are kept to roll back to. A pinned one always stays. */
export function addKept(ledger: Ledger, newest: KeptGeneration, limit: number): Ledger {
  const all = [newest, ...ledger.kept.filter(({ rendering }) => rendering !== newest.rendering)];
  return { ...ledger, kept: all.filter((one, i) => i < limit || one.rendering === ledger.pinned?.rendering) };
}

/** At a start: what was on the disk, or what the copies say where the ledger was lost. `now`: Unix milliseconds. */
export function restart(ledger: Ledger, copies: readonly KeptGeneration[], now: number): Ledger {
  return expireSuspect(copies.length === 0 ? ledger : restore(ledger, copies), now);
}

/** The ledger was lost, but not the copies: what they are of is known to work, and numbers go on from theirs. */
export function restore(ledger: Ledger, kept: readonly KeptGeneration[]): Ledger {
  const generation = Math.max(ledger.generation, ...kept.map((one) => one.generation));
  return { ...ledger, kept, generation };
}

/** A copy that cannot be used does not count. A pin stays: what would come in its place was not chosen. */
export function withoutKept(ledger: Ledger, lost: string): Ledger {
  return { ...ledger, kept: ledger.kept.filter(({ rendering }) => rendering !== lost) };
}

/** How what is published did not work. */
export interface TrialFailure {
  readonly block: Block;
  /** A death that may be no verdict yet: until then (Unix milliseconds), or until a replacement is seen. */
  readonly suspectUntil: number | null;
}

/**
 * What is published does not work. The last known good is never blocked: the application is owed another notification of it.
 * What worked longer ago is blocked like anything else, since there is something better to go back to.
 */
export function recordFailure(
  ledger: Ledger,
  { block, suspectUntil }: TrialFailure,
  notifies: boolean,
): Ledger {
  const process = ledger.trial?.process ?? null;
  const { outcome: verdict, at } = block;
  const isLastKnownGood = lastKnownGoodOf(ledger)?.rendering === block.rendering;
  const bad = { ...ledger, verdict, trial: null, running: verdict === 'refused' ? ledger.running : null };
  if (isLastKnownGood) return { ...bad, owed: notifies ? (ledger.owed ?? { since: at }) : null };
  if (suspectUntil !== null) return { ...bad, suspect: { block, process, until: suspectUntil } };
  return blocking(bad, block);
}

function blocking(ledger: Ledger, block: Block): Ledger {
  const others = ledger.blocked.filter(
    (one) => one.rendering !== block.rendering || one.under !== block.under,
  );
  return { ...ledger, blocked: [block, ...others].slice(0, MAX_BLOCKED) };
}

/** The death was one: what was suspected is blocked. */
export function confirmSuspect({ suspect, ...ledger }: Ledger): Ledger {
  const cleared = { ...ledger, suspect: null };
  return suspect === null ? cleared : blocking(cleared, suspect.block);
}

/** A pod that ends is no verdict: what was suspected is tried again at the next start. */
export function dropSuspect(ledger: Ledger): Ledger {
  if (ledger.suspect === null) return ledger;
  const isStill = ledger.published?.rendering === ledger.suspect.block.rendering;
  return { ...ledger, suspect: null, verdict: isStill ? 'pending' : ledger.verdict };
}

/** At a start: a death whose time ran out while no sidecar ran may have been the end of a pod. */
function expireSuspect(ledger: Ledger, now: number): Ledger {
  return ledger.suspect !== null && now >= ledger.suspect.until ? dropSuspect(ledger) : ledger;
}

/** Nothing is blocked any more; the application is notified again of what is on the volume and did not work. */
export function unblock(ledger: Ledger, notifies: boolean, now: number): Ledger {
  const isBad = ledger.verdict !== 'good' && ledger.verdict !== 'pending';
  const again = { ...ledger, blocked: [], suspect: null };
  if (!isBad) return again;
  return { ...again, verdict: 'pending', owed: notifies ? (ledger.owed ?? { since: now }) : null };
}

/**
 * At a start: whether the rename that was intended took place can be read off the volume. If not, a reload is owed
 * only if one was owed before.
 * @param moment when what the volume shows was put there, as far as that can be told; by default it is not known.
 */
export function resolveIntention(
  ledger: Ledger,
  rendering: string | null,
  moment: BootStamp = { bootId: null, ticks: null },
): Ledger {
  if (ledger.intended === null) return ledger;
  const { version, owedBefore } = ledger.intended;
  if (version.rendering === rendering) return carryOut(ledger, moment);
  const owed = owedBefore || rendering !== (ledger.published?.rendering ?? null) ? ledger.owed : null;
  return { ...ledger, intended: null, owed };
}

/** What the volume shows is what is wanted, but the ledger did not know: whether anybody was told is not known. */
export function adoptVolume(ledger: Ledger, version: Published, notifies: boolean): Ledger {
  const owed = notifies ? (ledger.owed ?? { since: version.at }) : null;
  // It is another generation than the one before, whatever put it there.
  const generation = ledger.generation + 1;
  return { ...ledger, generation, published: version, verdict: 'pending', trial: null, intended: null, owed };
}
