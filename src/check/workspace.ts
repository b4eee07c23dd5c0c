// The state directory for the time of a check: locked as a sidecar would, and left as it was found.
import * as fs from 'node:fs';
import { dirname, join } from 'node:path';
import { readLedger, slotName } from '../ledger/ledger-file.ts';
import { findHolder, tryLock } from '../ledger/lock.ts';
import { mayOthersWrite } from '../ledger/privacy.ts';
import { controlSocketOf } from '../ledger/socket-path.ts';
import { TEMPORARY_FOLDERS } from '../lib/command-output.ts';
import { errnoOf } from '../lib/errors.ts';
import { diskError } from '../publish/disk-error.ts';
import { askSidecar } from '../server/ask-status.ts';
import type { SeenStatus } from '../server/status-shape.ts';
import { stateDirectoryOf } from '../settings/outputs.ts';
import type { Loaded } from '../settings/settings.ts';
import { type CheckContext, type Finding, fail, failure, hasFailed, ok, warn } from './finding.ts';

/** Where a check may work, and whom it must not disturb. */
export interface CheckWorkspace {
  readonly findings: readonly Finding[];
  /** The sidecar that keeps this output now; null when there is none. Then nothing is written where it writes. */
  readonly lockHolder: string | null;
  /** What that one says of itself; null where it does not answer. */
  readonly status: SeenStatus | null;
  /** Where a copy for VALIDATE_COMMAND can be made; null: nowhere. */
  readonly directory: string | null;
  /** Gives up the lock, and removes what was made. */
  readonly release: () => void;
}

/** Takes the lock, unless a sidecar has it. Never throws. */
export async function openWorkspace({ loaded }: CheckContext): Promise<CheckWorkspace> {
  const undo: (() => void)[] = [];
  const release = (): void => {
    for (const step of undo.splice(0).reverse()) step();
  };
  try {
    return { ...(await prepareWorkspace(loaded, undo)), release };
  } catch (thrown) {
    release();
    return {
      findings: [failure('state', thrown, MEND)],
      lockHolder: null,
      status: null,
      directory: null,
      release,
    };
  }
}

/** What was done is undone by the steps in `undo`, the last first. */
async function prepareWorkspace(
  loaded: Loaded,
  undo: (() => void)[],
): Promise<Omit<CheckWorkspace, 'release'>> {
  const { OUTPUT, STATE_DIR } = loaded.settings;
  const path = stateDirectoryOf(OUTPUT, STATE_DIR);
  const lockHolder = await findHolder(path);
  if (lockHolder !== null) return await beside(loaded, lockHolder, undo);
  for (const directory of [dirname(path), path]) {
    if (makeDirectory(directory)) undo.push(() => removeIfEmpty(directory));
  }
  const lock = await tryLock(path, `config-sidecar check (process ${process.pid})`).catch((error) => {
    throw diskError(error, `${path}/`);
  });
  if (lock.kind === 'held') return await beside(loaded, lock.by, undo);
  undo.push(lock.release);
  return { findings: inspect(loaded, path), lockHolder: null, status: null, directory: path };
}

const MEND = 'Mount the volume there, or let STATE_DIR name a directory that this user may write to.';

/** True when it was not there before. */
function makeDirectory(path: string): boolean {
  try {
    fs.mkdirSync(path, 0o700);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return false;
    throw diskError(error, path);
  }
}

function removeIfEmpty(directory: string): void {
  try {
    fs.rmdirSync(directory);
  } catch {
    // A sidecar that started meanwhile uses it.
  }
}

/** A private place elsewhere: what a running sidecar uses is left alone. */
async function beside(
  loaded: Loaded,
  lockHolder: string,
  undo: (() => void)[],
): Promise<Omit<CheckWorkspace, 'release'>> {
  const directory = makeTemporary();
  if (directory !== null) undo.push(() => fs.rmSync(directory, { recursive: true, force: true }));
  return { ...(await askLockHolder(loaded, lockHolder)), lockHolder, directory };
}

function makeTemporary(): string | null {
  for (const folder of TEMPORARY_FOLDERS) {
    try {
      return fs.mkdtempSync(join(folder, 'config-sidecar-check-'));
    } catch {
      // The next one may do.
    }
  }
  return null;
}

async function askLockHolder(
  { settings }: Loaded,
  lockHolder: string,
): Promise<Pick<CheckWorkspace, 'findings' | 'status'>> {
  const socket = controlSocketOf(settings.OUTPUT, settings.STATE_DIR);
  const answer = await askSidecar({ sockets: [socket], listen: settings.LISTEN, target: null });
  const status = typeof answer === 'string' ? answer : ofOutput(answer, settings.OUTPUT.path);
  const message = `A sidecar keeps this output: ${lockHolder}.`;
  const isThatOne = typeof status !== 'string' && lockHolder.startsWith(status.instance);
  const says = isThatOne ? `It says: ${summary(status)}` : 'Its directories were only looked at.';
  return { findings: [ok('state', 'state.kept', `${message} ${says}`)], status: isThatOne ? status : null };
}

/** What it says of the target that writes this output; all of it where the output has another path there. */
function ofOutput(status: SeenStatus, path: string): SeenStatus {
  const targets = Object.entries(status.targets).filter(([, { output }]) => output === path);
  return targets.length === 0 ? status : { ...status, targets: Object.fromEntries(targets) };
}

function summary({ ready, targets }: SeenStatus): string {
  const lines = Object.values(targets).map(({ outcome, message }) =>
    message === '' ? (outcome ?? 'starting') : `${outcome ?? 'starting'}: ${message}`,
  );
  return [ready ? 'ready' : 'not ready', ...lines].join('; ');
}

/** What else could be wrong with a state directory that is ours by now. */
function inspect({ settings }: Loaded, path: string): readonly Finding[] {
  const shared = openToOthers(path);
  if (hasFailed(shared)) return shared;
  const locked = [0, 1].map((slot) => join(path, slotName(slot))).filter(isLocked);
  if (locked.length > 0)
    return [
      ...shared,
      ...locked.map((ledger) => failure('state', diskError({ code: 'EACCES' }, ledger), MEND)),
    ];
  const { from } = readLedger(path);
  if (from === 'damaged') return [...shared, damaged(path)];
  const place = settings.STATE_DIR.startsWith(volumeOf(settings))
    ? 'beside the output'
    : 'apart from the output';
  const message = `The state directory "${path}" (${place}) can be locked and written; no sidecar runs.`;
  return [...shared, ok('state', 'state.writable', message)];
}

/** A start takes the directory away from others where it belongs to this user, and refuses it else. */
function openToOthers(path: string): readonly Finding[] {
  const { mode, uid } = fs.statSync(path);
  if (!mayOthersWrite(mode)) return [];
  const message = `Other users may write to "${path}" (mode ${(mode & 0o7777).toString(8)}), and so change what the sidecar rolls back to.`;
  if (uid === (process.geteuid?.() ?? uid)) {
    const mend = `The next start sets mode 0700. Until then: chmod 700 "${path}"`;
    return [warn('state', 'state.writable-by-others', message, mend)];
  }
  return [fail('state', 'state.exposed', message, 'Give STATE_DIR a volume of its own.')];
}

function damaged(path: string): Finding {
  return warn(
    'state',
    'state.ledger-damaged',
    `Both copies of the ledger in "${path}" are damaged: what was blocked, pinned and kept is lost.`,
    'Nothing to do: the next start makes a new one, which may cost one more reload.',
  );
}

/** It is there, and this user may not write to it. */
function isLocked(path: string): boolean {
  try {
    fs.accessSync(path, fs.constants.R_OK | fs.constants.W_OK);
    return false;
  } catch (error) {
    return errnoOf(error) !== 'ENOENT';
  }
}

function volumeOf({ OUTPUT }: Loaded['settings']): string {
  return `${OUTPUT.kind === 'file' ? dirname(OUTPUT.path) : OUTPUT.path}/`;
}
