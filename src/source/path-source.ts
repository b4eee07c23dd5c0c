// Follows files: wakes by directory watch and by interval, waits until a change has settled, reads it whole.
import { createHash } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import { SidecarError } from '../lib/errors.ts';
import { sleep } from '../lib/wait.ts';
import { HeldFile } from './held-file.ts';
import { spread } from './poll.ts';
import type { Content, Entry, Observation, ProviderOptions, Snapshot } from './provider.ts';
import { explainErrno, type Scan, type ScanTarget, scanFailure } from './scan.ts';
import { type PathWatch, watchPath } from './watch-path.ts';

export interface PathSource {
  readonly subject: ScanTarget;
  readonly scan: () => Scan;
  /** What the files that were read are, as content. */
  readonly toContent: (scan: Scan, entries: readonly Entry[]) => Content;
}

type Limits = Pick<ProviderOptions, 'updateFrequencyMs' | 'fetchTimeoutMs' | 'maxBytes'>;

/** A file counts as finished when it has not changed for this long: a program that writes it in place may pause. */
const SETTLE_MS = 100;
/** Times alone prove nothing on a machine that stood still, writer and all: this long we want to have seen it unchanged. */
const SEEN_MS = 20;
/** What is older than this was finished before we came. */
const OLD_MS = 2_000;
/** An emptied or vanished file is taken for a rewriting in progress for this long. */
const SETTLE_LOSS_MS = 200;

/**
 * A `watch` over files. What cannot be read is an error at once; each later watch waits up to `fetchTimeoutMs` for that
 * to change before it says so again, so that a file that appears, or becomes readable, is seen at once.
 */
export function followPath(
  source: PathSource,
  limits: Limits,
): (signal: AbortSignal) => AsyncGenerator<Observation, void, void> {
  let failed = false;
  return async function* watch(signal) {
    if (signal.aborted) return;
    const paths = watchPath(source.subject.path, { signal });
    try {
      let known: Reading | null = null;
      while (!signal.aborted) {
        const patienceMs = failed ? limits.fetchTimeoutMs : 0;
        const context: ReadContext = { source, limits, paths, signal, known };
        const reading: Reading | null = await readPatiently(context, patienceMs);
        if (reading === null) return;
        failed = false;
        yield observe(known, reading);
        known = reading;
        if (reading.isReplaced === true) continue;
        await untilChanged(source, {
          paths,
          signal,
          known,
          intervalMs: spread(limits.updateFrequencyMs, Math.random),
        });
      }
    } catch (thrown) {
      failed = true;
      throw thrown;
    } finally {
      paths.close();
    }
  };
}

interface Reading {
  readonly snapshot: Snapshot;
  readonly scan: Scan;
  /** Another file has taken its place since. */
  readonly isReplaced?: boolean;
}

function observe(known: Reading | null, { snapshot }: Reading): Observation {
  return known?.snapshot.revision === snapshot.revision ? { kind: 'same' } : { kind: 'snapshot', snapshot };
}

interface Waiting {
  readonly paths: PathWatch;
  readonly signal: AbortSignal;
  readonly known: Reading;
  readonly intervalMs: number;
}

/** At the end of the interval everything is read, whatever its times say: they can be set back, and mean little on a network. */
async function untilChanged(source: PathSource, { paths, known, intervalMs }: Waiting): Promise<void> {
  const endMs = performance.now() + intervalMs;
  for (;;) {
    const wake = await paths.wait(Math.max(0, endMs - performance.now()));
    if (wake !== 'changed' || performance.now() >= endMs) return;
    if (signatureNow(source) !== known.scan.signature) return;
  }
}

function signatureNow(source: PathSource): string | null {
  try {
    return source.scan().signature;
  } catch {
    return null;
  }
}

interface ReadContext {
  readonly source: PathSource;
  readonly limits: Limits;
  readonly paths: PathWatch;
  readonly signal: AbortSignal;
  readonly known: Reading | null;
}

/** Reads, and after a failure again at every change until the patience is at its end. null at the abort. */
async function readPatiently(context: ReadContext, patienceMs: number): Promise<Reading | null> {
  const endMs = performance.now() + patienceMs;
  for (;;) {
    try {
      return await read(context);
    } catch (thrown) {
      const leftMs = endMs - performance.now();
      if (leftMs <= 0) throw thrown;
      if ((await context.paths.wait(leftMs)) === 'aborted') return null;
    }
  }
}

/** Looks until what is there has settled, and reads it. null at the abort. */
async function read(context: ReadContext): Promise<Reading | null> {
  const waited: Waited = { held: null };
  try {
    return await readSettled(context, waited);
  } finally {
    waited.held?.close();
  }
}

/** What is held while a file does not come to rest. */
interface Waited {
  held: HeldFile | null;
}

async function readSettled(context: ReadContext, waited: Waited): Promise<Reading | null> {
  const { source, limits, paths, signal, known } = context;
  const endMs = performance.now() + limits.fetchTimeoutMs;
  let seen = { signature: '', sinceMs: 0 };
  while (!signal.aborted) {
    const scan = await scanPatiently(context);
    if (scan === null) return null;
    paths.cover(scan.directories);
    if (seen.signature !== scan.signature) seen = { signature: scan.signature, sinceMs: performance.now() };
    const restlessMs = restlessFor(scan, { known, quietMs: performance.now() - seen.sinceMs });
    if (restlessMs <= 0) {
      const snapshot = readWhole(source, scan, limits);
      if (snapshot !== null) return { snapshot, scan };
    }
    const replaced = readReplaced(context, scan, waited);
    if (replaced !== null) return replaced;
    if (performance.now() > endMs) {
      const reason = `it kept changing for ${limits.fetchTimeoutMs} ms; replace it by renaming a finished file over it`;
      throw scanFailure(source.subject, 'source.unstable', reason);
    }
    await sleep(Math.max(1, restlessMs), signal);
  }
  return null;
}

/** The file that was there before, once it has come to rest; it is held from the first look. */
function readReplaced({ source, limits }: ReadContext, scan: Scan, waited: Waited): Reading | null {
  const [file] = scan.files;
  if (scan.kind !== 'document' || file === undefined) return null;
  waited.held ??= HeldFile.open(file.path);
  const value = waited.held?.finished({ restMs: SETTLE_MS, maxBytes: limits.maxBytes }) ?? null;
  if (value === null) return null;
  const entries = [{ key: file.key, value }];
  const snapshot = { revision: revisionOf(entries), content: source.toContent(scan, entries) };
  return { snapshot, scan, isReplaced: true };
}

function revisionOf(entries: readonly Entry[]): string {
  const hash = createHash('sha256');
  for (const { key, value } of entries) hash.update(JSON.stringify([key, value.length])).update(value);
  return `sha256:${hash.digest('hex')}`;
}

/** What was there and is gone may be about to come back. null at the abort. */
async function scanPatiently({ source, paths, signal, known }: ReadContext): Promise<Scan | null> {
  const endMs = performance.now() + (known === null ? 0 : SETTLE_LOSS_MS);
  for (;;) {
    try {
      return source.scan();
    } catch (thrown) {
      const isMissing = thrown instanceof SidecarError && thrown.code === 'source.not-found';
      const leftMs = endMs - performance.now();
      if (!isMissing || leftMs <= 0) throw thrown;
      if ((await paths.wait(leftMs)) === 'aborted' || signal.aborted) return null;
    }
  }
}

interface Rest {
  readonly known: Reading | null;
  /** Since the last change that was seen. */
  readonly quietMs: number;
}

/** How much longer to wait, in milliseconds, before what was seen may be taken for finished; 0 or less: now. */
function restlessFor(scan: Scan, { known, quietMs }: Rest): number {
  if (scan.isAtomic) return 0;
  const keys = new Set(scan.files.map((file) => file.key));
  const hasLost = known?.scan.files.some((file) => !keys.has(file.key)) === true;
  const needMs = hasLost || scan.files.some((file) => file.isEmpty) ? SETTLE_LOSS_MS : SETTLE_MS;
  const ageMs = Date.now() - scan.modifiedMs;
  const unseenMs = ageMs > OLD_MS ? 0 : SEEN_MS - quietMs;
  return Math.max(unseenMs, needMs - Math.max(quietMs, ageMs));
}

/** null when it changed while it was read. */
function readWhole(source: PathSource, scan: Scan, { maxBytes }: Limits): Snapshot | null {
  const entries: Entry[] = [];
  let leftBytes = maxBytes;
  for (const { key, path } of scan.files) {
    if (scan.kind === 'tree') leftBytes -= Buffer.byteLength(key);
    const value = readFile(source.subject, path, leftBytes);
    if (value === 'too-large') {
      throw scanFailure(source.subject, 'source.too-large', `it is larger than ${maxBytes} bytes (MAX_SIZE)`);
    }
    if (value === 'gone') return null;
    leftBytes -= value.length;
    entries.push({ key, value });
  }
  if (signatureNow(source) !== scan.signature) return null;
  return { revision: revisionOf(entries), content: source.toContent(scan, entries) };
}

function readFile(subject: ScanTarget, path: string, maxBytes: number): Buffer | 'too-large' | 'gone' {
  try {
    // Not to be caught waiting on a pipe that took the file's place since it was looked at.
    const descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const stats = fstatSync(descriptor);
      if (!stats.isFile()) return 'gone';
      if (stats.size > maxBytes) return 'too-large';
      const bytes = readFileSync(descriptor);
      return bytes.length > maxBytes ? 'too-large' : bytes;
    } finally {
      closeSync(descriptor);
    }
  } catch (thrown) {
    const failure = explainErrno(subject, thrown, path);
    if (failure.code === 'source.not-found') return 'gone';
    throw failure;
  }
}
