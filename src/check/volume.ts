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
import type { Settings } from '../settings/settings.ts';
import { type Finding, failure, hasFailed, ok, warn } from './finding.ts';
import { mountsOf } from './mounts.ts';
import { refuseSharedParent } from './parents.ts';
import { checkRoom } from './room.ts';
import { folderOf, lookOnly, shownOf, tryOut } from './try-out.ts';

export interface VolumeQuestion {
  readonly settings: Settings;
  /** What would be published; null when that is not known. */
  readonly generation: Generation | null;
  /** Whether a sidecar writes there now: then it is only looked at. */
  readonly isKept: boolean;
}

/** Never throws; what it writes is gone when it returns. */
export function checkOutput(question: VolumeQuestion): readonly Finding[] {
  const { settings, generation, isKept } = question;
  const { OUTPUT, OUTPUT_OWNER } = settings;
  try {
    const volume = openPublisher(OUTPUT, OUTPUT_OWNER ?? null, settings.MAX_SIZE).look();
    if (volume.problem !== null) throw volume.problem;
    refuseMount(OUTPUT);
    refuseSharedParent(folderOf(OUTPUT), shownOf(OUTPUT));
    refuseSticky(OUTPUT);
    refuseForeign(OUTPUT, generation);
    const versions = volume.rendering === null ? 2 : 1;
    const room = checkRoom('output', folderOf(OUTPUT), { generation, versions });
    if (hasFailed(room)) return room;
    if (isKept) lookOnly(OUTPUT);
    else tryOut(settings);
    return [...warnOfLink(OUTPUT), ...room, describe(question, volume.rendering)];
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

function describe({ settings, generation, isKept }: VolumeQuestion, rendering: string | null): Finding {
  const { OUTPUT, OUTPUT_MODE, OUTPUT_OWNER } = settings;
  const whose = `user ${OUTPUT_OWNER?.uid ?? process.geteuid?.() ?? '?'}`;
  const how = isKept ? 'may be written to' : 'can be written';
  const place =
    OUTPUT.kind === 'file' ? 'beside it under a hidden name' : 'in it under names that begin with ".."';
  const state = shows(generation, rendering);
  const message = `"${shownOf(OUTPUT)}" ${how}: staged ${place}, so on the same file system; mode ${OUTPUT_MODE.toString(8).padStart(4, '0')}, ${whose}. ${state}`;
  return ok('output', 'output.writable', message);
}

function shows(generation: Generation | null, rendering: string | null): string {
  if (rendering === null) return 'There is nothing of ours yet.';
  if (generation === null) return 'There is a configuration.';
  if (generation.rendering === rendering) return 'It shows what the source holds.';
  return 'It shows something else than the source holds, which a publication would change.';
}
