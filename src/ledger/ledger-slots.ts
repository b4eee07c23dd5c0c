// The files of the ledger, written in place: only ever our own, whatever others put at their names.
import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import { dirname, join } from 'node:path';
import { errnoOf } from '../lib/errors.ts';
import { isTrusted } from './safe-text.ts';

/** Names with this beginning and twelve hex digits are removed at a start. */
export const CHECK_PREFIX = 'check-';

interface OpenSlot {
  readonly fd: number;
  /** As whole numbers: some file systems count theirs beyond what a JavaScript number tells apart. */
  readonly dev: bigint;
  readonly ino: bigint;
}

/** Keeps the slots of one directory open from one write to the next. */
export class LedgerSlots {
  readonly #open = new Map<string, OpenSlot>();

  /**
   * Writes over the whole of a slot in place; `flushed`: its bytes are on the disk then. A slot that is not the one at its name any
   * more is opened again.
   * @throws the system's error.
   */
  overwrite(path: string, bytes: Uint8Array, flushed: boolean): void {
    const there = fs.lstatSync(path, { throwIfNoEntry: false, bigint: true });
    const known = this.#open.get(path);
    if (known !== undefined && there !== undefined && isSame(known, there) && isOwnSlot(there, path)) {
      write(known.fd, bytes, { sizeBefore: Number(there.size), flushed });
      return;
    }
    this.#forget(path);
    const fd = openOwn(path);
    try {
      const { dev, ino, size } = fs.fstatSync(fd, { bigint: true });
      this.#open.set(path, { fd, dev, ino });
      write(fd, bytes, { sizeBefore: Number(size), flushed });
    } catch (error) {
      this.#forget(path, fd);
      throw error;
    }
  }

  /** Closes them. */
  release(): void {
    for (const path of [...this.#open.keys()]) this.#forget(path);
  }

  #forget(path: string, fd = this.#open.get(path)?.fd): void {
    this.#open.delete(path);
    if (fd !== undefined) fs.closeSync(fd);
  }
}

function isSame(one: OpenSlot, other: fs.BigIntStats): boolean {
  return one.dev === other.dev && one.ino === other.ino;
}

interface Writing {
  readonly sizeBefore: number;
  readonly flushed: boolean;
}

function write(fd: number, bytes: Uint8Array, { sizeBefore, flushed }: Writing): void {
  for (let offset = 0; offset < bytes.length; )
    offset += fs.writeSync(fd, bytes, offset, bytes.length - offset, offset);
  if (sizeBefore > bytes.length) fs.ftruncateSync(fd, bytes.length);
  if (flushed) fs.fdatasyncSync(fd);
}

/** In the place of a slot these are not written to, but replaced: a link, a socket, a directory, a file we may not open. */
const REPLACED: readonly (string | undefined)[] = ['ELOOP', 'ENXIO', 'EISDIR', 'EACCES', 'EPERM'];

/** The slot itself, for us alone. Whatever else has its name is replaced, not followed. */
function openOwn(path: string): number {
  const { O_RDWR, O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK } = fs.constants;
  try {
    const fd = fs.openSync(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o600);
    if (isOwnSlot(fs.fstatSync(fd, { bigint: true }), path)) return fd;
    fs.closeSync(fd);
  } catch (error) {
    if (!REPLACED.includes(errnoOf(error))) throw error;
  }
  putAside(path);
  return fs.openSync(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
}

/** Others who could write to it may have it open still: a new file takes its place. */
function isOwnSlot(stat: fs.BigIntStats, path: string): boolean {
  const { nlink, mode, uid } = stat;
  return stat.isFile() && nlink === 1n && (mode & 0o077n) === 0n && isTrusted({ uid: Number(uid) }, path);
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
