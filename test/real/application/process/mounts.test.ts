// A mount through which the application cannot see what is published: by rule, and with real mounts.
import { mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { createMountMemory } from '../../../../src/application/process/mount-memory.ts';
import {
  canBecomeStale,
  findStaleMount,
  type MountedOutput,
  parseMountInfo,
  staleMount,
} from '../../../../src/application/process/mounts.ts';
import { processFolder, readMountInfo, readRow } from '../../../../src/application/process/proc.ts';
import { createStage, type Stage, until } from '../../../support/application/process/apart.ts';

test('a mount table is read, with blanks in its paths', () => {
  const text =
    '22 27 0:21 / /proc rw,relatime - proc proc rw\n300 22 8:1 /pods/a\\040b//deleted /etc/app\\134.conf ro shared:1 master:2 - ext4 /dev/sda1 rw\n';
  expect(parseMountInfo(text)).toEqual([
    { device: '0:21', root: '/', point: '/proc' },
    { device: '8:1', root: '/pods/a b//deleted', point: '/etc/app\\.conf' },
  ]);
});

describe('a mount', () => {
  const file: MountedOutput = { device: '8:1', path: '/vol/app.conf', liveGeneration: null };
  const tree: MountedOutput = { device: '8:1', path: '/vol/conf', liveGeneration: '/vol/conf/..2' };
  const stale = (root: string, place: MountedOutput, device = '8:1'): boolean =>
    findStaleMount([{ device, root, point: '/etc/it' }], place) !== null;

  test('of our file, replaced since, is stale', () => {
    expect(stale('/vol/app.conf//deleted', file)).toBe(true);
    expect(stale('/vol//deleted', file)).toBe(true);
  });

  test('of our file as it is, of the directory, of others, or of another file system is not', () => {
    for (const root of ['/vol/app.conf', '/vol', '/', '/vol/app.conf2//deleted', '/vol/app//deleted']) {
      expect(stale(root, file), root).toBe(false);
    }
    expect(stale('/vol/app.conf//deleted', file, '8:2')).toBe(false);
  });

  test('of one key is stale once its generation is not the live one', () => {
    expect(stale('/vol/conf/..1/key', tree)).toBe(true);
    expect(stale('/vol/conf/..2/key', tree)).toBe(false);
    expect(stale('/vol/conf', tree)).toBe(false);
    expect(stale('/vol/conf/..2/key//deleted', tree)).toBe(true);
  });
});

/** A process with mounts of its own, in which `source` is mounted at `point`. Needs root, or user namespaces. */
async function mountedIn(stage: Stage, source: string, point: string): Promise<number> {
  const script = `mount --bind "$1" "$2" && echo yes > "$3"; exec sleep 600`;
  const own = process.getuid?.() === 0 ? '-m' : '-rm';
  const words = ['sh', '-c', script, 'sh', stage.at(source), stage.at(point), stage.at('mounted')];
  const { pid } = stage.start(['unshare', own, ...words]);
  await until('it is mounted', () => stage.read('mounted') === 'yes\n');
  return pid;
}

function replace(stage: Stage, path: string, text: string): void {
  writeFileSync(stage.at('staged'), text);
  renameSync(stage.at('staged'), stage.at(path));
}

test('a table can hold a stale mount only where something was deleted, is hidden, or has the name of an output', () => {
  const lineOf = (root: string): string => `30 20 0:21 ${root} /app/point rw - ext4 /dev/vda1 rw`;
  expect(canBecomeStale(lineOf('/vol'), ['app.conf'])).toBe(false);
  expect(canBecomeStale(lineOf('/vol/app.conf'), ['app.conf'])).toBe(true);
  expect(canBecomeStale(lineOf('/vol/app.conf'), ['other', 'app.conf'])).toBe(true);
  expect(canBecomeStale(lineOf('/vol/my-app.conf'), ['app.conf'])).toBe(false);
  expect(canBecomeStale(lineOf('/vol/old//deleted'), ['app.conf'])).toBe(true);
  expect(canBecomeStale(lineOf('/vol/..2/key'), [])).toBe(true);
  // As the kernel writes it, and as it is.
  expect(canBecomeStale(lineOf('/vol/my\\040app.conf'), ['my app.conf'])).toBe(true);
});

describe('a real process', () => {
  test('with our file mounted is not taken for safe by what was seen before the publication', async (context) => {
    const stage = createStage(context);
    mkdirSync(stage.at('conf'));
    for (const file of ['conf/app.conf', 'conf/other', 'point', 'staged'])
      writeFileSync(stage.at(file), 'one');
    const pid = await mountedIn(stage, 'conf/app.conf', 'point');
    const id = { pid, startTicks: readRow(processFolder(pid))?.startTicks ?? 0 };
    const stalesAt = (file: string): readonly (string | null)[] => {
      const memory = createMountMemory([{ kind: 'file', path: stage.at(file) }]);
      memory.prefetch(id, 0);
      replace(stage, file, 'two');
      return [memory.stale(id, 1), memory.stale({ ...id, startTicks: 1 }, 2)];
    };
    expect(stalesAt('conf/other')).toEqual([null, null]);
    const message = expect.stringContaining('still shows what was there before');
    expect(stalesAt('conf/app.conf')).toEqual([message, message]);
  });

  test('is asked for its mounts again after a second', async (context) => {
    const stage = createStage(context);
    mkdirSync(stage.at('conf'));
    for (const file of ['conf/app.conf', 'point']) writeFileSync(stage.at(file), 'one');
    const script = 'while [ ! -e "$3" ]; do sleep 0.05; done; mount --bind "$1" "$2"; exec sleep 600';
    const own = process.getuid?.() === 0 ? '-m' : '-rm';
    const words = [stage.at('conf/app.conf'), stage.at('point'), stage.at('go')];
    const id = stage.start(['unshare', own, 'sh', '-c', script, 'sh', ...words]);
    await until('it is in its own mounts', () => readRow(processFolder(id.pid))?.comm === 'sh');
    const memory = createMountMemory([{ kind: 'file', path: stage.at('conf/app.conf') }]);
    memory.prefetch(id, 0);
    writeFileSync(stage.at('go'), '');
    await until('it is mounted', () => readMountInfo(processFolder(id.pid))?.includes(stage.at('point')));
    replace(stage, 'conf/app.conf', 'two');
    expect(memory.stale(id, 1_000)).toBeNull();
    expect(memory.stale(id, 1_001)).toContain('still shows what was there before');
  });

  test('with our file mounted does not see a new one', async (context) => {
    const stage = createStage(context);
    mkdirSync(stage.at('a b'));
    writeFileSync(stage.at('a b/app.conf'), 'one');
    writeFileSync(stage.at('point'), '');
    const pid = await mountedIn(stage, 'a b/app.conf', 'point');
    expect(staleMount(pid, stage.at('a b/app.conf'))).toBeNull();
    replace(stage, 'a b/app.conf', 'two');
    expect(readFileSync(`/proc/${pid}/root${stage.at('point')}`, 'utf8')).toBe('one');
    expect(staleMount(pid, stage.at('a b/app.conf'))).toBe(
      `its mount at "${stage.at('point')}" still shows what was there before; mount the directory, not the file, and restart it`,
    );
    expect(staleMount(pid, stage.at('a b/other.conf'))).toBeNull();
    expect(staleMount(process.pid, stage.at('a b/app.conf'))).toBeNull();
  });

  test('with the directory mounted sees it', async (context) => {
    const stage = createStage(context);
    mkdirSync(stage.at('volume'));
    mkdirSync(stage.at('point'));
    writeFileSync(stage.at('volume/app.conf'), 'one');
    const pid = await mountedIn(stage, 'volume', 'point');
    replace(stage, 'volume/app.conf', 'two');
    expect(readFileSync(`/proc/${pid}/root${stage.at('point')}/app.conf`, 'utf8')).toBe('two');
    expect(staleMount(pid, stage.at('volume/app.conf'))).toBeNull();
  });

  test('with one key of a directory mounted stays with its generation', async (context) => {
    const stage = createStage(context);
    for (const generation of ['..1', '..2']) {
      mkdirSync(stage.at(`conf/${generation}`), { recursive: true });
      writeFileSync(stage.at(`conf/${generation}/key`), generation);
    }
    symlinkSync('..1', stage.at('conf/..data'));
    writeFileSync(stage.at('point'), '');
    const pid = await mountedIn(stage, 'conf/..data/key', 'point');
    expect(staleMount(pid, stage.at('conf'))).toBeNull();
    rmSync(stage.at('conf/..data'));
    symlinkSync('..2', stage.at('conf/..data'));
    expect(staleMount(pid, stage.at('conf'))).toContain(stage.at('point'));
    expect(staleMount(pid, `${stage.at('conf')}/`)).toContain(stage.at('point'));
  });
});

test('nothing is reported of a process that is gone, or before there is an output', (context) => {
  const stage = createStage(context);
  expect(staleMount(2 ** 31 - 1, stage.at('app.conf'))).toBeNull();
  expect(staleMount(process.pid, stage.at('not/there/app.conf'))).toBeNull();
});
