// What was intended, published, owed and told, so that a crash at any point is made up for at the next start. Pure.
import type { BootStamp } from './process/boot-clock.ts';
import type { ProcessId } from './process/proc.ts';

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

/** A version that was made visible: when, and from what it was rendered. */
export interface Published extends Version {
  /** Digest of data, templates and what else decides the rendering: the same input is not rendered to a new revision. */
  readonly input: string;
  /** When it became visible; a process started later has read it. null: not known, so nobody is taken to have. */
  readonly moment: BootStamp | null;
}

export interface Told {
  readonly version: Version;
  /** Unix milliseconds. */
  readonly at: number;
  readonly process: ProcessId | null;
  /** `answered`: the hook said yes; `started`: the process started after the publication; null: a signal was sent. */
  readonly evidence: 'answered' | 'started' | null;
}

/**
 * The order of writing is what makes it work: `intended` and `owed` before the rename, `published` after it, `told`
 * (which clears `owed`) after the hook. What the volume holds is the truth, the ledger explains it.
 */
export interface Ledger {
  /** Counts publications. */
  readonly generation: number;
  readonly published: Published | null;
  /** Set before the rename and cleared after it: with it, a crash in between can be read off the volume. */
  readonly intended: { readonly version: Published; readonly owedBefore: boolean } | null;
  /** The application has not been told of what is on the volume; since when (Unix milliseconds). */
  readonly owed: { readonly since: number } | null;
  readonly told: Told | null;
}

export const EMPTY_LEDGER: Ledger = {
  generation: 0,
  published: null,
  intended: null,
  owed: null,
  told: null,
};

/** Before the rename: what will be visible, and that the application is owed a reload for it (unless nobody is told). */
export function intend(ledger: Ledger, version: Published, tells: boolean): Ledger {
  const owed = tells ? (ledger.owed ?? { since: version.at }) : null;
  return { ...ledger, intended: { version, owedBefore: ledger.owed !== null }, owed };
}

/** After the rename. */
export function carriedOut(ledger: Ledger, moment: BootStamp): Ledger {
  if (ledger.intended === null) return ledger;
  const published = { ...ledger.intended.version, moment };
  return { ...ledger, generation: ledger.generation + 1, published, intended: null };
}

/** The application knows of what is published, so nothing is owed any more. */
export function toldOf(ledger: Ledger, told: Omit<Told, 'version'>): Ledger {
  if (ledger.published === null) return { ...ledger, owed: null };
  const { revision, digest, rendering, at } = ledger.published;
  const version = { revision, digest, rendering, at };
  return { ...ledger, owed: null, told: { ...told, version } };
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
  if (version.rendering === rendering) return carriedOut(ledger, moment);
  const owed = owedBefore || rendering !== (ledger.published?.rendering ?? null) ? ledger.owed : null;
  return { ...ledger, intended: null, owed };
}

/** What the volume shows is what is wanted, but the ledger did not know: whether anybody was told is not known. */
export function adopt(ledger: Ledger, version: Published, tells: boolean): Ledger {
  const owed = tells ? (ledger.owed ?? { since: version.at }) : null;
  return { ...ledger, published: version, intended: null, owed };
}
