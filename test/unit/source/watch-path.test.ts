import {
  type FSWatcher,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  watch,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { deciding, type OpenWatch, watchPath } from '../../../src/source/watch-path.ts';
import { countResources, leftOver } from '../../support/source/provider-contract.ts';

const NEVER = new AbortController().signal;

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'watch-path-'));
});
afterEach(() => {
  rmSync(directory, { recursive: true });
});

describe('watchPath', () => {
  it('says "changed" for what happened before the wait as well as during it', async () => {
    const path = join(directory, 'a');
    const paths = watchPath(path, { signal: NEVER });
    writeFileSync(path, '1');
    expect(await paths.wait(10_000)).toBe('changed');
    const waiting = paths.wait(10_000);
    writeFileSync(path, '2');
    expect(await waiting).toBe('changed');
    paths.close();
  });

  it('says "quiet" when the time is over', async () => {
    const paths = watchPath(join(directory, 'a'), { signal: NEVER });
    const startedMs = performance.now();
    expect(await paths.wait(60)).toBe('quiet');
    expect(performance.now() - startedMs).toBeGreaterThanOrEqual(59);
    paths.close();
  });

  it('says "aborted" promptly at the abort, and close leaves nothing', async () => {
    const before = countResources();
    const controller = new AbortController();
    const paths = watchPath(join(directory, 'a'), { signal: controller.signal });
    const waiting = paths.wait(600_000);
    controller.abort();
    expect(await waiting).toBe('aborted');
    paths.close();
    await expect.poll(() => leftOver(before).filter((kind) => !kind.includes('inotify'))).toEqual([]);
  });

  it('hears of a path whose directories do not exist yet', async () => {
    const path = join(directory, 'x', 'y', 'a');
    const paths = watchPath(path, { signal: NEVER });
    mkdirSync(dirname(path), { recursive: true });
    expect(await paths.wait(10_000)).toBe('changed');
    await drain(paths);
    writeFileSync(path, '1');
    expect(await paths.wait(10_000)).toBe('changed');
    paths.close();
  });

  // The kernel gives a directory made again the inode number of the one that was removed: the watch must not be taken for alive.
  it('hears again after its directory was removed and made again, ten times over', async () => {
    const path = join(directory, 'd', 'a');
    mkdirSync(dirname(path));
    const paths = watchPath(path, { signal: NEVER });
    for (let round = 0; round < 10; round++) {
      rmSync(dirname(path), { recursive: true });
      mkdirSync(dirname(path));
      await drain(paths);
      writeFileSync(path, String(round));
      expect(await paths.wait(10_000)).toBe('changed');
      await drain(paths);
    }
    paths.close();
  });

  it('watches further directories that are added', async () => {
    mkdirSync(join(directory, 'sub'));
    const paths = watchPath(join(directory, 'a'), { signal: NEVER });
    paths.cover([join(directory, 'sub')]);
    writeFileSync(join(directory, 'sub', 'x'), '1');
    expect(await paths.wait(10_000)).toBe('changed');
    paths.close();
  });

  it('looks by itself every second while the system gives no watch, and listens again when it does', async () => {
    const exhausted = new Set(['inotify']);
    const openWatch: OpenWatch = (wanted, onEvent): FSWatcher => {
      if (exhausted.size > 0) throw Object.assign(new Error('inotify limit'), { code: 'ENOSPC' });
      return watch(wanted, (_kind, name) => onEvent(name));
    };
    const paths = watchPath(join(directory, 'a'), { signal: NEVER, openWatch });
    for (let round = 0; round < 2; round++) {
      const startedMs = performance.now();
      expect(await paths.wait(600_000)).toBe('changed');
      expect(performance.now() - startedMs).toBeLessThan(5_000);
    }
    exhausted.clear();
    expect(await paths.wait(600_000)).toBe('changed');
    const waiting = paths.wait(600_000);
    writeFileSync(join(directory, 'a'), '1');
    expect(await waiting).toBe('changed');
    expect(await paths.wait(1_500)).toBe('quiet');
    paths.close();
  });

  it('goes on when a watch breaks', async () => {
    const opened: FSWatcher[] = [];
    const openWatch: OpenWatch = (wanted, onEvent) => {
      const watcher = watch(wanted, (_kind, name) => onEvent(name));
      opened.push(watcher);
      return watcher;
    };
    const paths = watchPath(join(directory, 'a'), { signal: NEVER, openWatch });
    opened[0]?.emit('error', new Error('broken'));
    expect(await paths.wait(10_000)).toBe('changed');
    expect(opened).toHaveLength(2);
    writeFileSync(join(directory, 'a'), '1');
    expect(await paths.wait(10_000)).toBe('changed');
    paths.close();
  });

  async function drain(paths: ReturnType<typeof watchPath>): Promise<void> {
    while ((await paths.wait(50)) === 'changed');
  }
});

describe('deciding', () => {
  it('names the directory of every link on the way and the end', () => {
    mkdirSync(join(directory, '..g1'));
    writeFileSync(join(directory, '..g1', 'a'), '');
    symlinkSync('..g1', join(directory, '..data'));
    symlinkSync('..data/a', join(directory, 'a'));
    expect(deciding(join(directory, 'a'))).toEqual([directory, join(directory, '..g1')]);
    expect(deciding(directory)).toEqual([dirname(directory), directory]);
    expect(deciding(join(directory, 'x', 'y', 'z'))).toEqual([directory]);
  });

  it('comes to an end where links lead round', () => {
    symlinkSync('b', join(directory, 'a'));
    symlinkSync('a', join(directory, 'b'));
    expect(deciding(join(directory, 'a'))).toEqual([directory]);
    renameSync(join(directory, 'a'), join(directory, 'c'));
    expect(deciding(join(directory, 'c'))).toEqual([directory]);
  });
});
