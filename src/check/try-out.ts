// Does on the output's volume what a publication does, under hidden names, and undoes it.
import * as fs from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { changeOwner, openNewFile, temporaryName } from '../publish/atomic-file.ts';
import { diskError } from '../publish/disk-error.ts';
import { newName } from '../publish/layout.ts';
import type { Output } from '../publish/publisher.ts';
import { type OutputSettings, shownPlace } from '../settings/outputs.ts';

/** The directory in which names are replaced. */
export function folderOf({ kind, path }: Output): string {
  return kind === 'file' ? dirname(path) : path;
}

/**
 * Without writing, what can be said is whether the permission is there, and the file system not read-only.
 * @throws SidecarError as `tryOut`.
 */
export function lookOnly(output: Output): void {
  try {
    fs.accessSync(folderOf(output), fs.constants.W_OK | fs.constants.X_OK);
  } catch (error) {
    throw diskError(error, shownPlace(output));
  }
}

/**
 * What a publication needs, under names of ours: new files with mode and owner, flushed, a rename, and a link for a directory.
 * @throws SidecarError `publish.*` with what the disk said; nothing is left then either.
 */
export function tryOut({ place, mode, owner }: OutputSettings): void {
  const folder = fs.realpathSync.native(folderOf(place));
  const made = (place.kind === 'file' ? hiddenNames(place.path) : stageNames()).map((name) =>
    join(folder, name),
  );
  const [first = '', second = '', link = ''] = made;
  try {
    const inside = place.kind === 'file' ? first : join(first, 'check');
    if (place.kind === 'directory') {
      fs.mkdirSync(first, 0o700);
      if (owner !== null) withOpen(first, (fd) => changeOwner(fd, owner));
    }
    const fd = openNewFile(inside, Buffer.from('config-sidecar check\n'), { mode, owner });
    fs.fsyncSync(fd);
    fs.closeSync(fd);
    fs.renameSync(first, second);
    if (place.kind === 'directory') fs.symlinkSync(basename(second), link);
    withOpen(folder, (directory) => fs.fsyncSync(directory));
  } catch (error) {
    throw diskError(error, shownPlace(place));
  } finally {
    for (const path of made) fs.rmSync(path, { recursive: true, force: true });
  }
}

/** Names that a start removes, should we be killed in between. */
function hiddenNames(path: string): readonly string[] {
  return [temporaryName(basename(path)), temporaryName(basename(path))];
}

function stageNames(): readonly string[] {
  return [newName('stage'), newName('stage'), newName('link')];
}

function withOpen(path: string, use: (fd: number) => void): void {
  const fd = fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
  try {
    use(fd);
  } finally {
    fs.closeSync(fd);
  }
}
