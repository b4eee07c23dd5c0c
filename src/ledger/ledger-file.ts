// The ledger on disk: two slots written in turn, each with a checksum, so that the one before is always whole.
import * as fs from 'node:fs';
import { dirname, join } from 'node:path';
import { errnoOf, SidecarError } from '../lib/errors.ts';
import { sha256 } from '../lib/sha256.ts';
import { asShown, openPlace, within } from '../publish/directory-handle.ts';
import { explainFull, reasonOf } from '../publish/disk-error.ts';
import { withOpenFile } from '../publish/safe-open.ts';
import { EMPTY_LEDGER, type Ledger } from './ledger.ts';
import { isLedger } from './ledger-shape.ts';
import type { LedgerSlots } from './ledger-slots.ts';
import { plausible } from './plausible.ts';
import { readOwnText } from './safe-text.ts';

const VERSION = 1;

/** A larger slot was not written by us. */
const MAX_LEDGER_BYTES = 2 ** 20;

const BLOCK_BYTES = 4096;

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

/** The ledger has two files, written in turn. */
export function slotName(sequence: number): string {
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
  readonly slots: LedgerSlots;
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
  { sequence, flushed = false, flushesOther = false, slots }: LedgerWrite,
): number {
  const next = sequence + 1;
  const path = join(directory, slotName(next));
  const bytes = encodeWithin(MAX_LEDGER_BYTES, ledger, next);
  try {
    // The slot that is overwritten holds what had to outlive the machine: the other one has to, then.
    if (flushesOther) withOpenFile(join(directory, slotName(sequence)), fs.fdatasyncSync);
    slots.overwrite(path, bytes, flushed);
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
  const line = `{"version":${VERSION},"checksum":"${checksum}","sequence":${sequence},"ledger":${text}}`;
  // Blanks up to the end of a block: a size that stays the same need not be flushed.
  const blocks = Math.ceil((Buffer.byteLength(line) + 1) / BLOCK_BYTES);
  const bytes = Buffer.alloc(blocks * BLOCK_BYTES, ' ');
  bytes.write(line);
  bytes.write('\n', bytes.length - 1);
  return bytes;
}

function checksumOf(sequence: number, text: string): string {
  return sha256(`${sequence} ${text}`);
}
