// The ledger on disk: two slots written in turn, each with a checksum, so that the one before is always whole.
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { errnoOf, SidecarError } from '../lib/errors.ts';
import { EMPTY_LEDGER, type Ledger } from './ledger.ts';
import { isLedger } from './ledger-shape.ts';
import { readOwnText, withOwnFile } from './own-file.ts';

const VERSION = 1;

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
  const slots = [0, 1].map((slot) => readSlot(slotPath(directory, slot)));
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

function slotPath(directory: string, sequence: number): string {
  return join(directory, `ledger.${sequence % 2}.json`);
}

function readSlot(path: string): Slot | 'missing' | 'damaged' {
  try {
    const { version, checksum, sequence, ledger } = JSON.parse(readOwnText(path));
    if (version !== VERSION || checksum !== checksumOf(sequence, JSON.stringify(ledger))) return 'damaged';
    const completed = completeLedger(ledger);
    return Number.isSafeInteger(sequence) && isLedger(completed)
      ? { sequence, ledger: completed }
      : 'damaged';
  } catch (error) {
    return errnoOf(error) === 'ENOENT' ? 'missing' : 'damaged';
  }
}

/** One of version 0.1.0 knows nothing of trials and of what was gone back to. */
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
 * what nobody waits for, which cost as much as publishing. Not flushed as a rule: it has to survive a crash of ours, not of
 * the machine, after which a reload too many does no harm.
 * @returns the sequence to give the next time.
 * @throws SidecarError `ledger.write` with the disk's reason; the ledger written last is as it was.
 */
export function writeLedger(
  directory: string,
  ledger: Ledger,
  { sequence, flushed = false, flushesOther = false }: LedgerWrite,
): number {
  const next = sequence + 1;
  const path = slotPath(directory, next);
  const text = JSON.stringify(ledger);
  const checksum = checksumOf(next, text);
  const bytes = Buffer.from(
    `{"version":${VERSION},"checksum":"${checksum}","sequence":${next},"ledger":${text}}\n`,
  );
  try {
    // The slot that is overwritten holds what had to outlive the machine: the other one has to, then.
    if (flushesOther) withOwnFile(slotPath(directory, sequence), fs.fdatasyncSync);
    overwrite(path, bytes, flushed);
    return next;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new SidecarError(
      `Cannot write the ledger "${path}": ${reason}. Without it nothing is published, since a reload could be lost.`,
      { code: 'ledger.write', stage: 'ledger', cause },
    );
  }
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

/** The slot itself; whatever else stands there (a link, a pipe, a file with a second name) is replaced, not followed. */
function openOwn(path: string): number {
  const { O_RDWR, O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK } = fs.constants;
  try {
    const fd = fs.openSync(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o600);
    const stat = fs.fstatSync(fd);
    if (stat.isFile() && stat.nlink === 1) return fd;
    fs.closeSync(fd);
  } catch (error) {
    if (errnoOf(error) !== 'ELOOP') throw error;
  }
  fs.rmSync(path);
  return fs.openSync(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
}

function checksumOf(sequence: number, text: string): string {
  return createHash('sha256').update(`${sequence} ${text}`).digest('hex');
}
