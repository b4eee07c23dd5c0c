// The ledger on disk: two slots written in turn, each with a checksum, so that the one before is always whole.
import { createHash, randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import { dirname, join } from 'node:path';
import { errnoOf, SidecarError } from '../lib/errors.ts';
import { asShown, openPlace, within } from '../publish/directory-handle.ts';
import { explainFull, reasonOf } from '../publish/disk-error.ts';
import { withOpenFile } from '../publish/safe-open.ts';
import { EMPTY_LEDGER, type Ledger } from './ledger.ts';
import { isLedger } from './ledger-shape.ts';
import { plausible } from './plausible.ts';
import { isTrusted, readOwnText } from './safe-text.ts';

const VERSION = 1;

/** A larger slot was not written by us. */
const MAX_LEDGER_BYTES = 2 ** 20;

/** Names with this beginning and twelve hex digits are removed at a start. */
export const CHECK_PREFIX = 'check-';

/** What `readLedger` found. */
export interface LedgerRead {
  readonly ledger: Ledger;
  /** Counts the writes; 0 before the first. `writeLedger` wants it back. */
  readonly sequence: number;
  /**
   * `current`: the newest; `before`: one slot is not whole, so it may be the one before; `fresh`: there was none;
   * `damaged`: neither slot was whole.
   */
  readonly from: 'current' | 'before' | 'fresh' | 'damaged';
}

/** Reads the newest ledger that is whole. Never throws for what the files hold. */
export function readLedger(directory: string): LedgerRead {
  const slots = readSlots(directory);
  const damaged = slots.includes('damaged');
  const whole = slots.filter((slot) => typeof slot === 'object').sort((a, b) => b.sequence - a.sequence);
  const [newest] = whole;
  if (newest !== undefined) return { ...newest, from: damaged ? 'before' : 'current' };
  return { ledger: EMPTY_LEDGER, sequence: 0, from: damaged ? 'damaged' : 'fresh' };
}

interface Slot {
  readonly ledger: Ledger;
  readonly sequence: number;
}

function slotName(sequence: number): string {
  return `ledger.${sequence % 2}.json`;
}

type SlotRead = Slot | 'missing' | 'damaged';

function readSlots(directory: string): readonly SlotRead[] {
  try {
    return within(openPlace(directory), ({ path }) =>
      [0, 1].map((slot) => readSlot(join(path, slotName(slot)))),
    );
  } catch (error) {
    return [errnoOf(error) === 'ENOENT' ? 'missing' : 'damaged'];
  }
}

function readSlot(path: string): SlotRead {
  try {
    return parseSlot(path);
  } catch (error) {
    return errnoOf(error) === 'ENOENT' ? 'missing' : 'damaged';
  }
}

function parseSlot(path: string): Slot | 'damaged' {
  const { version, checksum, sequence, ledger } = JSON.parse(readOwnText(path, MAX_LEDGER_BYTES));
  if (version !== VERSION || checksum !== checksumOf(sequence, JSON.stringify(ledger))) return 'damaged';
  const completed = completeLedger(ledger);
  if (!isLedger(completed) || !isCount(sequence)) return 'damaged';
  const believed = plausible(completed, Date.now());
  return believed === null ? 'damaged' : { sequence, ledger: believed };
}

/** Half of what can be counted is more than anyone writes, and leaves room for more. */
function isCount(sequence: unknown): sequence is number {
  return Number.isSafeInteger(sequence) && (sequence as number) >= 0 && (sequence as number) < 2 ** 52;
}

/** One of version 0.1.0 knows nothing of trials and roll-backs. */
function completeLedger(ledger: Ledger): Ledger {
  const asDesired = <V>(version: V): V => ({ as: 'desired', ...version });
  const { published = null, intended = null } = ledger;
  return {
    ...EMPTY_LEDGER,
    ...ledger,
    published: published && asDesired(published),
    intended: intended && { ...intended, version: asDesired(intended.version) },
  };
}

/** How a ledger is written. */
export interface LedgerWrite {
  /** That of the ledger written or read last. */
  readonly sequence: number;
  /** What was blocked, pinned or found good has to outlive the machine as well. */
  readonly flushed?: boolean;
  /** The one before the last was flushed, and the last was not. */
  readonly flushesOther?: boolean;
}

/**
 * Writes the ledger over the older slot, in place: a new file and a rename would make the file system write at once
 * what nothing waits for, which cost as much as publishing. Not flushed as a rule: it has to survive a crash of ours, not of
 * the machine, after which a reload too many does no harm.
 * @param directory the state directory; `StateDirectory.held` where the lock is ours.
 * @returns the sequence to give the next time.
 * @throws SidecarError `ledger.write` with the disk's reason; the ledger written last is as it was.
 */
export function writeLedger(
  directory: string,
  ledger: Ledger,
  { sequence, flushed = false, flushesOther = false }: LedgerWrite,
): number {
  const next = sequence + 1;
  const path = join(directory, slotName(next));
  const bytes = encodeWithin(MAX_LEDGER_BYTES, ledger, next);
  try {
    // The slot that is overwritten holds what had to outlive the machine: the other one has to, then.
    if (flushesOther) withOpenFile(join(directory, slotName(sequence)), fs.fdatasyncSync);
    overwrite(path, bytes, flushed);
    return next;
  } catch (cause) {
    throw new SidecarError(
      `Cannot write the ledger "${asShown(path)}": ${whyNot(cause, path, bytes.length)}. Without it nothing is published, since a reload could be lost.`,
      { code: 'ledger.write', stage: 'ledger', cause },
    );
  }
}

function whyNot(cause: unknown, path: string, bytes: number): string {
  const isFull = ['ENOSPC', 'EDQUOT'].includes(errnoOf(cause) ?? '');
  if (isFull) return explainFull(dirname(path), { bytes }).replace(/\.$/, '');
  return reasonOf(cause);
}

function encodeWithin(maxBytes: number, ledger: Ledger, sequence: number): Buffer {
  const bytes = encode(ledger, sequence);
  if (bytes.length <= maxBytes || ledger.blocked.length + ledger.kept.length === 0) return bytes;
  return encodeWithin(maxBytes, shortened(ledger), sequence);
}

const SHORT_MESSAGE = 200;

/** Long messages are given up first, then the older half of what is blocked and kept. */
function shortened({ blocked, kept, ...ledger }: Ledger): Ledger {
  if (blocked.some(({ message }) => message.length > SHORT_MESSAGE)) {
    const short = blocked.map((block) => ({ ...block, message: block.message.slice(0, SHORT_MESSAGE) }));
    return { ...ledger, kept, blocked: short };
  }
  const half = <T>(list: readonly T[]): readonly T[] => list.slice(0, Math.floor(list.length / 2));
  return { ...ledger, blocked: half(blocked), kept: half(kept) };
}

function encode(ledger: Ledger, sequence: number): Buffer {
  const text = JSON.stringify(ledger);
  const checksum = checksumOf(sequence, text);
  return Buffer.from(
    `{"version":${VERSION},"checksum":"${checksum}","sequence":${sequence},"ledger":${text}}\n`,
  );
}

function overwrite(path: string, bytes: Uint8Array, flushed: boolean): void {
  const fd = openOwn(path);
  try {
    for (let offset = 0; offset < bytes.length; ) {
      offset += fs.writeSync(fd, bytes, offset, bytes.length - offset, offset);
    }
    fs.ftruncateSync(fd, bytes.length);
    if (flushed) fs.fdatasyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}

/** In the place of a slot these are not written to, but replaced: a link, a socket, a directory, a file we may not open. */
const REPLACED: readonly (string | undefined)[] = ['ELOOP', 'ENXIO', 'EISDIR', 'EACCES', 'EPERM'];

/** The slot itself, for us alone. Whatever else has its name is replaced, not followed. */
function openOwn(path: string): number {
  const { O_RDWR, O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK } = fs.constants;
  try {
    const fd = fs.openSync(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o600);
    if (isOwnSlot(fs.fstatSync(fd), path)) return fd;
    fs.closeSync(fd);
  } catch (error) {
    if (!REPLACED.includes(errnoOf(error))) throw error;
  }
  putAside(path);
  return fs.openSync(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
}

/** Others who could write to it may have it open still: a new file takes its place. */
function isOwnSlot(stat: fs.Stats, path: string): boolean {
  return stat.isFile() && stat.nlink === 1 && (stat.mode & 0o077) === 0 && isTrusted(stat, path);
}

/** A directory may hold anything: it waits for the next start under the name of a left-over. */
function putAside(path: string): void {
  try {
    fs.unlinkSync(path);
  } catch (error) {
    const stat = fs.lstatSync(path, { throwIfNoEntry: false });
    if (stat?.isDirectory() !== true) throw error;
    fs.renameSync(path, join(dirname(path), CHECK_PREFIX + randomBytes(6).toString('hex')));
  }
}

function checksumOf(sequence: number, text: string): string {
  return createHash('sha256').update(`${sequence} ${text}`).digest('hex');
}
