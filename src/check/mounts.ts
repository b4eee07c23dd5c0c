// What mounts a process has, with what `process/mounts.ts` needs not know: how they are mounted, and of which kind.
import { type Mount, parseMountInfo } from '../application/process/mounts.ts';
import { readMountInfo } from '../application/process/proc.ts';

export interface MountDetails extends Mount {
  /** Of the mount and of its file system, with commas: `ro,relatime,rw,size=64k`. */
  readonly options: string;
  /** `ext4`, `tmpfs`, `nfs4`. */
  readonly kind: string;
}

/** The mounts in the namespace of a process; null when it is gone, or may not be looked at. */
export function mountsOf(folder: string): readonly MountDetails[] | null {
  const text = readMountInfo(folder);
  if (text === null) return null;
  return text
    .split('\n')
    .flatMap((line) => parseMountInfo(line).map((mount) => ({ ...mount, ...details(line) })));
}

/** After the optional fields, whose number differs, come a hyphen and the file system (proc_pid_mountinfo(5)). */
function details(line: string): Pick<MountDetails, 'options' | 'kind'> {
  const [mount = '', system = ''] = line.split(' - ');
  const [kind = '', , ofSystem = ''] = system.split(' ');
  return { kind, options: `${mount.split(' ')[5] ?? ''},${ofSystem}` };
}

/** Whether the mount is read-only for every user. */
export function isReadOnly({ options }: MountDetails): boolean {
  return options.split(',').includes('ro');
}
