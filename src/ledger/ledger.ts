// What survives a restart: what was intended, published, owed, notified, tried, blocked and kept, so that a crash at any point is made
// up for at the next start. See `transitions.ts` for how it changes.

import type { StagedPart } from '../publish/types.ts';
import type { BootStamp, ProcessId } from './types.ts';

/** One configuration, as status shows it; without a `rendering` (null) before it is rendered, or when it cannot be. */
export interface Version<Rendering extends string | null = string> {
  /** The source's version of the data. */
  readonly revision: string;
  /** Ours, of the data. */
  readonly digest: string;
  /** Digest of the files. */
  readonly rendering: Rendering;
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

export interface LastNotified {
  readonly version: Version;
  /** Unix milliseconds. */
  readonly at: number;
  readonly process: ProcessId | null;
  /** null: a signal was sent, which proves nothing yet. */
  readonly evidence: Extract<Evidence, 'answered' | 'started'> | null;
}

/** What is found out about a publication before it counts as known to work. */
export interface Trial {
  /** The process that must survive; null when none is named. */
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
  /** The application has not been notified of what is on the volume; since when (Unix milliseconds). */
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

/** Whether a trial ended badly. */
export function isBad(verdict: Verdict): verdict is BadVerdict {
  return verdict !== 'pending' && verdict !== 'good';
}

/** How what is published did not work. */
export interface TrialFailure {
  readonly block: Block;
  /** A death that may be no verdict yet: until then (Unix milliseconds), or until a replacement is seen. */
  readonly suspectUntil: number | null;
}

/** The version without what only the ledger needs. */
export function versionOf<Rendering extends string | null>(version: Version<Rendering>): Version<Rendering> {
  const { revision, digest, rendering, at } = version;
  return { revision, digest, rendering, at };
}

/** The generation that was confirmed last. */
export function lastKnownGoodOf({ kept }: Ledger): KeptGeneration | null {
  return kept[0] ?? null;
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

/** How long ago this was confirmed, when it was. `now`: Unix milliseconds. */
export function confirmedSecondsAgo({ kept }: Ledger, { rendering }: Version, now: number): number | null {
  const confirmedAt = kept.find((one) => one.rendering === rendering)?.confirmedAt;
  return confirmedAt === undefined ? null : Math.round((now - confirmedAt) / 1000);
}
