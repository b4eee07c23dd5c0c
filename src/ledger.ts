// What was intended, published, owed and told, on disk, so that a crash at any point is made up for at the next start.
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { errnoOf, SidecarError } from './errors.ts';
import type { BootStamp } from './process/boot-clock.ts';
import type { ProcessId } from './process/proc.ts';
import { writeFileAtomic } from './publish/atomic-file.ts';

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

const NAME = 'ledger.json';
const BEFORE = 'ledger.before.json';
const VERSION = 1;

/** What `readLedger` found: `fresh` = there was none; `damaged` = neither it nor the one before was whole. */
export interface LedgerRead {
  readonly ledger: Ledger;
  readonly from: 'current' | 'before' | 'fresh' | 'damaged';
}

/** Reads the ledger, or the one before when it is cut or garbage. Never throws for what the file holds. */
export function readLedger(directory: string): LedgerRead {
  const current = readOne(join(directory, NAME));
  if (typeof current === 'object') return { ledger: current, from: 'current' };
  const before = readOne(join(directory, BEFORE));
  // Missing: we died between the two renames of a write, and the one before is the newest there is.
  if (typeof before === 'object')
    return { ledger: before, from: current === 'missing' ? 'current' : 'before' };
  const damaged = current === 'damaged' || before === 'damaged';
  return { ledger: EMPTY_LEDGER, from: damaged ? 'damaged' : 'fresh' };
}

function readOne(path: string): Ledger | 'missing' | 'damaged' {
  try {
    const { version, checksum, ledger } = JSON.parse(readText(path));
    const whole = version === VERSION && checksum === checksumOf(JSON.stringify(ledger));
    return whole ? { ...EMPTY_LEDGER, ...ledger } : 'damaged';
  } catch (error) {
    return errnoOf(error) === 'ENOENT' ? 'missing' : 'damaged';
  }
}

/** Not through a link that somebody put there, and not from a pipe. */
function readText(path: string): string {
  const fd = fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW | fs.constants.O_NONBLOCK);
  try {
    return fs.readFileSync(fd, 'utf8');
  } finally {
    fs.closeSync(fd);
  }
}

/**
 * Writes the ledger and keeps the one before. Not flushed: the order of renames is enough against a crash of ours.
 * @throws SidecarError `ledger.write` with the disk's reason.
 */
export function writeLedger(directory: string, ledger: Ledger): void {
  const text = JSON.stringify(ledger);
  const path = join(directory, NAME);
  try {
    if (fs.existsSync(path)) fs.renameSync(path, join(directory, BEFORE));
    const bytes = Buffer.from(`{"version":${VERSION},"checksum":"${checksumOf(text)}","ledger":${text}}\n`);
    writeFileAtomic(path, bytes, { mode: 0o600, owner: null, flush: false });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new SidecarError(
      `Cannot write the ledger "${path}": ${reason}. Without it nothing is published, since a reload could be lost.`,
      { code: 'ledger.write', stage: 'ledger', cause },
    );
  }
}

function checksumOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

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
