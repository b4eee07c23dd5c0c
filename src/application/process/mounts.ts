// Sees whether the application looks at the configuration through a mount that a replaced file cannot reach.
import { realpathSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { processFolder, readMountInfo } from './proc.ts';

/** How the kernel ends the source of a mount that is there no more. */
const DELETED = '//deleted';

/** One line of `/proc/PID/mountinfo`. */
export interface Mount {
  /** Device of the file system, `major:minor`. */
  readonly device: string;
  /** What of that file system is mounted: a path inside it. */
  readonly root: string;
  /** Where: a path as the process sees it. */
  readonly point: string;
}

/** Parses `mountinfo` (proc_pid_mountinfo(5)); blanks and the like come as octal escapes. */
export function parseMountInfo(text: string): readonly Mount[] {
  return text.split('\n').flatMap((line) => {
    const [, , device, root, point] = line.split(' ');
    if (device === undefined || root === undefined || point === undefined) return [];
    return [{ device, root: unescapeOctal(root), point: unescapeOctal(point) }];
  });
}

function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}

/**
 * Why this process cannot see what is published at `outputPath`, as a sentence with the remedy, or null when nothing
 * speaks against it. A mount of a single file stays with the file that was there when it was mounted; the kernel shows
 * that as a source ending in `//deleted`. A key of a directory output mounted by itself stays with its generation.
 * Asks only what every user may read, so it works for processes of others.
 */
export function staleMount(pid: number, outputPath: string): string | null {
  try {
    const text = readMountInfo(processFolder(pid));
    // Nearly always: nothing in it was deleted or lies in a hidden folder, whatever our output is.
    if (text === null || (!text.includes(DELETED) && !text.includes('/..'))) return null;
    return findStaleMount(parseMountInfo(text), locateOutput(outputPath));
  } catch {
    // Gone, hidden, or there is no output yet: nothing can be said.
    return null;
  }
}

/** What the kernel writes otherwise than it is. */
const ESCAPED = /[\s\\#]/;

/**
 * Whether a mount in this table is stale, or becomes so when something else takes the place of what has one of these names: where a
 * single file is mounted, its name is the end of a field.
 */
export function canBecomeStale(mountInfo: string, names: readonly string[]): boolean {
  if (mountInfo.includes(DELETED) || mountInfo.includes('/..')) return true;
  return names.some((name) => ESCAPED.test(name) || mountInfo.includes(`/${name} `));
}

/** Where the output lies, in terms every mount namespace shares. */
export interface MountedOutput {
  readonly device: string;
  /** Path inside its file system. */
  readonly path: string;
  /** For a directory output: path of the generation that is live, inside the file system; else null. */
  readonly liveGeneration: string | null;
}

/** The rule of `staleMount`, on what was read. */
export function findStaleMount(seen: readonly Mount[], place: MountedOutput): string | null {
  const stale = seen.find((mount) => mount.device === place.device && isStale(mount.root, place));
  if (stale === undefined) return null;
  return `its mount at "${stale.point}" still shows what was there before; mount the directory, not the file, and restart it`;
}

function isStale(root: string, { path, liveGeneration }: MountedOutput): boolean {
  const source = root.endsWith(DELETED) ? root.slice(0, -DELETED.length) : root;
  if (
    source !== root &&
    (source === path || source.startsWith(`${path}/`) || path.startsWith(`${source}/`))
  ) {
    return true;
  }
  if (liveGeneration === null || !source.startsWith(`${path}/..`)) return false;
  return source !== liveGeneration && !source.startsWith(`${liveGeneration}/`);
}

function locateOutput(outputPath: string): MountedOutput {
  const mounts = parseMountInfo(readMountInfo('/proc/self') ?? '');
  const real = join(realpathSync(dirname(outputPath)), basename(outputPath));
  const place = locate(mounts, real);
  if (place === null) throw new Error(`no mount holds ${real}`);
  const { mount, inside } = place;
  const liveGeneration = isDirectory(real) ? locateLive(mounts, real) : null;
  return { device: mount.device, path: inside, liveGeneration };
}

function locateLive(mounts: readonly Mount[], directory: string): string | null {
  try {
    return locate(mounts, realpathSync(join(directory, '..data')))?.inside ?? null;
  } catch {
    return null;
  }
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

/** Where a real path lies, in terms every mount namespace shares. */
export interface Whereabouts<M extends Mount> {
  readonly mount: M;
  /** Path inside the file system. */
  readonly inside: string;
}

/** The longest mount point counts, and of equal ones the last, which covers the others; null when none holds it. */
export function locate<M extends Mount>(mounts: readonly M[], real: string): Whereabouts<M> | null {
  let best: M | null = null;
  for (const mount of mounts) {
    if (isWithin(real, mount.point) && mount.point.length >= (best?.point.length ?? 0)) best = mount;
  }
  if (best === null) return null;
  return { mount: best, inside: join(best.root, best.point === '/' ? real : real.slice(best.point.length)) };
}

export function isWithin(path: string, directory: string): boolean {
  return directory === '/' || path === directory || path.startsWith(`${directory}/`);
}
