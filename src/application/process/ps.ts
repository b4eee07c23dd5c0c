// The look-up where there is no `/proc` (macOS): processes as `ps` lists them, without handlers, mounts and containers.

import { execFileSync } from 'node:child_process';
import { basename } from 'node:path';
import type { ProcessDescriptor } from 'ps-list';
import type { ProcessId } from '../../ledger/types.ts';
import { bootStamp } from './boot-clock.ts';
import { ancestorsOf } from './candidate.ts';
import { find, type ProcessWorld, type Wanted } from './find.ts';
import type { LookedUp, Lookup } from './looked-up.ts';
import { describeProcess, type ProcessRow } from './proc.ts';
import { type ProcessCredentials, readiness, type SentSignal, type SignalReadiness } from './readiness.ts';
import { createWrapperMemory, type WrapperMemory } from './wrappers.ts';

/** One line of `ps`. Its `startTicks` count since 1970, in full seconds: boot time is not available. */
interface ListedProcess extends ProcessRow {
  /** Null when `ps` does not show it. */
  readonly uid: number | null;
  readonly line: string;
}

/** The processes, as they were at `atMs` of `performance.now()`. */
interface Listing {
  readonly rows: readonly ListedProcess[];
  readonly atMs: number;
}

/** An older listing is renewed before anything is concluded from it; one takes tens of milliseconds. */
const FRESH_MS = 1000;
/** When to look again while a listing is on its way. */
const SOON: SignalReadiness = { kind: 'settling', waitMs: 100 };

export interface PsLookupOptions extends Wanted {
  readonly signal: SentSignal | null;
  readonly gateOff: boolean;
}

/**
 * The same rules of choice on what `ps` shows. What it does not show errs on the safe side: start times are of another
 * clock, so nothing "started after the publication"; whether there is a handler is not known, so a signal is held back
 * unless `RELOAD_GATE=off` says that there is one, and the process is five seconds old.
 */
export function createPsLookup({ signal, gateOff, ...wanted }: PsLookupOptions): Lookup {
  const wrappers = createWrapperMemory();
  const listings = createListings();
  const look = (): LookedUp => {
    const { listing, failure } = listings.newest();
    if (listing === null) {
      const reason = `its processes are not listed yet${failure === null ? '' : ` (${failure})`}`;
      return { kind: 'none', reason };
    }
    const found = find(wanted, worldOf(listing.rows, wrappers));
    if (found.kind !== 'one') return found;
    const { pid, startTicks } = found.process;
    const isFresh = performance.now() - listing.atMs < FRESH_MS;
    const answer = isFresh ? readinessOf(found.process, listing.rows, { signal, gateOff }) : SOON;
    const name = describeProcess(found.process);
    return { kind: 'found', id: { pid, startTicks }, name, readiness: answer, seenAt: bootStamp() };
  };
  listings.newest();
  return { look };
}

interface Listings {
  /** The newest there is, which may be old; a newer one is then on its way. */
  readonly newest: () => { readonly listing: Listing | null; readonly failure: string | null };
}

function createListings(): Listings {
  let listing: Listing | null = null;
  let failure: string | null = null;
  let isUnderWay = false;
  const renew = async (): Promise<void> => {
    try {
      const rows = await listByPs();
      [listing, failure] = [{ rows, atMs: performance.now() }, null];
    } catch (thrown) {
      [listing, failure] = [null, thrown instanceof Error ? thrown.message : String(thrown)];
    }
    isUnderWay = false;
  };
  const newest = (): ReturnType<Listings['newest']> => {
    const isFresh = listing !== null && performance.now() - listing.atMs < FRESH_MS;
    if (!isFresh && !isUnderWay) {
      isUnderWay = true;
      void renew();
    }
    return { listing, failure };
  };
  return { newest };
}

async function listByPs(): Promise<readonly ListedProcess[]> {
  const { default: psList } = await import('ps-list');
  return (await psList()).map(parse);
}

/** The kernel's own name has at most this many bytes, and the rules of choice know that. */
const COMM_BYTES = 15;

function parse({ pid, ppid, name, cmd = '', uid, startTime }: ProcessDescriptor): ListedProcess {
  return {
    ...{ pid, ppid, uid: uid ?? null, line: cmd },
    comm: Buffer.from(basename(name)).subarray(0, COMM_BYTES).toString(),
    state: cmd === '' || /<defunct>$|^\(.*\)$/.test(cmd) ? 'Z' : 'S',
    startTicks: ticksOf(startTime?.getTime() ?? 0),
  };
}

function ticksOf(unixMs: number): number {
  return Math.floor(unixMs / 1000) * 100;
}

function worldOf(rows: readonly ListedProcess[], wrappers: WrapperMemory): ProcessWorld {
  const lines = new Map(rows.map(({ pid, line }) => [pid, line]));
  const ownHead = headOf(lines.get(process.pid) ?? '');
  const wordsOf = (pid: number): readonly string[] =>
    (lines.get(pid) ?? '').split(' ').filter((word) => word !== '');
  const byPid = new Map(rows.map((row) => [row.pid, row]));
  const above = ancestorsOf({ ...OWN_ROW, ppid: process.ppid }, { byPid });
  return {
    view: {
      self: process.pid,
      arguments: wordsOf,
      isAboveUs: ({ pid }) => above.some((row) => row.pid === pid),
      wasWrapper: (row) => wrappers.has(row, wordsOf(row.pid)),
      // Handlers do not show.
      receives: () => true,
      container: () => null,
      containerName: () => null,
      isOwnCommand: ({ pid }) => pid !== process.pid && headOf(lines.get(pid) ?? '') === ownHead,
    },
    chosenBefore: () => null,
    rows: () => rows,
    noteChosen: () => {},
    noteWrappers: (found) => {
      for (const row of found) wrappers.add(row, wordsOf(row.pid));
    },
    startedAtMs: ({ startTicks }) => (startTicks === 0 ? null : startTicks * 10),
    explain: (reason, { container }) =>
      container === undefined
        ? reason
        : 'this system does not show container names; use APP_PROCESS or APP_PID_FILE instead of APP_CONTAINER',
  };
}

const OWN_ROW = { pid: process.pid, startTicks: 0, comm: 'node', state: 'R' } as const;

/** Program and script. */
function headOf(line: string): string {
  return line.split(' ', 2).join(' ');
}

function readinessOf(
  { pid, startTicks }: ProcessRow,
  rows: readonly ListedProcess[],
  options: Pick<PsLookupOptions, 'signal' | 'gateOff'>,
): SignalReadiness {
  const ageMs = Date.now() - startTicks * 10;
  const uid = rows.find((row) => row.pid === pid)?.uid ?? process.getuid?.() ?? 0;
  return readiness({
    ...options,
    ...{ isInit: pid === 1, isStopped: false, masks: null, ageMs, stableForMs: ageMs, busyProcessors: null },
    sender: { ...credentials(process.getuid?.() ?? 0), effectiveUid: process.geteuid?.() ?? 0 },
    receiver: credentials(uid),
  });
}

/** Outside Linux user 0 may do everything. */
function credentials(uid: number): ProcessCredentials {
  const effectiveCapabilities = process.geteuid?.() === 0 ? ~0n : 0n;
  return { realUid: uid, effectiveUid: uid, savedUid: uid, effectiveCapabilities };
}

const PS_TIMEOUT_MS = 5000;

/** Whether that very process is there at this moment, by number and start time. Blocks for as long as `ps` takes. */
export function isStillThere({ pid, startTicks }: ProcessId): boolean {
  try {
    // Found on PATH, as the one that listed the processes.
    const started = execFileSync('env', ['LC_ALL=C', 'TZ=UTC', 'ps', '-o', 'lstart=', '-p', String(pid)], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
      timeout: PS_TIMEOUT_MS,
    });
    return ticksOf(Date.parse(`${started.trim()} UTC`)) === startTicks;
  } catch {
    return false;
  }
}
