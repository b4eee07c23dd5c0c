// Whether the application reads what is published: the same volume, whole, and files its user may open.

import { realpathSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { isWithin, locate, staleMount, type Whereabouts } from '../application/process/mounts.ts';
import { processFolder, readRootMount } from '../application/process/proc.ts';
import type { ProcessId } from '../ledger/types.ts';
import type { Settings } from '../settings/settings.ts';
import { type Finding, fail, ok, warn } from './finding.ts';
import { isReadOnly, type MountDetails, mountsOf } from './mounts.ts';
import { type Application, checkReadable, userOf } from './readable.ts';
import { folderOf } from './try-out.ts';

/** Nothing where no process is known, or there is no output directory yet. What is true of several outputs is said once. */
export function checkMount(settings: Settings, application: Application | null): readonly Finding[] {
  if (application === null) return [];
  const findings = settings.OUTPUTS.flatMap(({ place: OUTPUT, mode: OUTPUT_MODE, owner }) =>
    checkMountOf({ ...settings, OUTPUT, OUTPUT_MODE, OUTPUT_OWNER: owner ?? undefined }, application),
  );
  return findings.filter(({ message }, at) => findings.findIndex((one) => one.message === message) === at);
}

function checkMountOf(settings: Settings, application: Application): readonly Finding[] {
  const { id, name } = application;
  const folder = realPath(folderOf(settings.OUTPUT));
  if (folder === null) return [];
  const stale = staleMount(id.pid, settings.OUTPUT.path);
  if (stale !== null) {
    const message = `Process ${name} would keep reading the old file: ${stale}.`;
    return [fail('mount', 'reload.stale-mount', message, MOUNT_DIRECTORY)];
  }
  const readable = checkReadable(settings, application, folder);
  if (sharesMounts(id)) {
    return [ok('mount', 'mount.same', `Process ${name} sees the same files as this sidecar.`), ...readable];
  }
  const [own, its] = [mountsOf('/proc/self'), mountsOf(processFolder(id.pid))];
  const place = own && locate(own, folder);
  if (place === null || its === null) {
    const message = `Whether process ${name} reads from the same volume is not visible from here.`;
    return [warn('mount', 'mount.unknown', message, 'Look at the volume mounts of both containers.')];
  }
  const compared = compareMounts({ settings, name, place, its });
  return [compared, ...readable, ...checkReach(settings, { application, its, own: own ?? [] })];
}

const MOUNT_DIRECTORY =
  'Mount the whole directory in the application (no subPath, no single file), and restart it.';

function realPath(path: string): string | null {
  try {
    return realpathSync(path);
  } catch {
    return null;
  }
}

/** The root mount is the same for all processes of a container, and for no others. */
function sharesMounts({ pid }: ProcessId): boolean {
  const own = readRootMount('/proc/self');
  return own !== null && own === readRootMount(processFolder(pid));
}

export interface Comparison {
  readonly settings: Settings;
  readonly name: string;
  /** Where the output's directory lies. */
  readonly place: Whereabouts<MountDetails>;
  readonly its: readonly MountDetails[];
}

/** One export can be mounted twice under two device numbers there, so that a difference proves nothing. */
const NETWORK = /^(nfs|cifs|smb|fuse|9p|ceph|virtiofs|gluster|lustre)/;

/** The volume as the application has it: whole, in part, or not at all. */
export function compareMounts({ settings, name, place, its }: Comparison): Finding {
  const same = its.filter(({ device }) => device === place.mount.device);
  const parts = same.filter(({ root }) => isPart(root, place.inside, settings));
  if (parts[0] !== undefined) {
    const message = `Process ${name} has a single file of the output mounted at "${parts[0].point}": what replaces it never arrives there.`;
    return fail('mount', 'mount.single-file', message, MOUNT_DIRECTORY);
  }
  const whole = same
    .filter(({ root }) => isWithin(place.inside, root))
    .sort((a, b) => b.root.length - a.root.length);
  if (whole[0] !== undefined)
    return ok('mount', 'mount.shared', describeShared(name, whole[0], place.inside));
  const folder = folderOf(settings.OUTPUT);
  const mend = 'Mount the same volume in both containers, and check the path the application reads from.';
  if (place.mount.point === '/' && place.mount.kind === 'overlay') {
    const own = `"${folder}" lies in the sidecar's own container, on no volume: process ${name} never sees it.`;
    return fail('mount', 'mount.no-volume', own, mend);
  }
  const message = `Process ${name} has no mount of the volume that "${folder}" lies on.`;
  if (NETWORK.test(place.mount.kind)) return warn('mount', 'mount.absent', message, mend);
  return fail('mount', 'mount.absent', message, mend);
}

/** The output file itself; or something inside an output directory. */
function isPart(root: string, folder: string, { OUTPUT }: Settings): boolean {
  if (OUTPUT.kind === 'file') return root === join(folder, basename(OUTPUT.path));
  return root !== folder && isWithin(root, folder);
}

function describeShared(name: string, mount: MountDetails, inside: string): string {
  const at = join(mount.point, inside.slice(mount.root === '/' ? 0 : mount.root.length));
  return `Process ${name} has the same volume, as "${at.replace(/(.)\/$/, '$1')}"${isReadOnly(mount) ? ', read-only' : ''}.`;
}

interface Reach {
  readonly application: Application;
  readonly its: readonly MountDetails[];
  readonly own: readonly MountDetails[];
}

/** A default state directory lies on the output's volume; what only we should write to, the application may reach then. */
function checkReach({ STATE_DIR }: Settings, { application, its, own }: Reach): readonly Finding[] {
  const user = userOf(application.id);
  const mayWrite = user !== null && (user.writesAll || user.uid === process.geteuid?.());
  const place = locate(own, realPath(STATE_DIR) ?? realPath(dirname(STATE_DIR)) ?? '/');
  const isReaching = ({ device, root, ...mount }: MountDetails): boolean =>
    device === place?.mount.device && isWithin(place.inside, root) && !isReadOnly({ device, root, ...mount });
  if (!mayWrite || !its.some(isReaching)) return [];
  const message = `Process ${application.name} may write to STATE_DIR "${STATE_DIR}", and so spoil the last known good configuration.`;
  const mend = 'Mount the volume read-only in the application, or let STATE_DIR name a volume of its own.';
  return [warn('mount', 'mount.state-in-reach', message, mend)];
}
