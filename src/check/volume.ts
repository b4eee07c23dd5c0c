// Tries on the output's volume what a publication does there, under hidden names, and looks at what would be in its way.
import * as fs from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { readStatus } from '../application/process/proc.ts';
import { atOnce } from '../lib/slices.ts';
import { openPlace, within } from '../publish/directory-handle.ts';
import { diskError } from '../publish/disk-error.ts';
import { refusingForeign, visibleNames } from '../publish/layout.ts';
import { type Output, openPublisher } from '../publish/publisher.ts';
import type { Generation } from '../render/generation.ts';
import { type OutputSettings, shownPlace } from '../settings/outputs.ts';
import { type Finding, failure, hasFailed, ok, warn } from './finding.ts';
import { mountsOf } from './mounts.ts';
import { refuseSharedParent } from './parents.ts';
import { checkRoom } from './room.ts';
import { folderOf, lookOnly, tryOut } from './try-out.ts';

export interface VolumeQuestion {
  readonly output: OutputSettings;
  /** MAX_SIZE. */
  readonly maxBytes: number;
  /** What would be published there; null when that is not known. */
  readonly generation: Generation | null;
  /** Whether a sidecar writes there now: then it is only looked at. */
  readonly isKept: boolean;
}

/** Never throws; what it writes is gone when it returns. */
export function checkOutput(question: VolumeQuestion): readonly Finding[] {
  const { output, generation, isKept, maxBytes } = question;
  const { place, owner } = output;
  try {
    const volume = openPublisher(place, owner, maxBytes).look();
    if (volume.problem !== null) throw volume.problem;
    refuseMount(place);
    refuseSharedParent(folderOf(place), shownPlace(place));
    refuseSticky(place);
    refuseForeign(place, generation);
    const versions = volume.rendering === null ? 2 : 1;
    const room = checkRoom('output', folderOf(place), { files: generation?.files ?? null, versions });
    if (hasFailed(room)) return room;
    if (isKept) lookOnly(place);
    else tryOut(output);
    return [...warnOfLink(place), ...room, describe(question, volume.rendering)];
  } catch (thrown) {
    return [failure('output', thrown, MEND)];
  }
}

const MEND = 'Mount a volume there as a directory, writable for this user.';

/** A name that is a mount of its own cannot be replaced, and nothing but a rename over it would show that. */
function refuseMount({ kind, path }: Output): void {
  if (kind !== 'file' || !fs.existsSync(path)) return;
  const real = join(fs.realpathSync(dirname(path)), basename(path));
  if (mountPoints().includes(real)) throw diskError({ code: 'EBUSY' }, path);
}

function mountPoints(): readonly string[] {
  return (mountsOf('/proc/self') ?? []).map(({ point }) => point);
}

/** Bit of CAP_FOWNER. */
const FOWNER = 1n << 3n;

/** In a sticky directory only the owner of a name, or of the directory, may replace it (rename(2), EPERM). */
function refuseSticky(output: Output): void {
  const { kind, path } = output;
  const name = kind === 'file' ? path : join(path, '..data');
  const existing = fs.lstatSync(name, { throwIfNoEntry: false });
  const directory = fs.statSync(folderOf(output));
  const me = process.geteuid?.() ?? -1;
  if (existing === undefined || (directory.mode & 0o1000) === 0) return;
  if (existing.uid === me || directory.uid === me) return;
  if (((readStatus('/proc/self')?.effectiveCapabilities ?? 0n) & FOWNER) !== 0n) return;
  throw diskError({ code: 'EPERM' }, kind === 'file' ? path : `${path}/`);
}

/** A visible name that is needed and is not a link of ours: publishing refuses it. */
function refuseForeign({ kind, path }: Output, generation: Generation | null): void {
  if (kind === 'file' || generation === null) return;
  const names = visibleNames(generation.files.map(({ name }) => name));
  within(openPlace(path), (root) => atOnce(refusingForeign(root, path, names)));
}

function warnOfLink({ kind, path }: Output): readonly Finding[] {
  if (kind === 'directory' || fs.lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() !== true)
    return [];
  const message = `"${path}" is a symbolic link to "${fs.readlinkSync(path)}": it is replaced by a file, and what it points to stays as it is.`;
  return [
    warn(
      'output',
      'output.symbolic-link',
      message,
      'If the application reads the other file, name that in OUTPUT.',
    ),
  ];
}

function describe({ output, generation, isKept }: VolumeQuestion, rendering: string | null): Finding {
  const { place, mode, owner, modes } = output;
  const whose = `user ${owner?.uid ?? process.geteuid?.() ?? '?'}`;
  const how = isKept ? 'may be written to' : 'can be written';
  const where =
    place.kind === 'file' ? 'beside it under a hidden name' : 'in it under names that begin with ".."';
  const state = shows(generation, rendering);
  const special = modes.map(({ glob, mode: bits }) => `, ${octal(bits)} for ${glob}`).join('');
  const message = `"${shownPlace(place)}" ${how}: staged ${where}, so on the same file system; mode ${octal(mode)}${special}, ${whose}. ${state}`;
  return ok('output', 'output.writable', message);
}

function octal(mode: number): string {
  return mode.toString(8).padStart(4, '0');
}

function shows(generation: Generation | null, rendering: string | null): string {
  if (rendering === null) return 'This sidecar has published nothing there yet.';
  if (generation === null) return 'There is a configuration.';
  if (generation.rendering === rendering) return 'It shows what the source holds.';
  return 'It shows something other than the source holds, which a publication would change.';
}
