// Whether other users may rename a directory on the way to the output: they could put another one in its place, and no descriptor
// protects what is opened after that.
import * as fs from 'node:fs';
import { dirname } from 'node:path';
import { SidecarError } from '../lib/errors.ts';
import { isOutOfReach } from '../publish/directory-handle.ts';
import { mountsOf } from './mounts.ts';

/**
 * @param folder the directory that holds what is published.
 * @param shown the output as messages name it.
 * @throws SidecarError `output.parent-writable`, or the system's error when a part cannot be looked at.
 */
export function refuseSharedParent(folder: string, shown: string): void {
  const points = (mountsOf('/proc/self') ?? []).map(({ point }) => point);
  for (let child = fs.realpathSync(folder); child !== '/'; child = dirname(child)) {
    const parent = dirname(child);
    const stat = fs.statSync(parent);
    if (isOutOfReach(stat, fs.lstatSync(child)) || isFixed(child, points)) continue;
    throw new SidecarError(
      `Cannot protect "${shown}": user ${stat.uid}, group ${stat.gid} or others may write in "${parent}" (mode ${(stat.mode & 0o7777).toString(8)}), and so put another directory in the place of "${child}". ` +
        `Mount a volume at "${child}" itself, or let only root and this user write in "${parent}".`,
      { code: 'output.parent-writable', stage: 'publish' },
    );
  }
}

/** A mount on the root file system, which no other container sees, cannot be renamed. */
function isFixed(directory: string, points: readonly string[]): boolean {
  if (!points.includes(directory)) return false;
  return !points.some((point) => point !== '/' && directory.startsWith(`${point}/`));
}
