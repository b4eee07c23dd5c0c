// Wakes when something about a path may have changed. It only ever says "look again"; what there is, a look decides.
import { type FSWatcher, lstatSync, readlinkSync, statSync, watch } from 'node:fs';
import { basename, dirname, parse, resolve, sep } from 'node:path';
import { errnoOf } from '../lib/errors.ts';
import { sleep } from '../lib/wait.ts';

/** What a wait ended with. */
type Wake = 'changed' | 'quiet' | 'aborted';

export interface PathWatch {
  /**
   * Resolves with `changed` when something may have changed since the last wait (at once if that was so already),
   * with `quiet` when the time is over, with `aborted` at the abort. Where the system gives no watch, `changed` comes
   * every second.
   */
  wait(atMostMs: number): Promise<Wake>;
  /** Further directories to watch, in place of those named before; the watch is on when this returns. */
  cover(directories: readonly string[]): void;
  /** Ends every watch. */
  close(): void;
}

export interface PathWatchOptions {
  readonly signal: AbortSignal;
  /** How a directory is watched. Default: the system's own watch. May throw what `fs.watch` throws. */
  readonly openWatch?: OpenWatch;
}

/** `onEvent` gets the name of the entry, where the system gives it. */
export type OpenWatch = (directory: string, onEvent: (name: string | null) => void) => FSWatcher;

/** Where the system gives no watch (its number is limited per user, over all containers), we look this often. */
const UNWATCHED_LOOK_MS = 1_000;
/** A busy directory must not keep us looking all the time. */
const LEAST_BETWEEN_WAKES_MS = 10;
const MAX_WATCHES = 500;
const MAX_LINKS = 40;

/**
 * Watches every directory whose entries decide what the path leads to: that of the file itself, and those of all
 * links on the way. A watch on the file would be deaf after the first rename over it, and at a swap of `..data` from
 * the start. Directories that go and come back are found again: each wait renews what is watched.
 */
export function watchPath(
  path: string,
  { signal, openWatch = openSystemWatch }: PathWatchOptions,
): PathWatch {
  const watches = new Map<string, { readonly identity: string; readonly watcher: FSWatcher }>();
  let covered: readonly string[] = [];
  let isComplete = true;
  let isDirty = false;
  let wake: () => void = () => undefined;
  let lastWakeMs = 0;

  const look = (): void => {
    isDirty = true;
    wake();
  };
  const drop = (directory: string): void => {
    watches.get(directory)?.watcher.close();
    watches.delete(directory);
  };
  const add = (directory: string, identity: string): void => {
    try {
      const watcher = openWatch(directory, (name) => {
        // An event about the directory itself: it was moved or removed, and this watch is dead. The next directory
        // of that name may even have the same inode number.
        if (name === basename(directory)) drop(directory);
        look();
      });
      watches.set(directory, { identity, watcher });
      watcher.on('error', () => {
        drop(directory);
        look();
      });
    } catch (thrown) {
      // Gone in between: the next round of `arm` sees that. Anything else means that we have to look by ourselves.
      if (errnoOf(thrown) !== 'ENOENT') isComplete = false;
    }
  };
  /** One round: true when something had to be watched again, so that the way may have changed meanwhile. */
  const renew = (): boolean => {
    const wanted = new Map<string, string>();
    for (const directory of [...deciding(path), ...covered]) {
      const identity = identify(directory);
      if (identity !== null) wanted.set(directory, identity);
    }
    for (const [directory, { identity }] of watches) if (wanted.get(directory) !== identity) drop(directory);
    const missing = [...wanted].filter(([directory]) => !watches.has(directory));
    const affordable = missing.slice(0, MAX_WATCHES - watches.size);
    if (affordable.length < missing.length) isComplete = false;
    for (const [directory, identity] of affordable) add(directory, identity);
    return affordable.length > 0;
  };
  const arm = (): void => {
    isComplete = true;
    for (let round = 0; round < 5 && renew() && isComplete; round++);
  };
  const nextEvent = async (atMostMs: number): Promise<void> => {
    const ended = new AbortController();
    wake = () => ended.abort();
    signal.addEventListener('abort', wake, { once: true });
    if (!isDirty && !signal.aborted) await sleep(atMostMs, ended.signal);
    signal.removeEventListener('abort', wake);
    wake = () => undefined;
  };

  const wait = async (atMostMs: number): Promise<Wake> => {
    const ownLookMs = isComplete ? Number.POSITIVE_INFINITY : UNWATCHED_LOOK_MS;
    await nextEvent(Math.max(0, Math.min(atMostMs, ownLookMs)));
    if (isDirty) await sleep(Math.max(0, lastWakeMs + LEAST_BETWEEN_WAKES_MS - performance.now()), signal);
    if (signal.aborted) return 'aborted';
    const hasChanged = isDirty || ownLookMs < atMostMs;
    isDirty = false;
    lastWakeMs = performance.now();
    arm();
    return hasChanged ? 'changed' : 'quiet';
  };
  const cover = (directories: readonly string[]): void => {
    covered = directories;
    arm();
  };
  const close = (): void => {
    for (const directory of [...watches.keys()]) drop(directory);
  };
  arm();
  return { wait, cover, close };
}

function openSystemWatch(directory: string, onEvent: (name: string | null) => void): FSWatcher {
  return watch(directory, (_kind, name) => onEvent(name));
}

/** The same text as long as it is the same directory; null when it is not there. */
function identify(directory: string): string | null {
  try {
    const { dev, ino } = statSync(directory, { bigint: true });
    return `${dev}:${ino}`;
  } catch {
    return null;
  }
}

/**
 * The directories whose entries decide what a path leads to: those that hold a link on the way, the one that holds
 * the end, the end itself if it is a directory, and the deepest that there is if the way is broken.
 */
export function deciding(path: string): readonly string[] {
  const directories = new Set<string>();
  const { root } = parse(resolve(path));
  let at = root;
  const names = partsOf(resolve(path).slice(root.length));
  let links = 0;
  for (let name = names.shift(); name !== undefined; name = names.shift()) {
    const here = resolve(at, name);
    const kind = kindOf(here);
    if (kind === 'link' && links++ < MAX_LINKS) {
      directories.add(at);
      const target = resolve(at, readLink(here));
      names.unshift(...partsOf(target.slice(root.length)));
      at = root;
    } else if (kind === 'directory') {
      at = here;
    } else {
      directories.add(at);
      return [...directories];
    }
  }
  return [...directories.add(dirname(at)).add(at)];
}

function partsOf(path: string): string[] {
  return path.split(sep).filter((part) => part !== '');
}

function kindOf(path: string): 'link' | 'directory' | 'other' {
  try {
    const stats = lstatSync(path);
    return stats.isSymbolicLink() ? 'link' : stats.isDirectory() ? 'directory' : 'other';
  } catch {
    return 'other';
  }
}

function readLink(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '.';
  }
}
