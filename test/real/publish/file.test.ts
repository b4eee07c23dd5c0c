import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { openNewFile, temporaryName } from '../../../src/publish/atomic-file.ts';
import { openPublisher, type Publisher } from '../../../src/publish/publisher.ts';
import { publishNow } from '../../support/publish/publish-now.ts';
import { errorOf, generation, scratch } from '../../support/publish/scratch.ts';

interface Place {
  readonly directory: string;
  readonly path: string;
  readonly publisher: Publisher;
}

function place(): Place {
  const directory = scratch();
  const path = join(directory, 'app.conf');
  return { directory, path, publisher: openPublisher({ kind: 'file', path }, null) };
}

const one = (text: string, how = {}) => generation({ 'app.conf': text }, how);

describe('a file output', () => {
  it('is replaced by a rename: a new inode, no other name beside it, and the old one still readable by who has it open', async () => {
    const { directory, path, publisher } = place();
    await publishNow(publisher, one('first'));
    const before = statSync(path).ino;
    const held = openSync(path, 'r');
    onTestFinished(() => closeSync(held));
    await publishNow(publisher, one('second'));
    expect(readFileSync(path, 'utf8')).toBe('second');
    expect(readFileSync(held, 'utf8')).toBe('first');
    expect(statSync(path).ino).not.toBe(before);
    expect(readdirSync(directory)).toEqual(['app.conf']);
  });

  it.each([0o640, 0o600, 0o644, 0o666, 0o440])(
    'has exactly the mode %o under a umask of 0077',
    async (mode) => {
      const { path, publisher } = place();
      const umask = process.umask(0o077);
      onTestFinished(() => void process.umask(umask));
      await publishNow(publisher, one('text', { mode }));
      expect(statSync(path).mode & 0o7777).toBe(mode);
    },
  );

  it('looks the same as what was published, and different after any change', async () => {
    const { path, publisher } = place();
    const wanted = one('text');
    await publishNow(publisher, wanted);
    const seen = publisher.look();
    expect(seen).toEqual({ rendering: wanted.rendering, changedAt: statSync(path).ctimeMs, problem: null });
    chmodSync(path, 0o600);
    expect(publisher.look().rendering).not.toBe(wanted.rendering);
    chmodSync(path, 0o644);
    expect(publisher.look().rendering).toBe(wanted.rendering);
    writeFileSync(path, 'texT');
    expect(publisher.look().rendering).not.toBe(wanted.rendering);
    rmSync(path);
    expect(publisher.look()).toEqual({ rendering: null, changedAt: null, problem: null });
    expect(publisher.isThere()).toBe(false);
  });

  it('reads back what was published', async () => {
    const { publisher } = place();
    expect(publisher.read()).toEqual([]);
    await publishNow(publisher, one('text', { mode: 0o600 }));
    expect(publisher.read()).toMatchObject([{ name: 'app.conf', bytes: Buffer.from('text'), mode: 0o600 }]);
  });

  it('replaces a symbolic link at its name, and never writes or reads through it', async () => {
    const { directory, path, publisher } = place();
    const victim = join(scratch(), 'victim');
    writeFileSync(victim, 'precious');
    symlinkSync(victim, path);
    expect(publisher.look()).toEqual({ rendering: 'unreadable:ELOOP', changedAt: null, problem: null });
    await publishNow(publisher, one('text'));
    expect(lstatSync(path).isFile()).toBe(true);
    expect(readFileSync(path, 'utf8')).toBe('text');
    expect(readFileSync(victim, 'utf8')).toBe('precious');
    expect(readdirSync(directory)).toEqual(['app.conf']);
  });

  it('replaces a pipe that took the place of its file, without waiting for a writer', async () => {
    const { path, publisher } = place();
    await publishNow(publisher, one('text'));
    rmSync(path);
    execFileSync('mkfifo', [path]);
    expect(publisher.look()).toEqual({ rendering: 'unreadable:special', changedAt: null, problem: null });
    await publishNow(publisher, one('text'));
    expect(readFileSync(path, 'utf8')).toBe('text');
  });

  it('takes a file that is larger than MAX_SIZE for a change by others, and does not read it', async () => {
    const { path } = place();
    const publisher = openPublisher({ kind: 'file', path }, null, 1_024);
    writeFileSync(path, '');
    truncateSync(path, 1_800_000_000);
    expect(publisher.look()).toEqual({ rendering: 'unreadable:too-large', changedAt: null, problem: null });
    expect(publisher.read()).toEqual([]);
    await publishNow(publisher, one('text'));
    expect(statSync(path).size).toBe(4);
  });

  it('refuses a directory in its place', async () => {
    const { directory, path, publisher } = place();
    mkdirSync(path);
    const expected = {
      code: 'publish.is-directory',
      message: `Cannot publish "${path}": a directory is in its place. Move it away, or end OUTPUT with a slash for a directory output.`,
    };
    expect(publisher.look().problem).toMatchObject(expected);
    expect(await errorOf(() => publishNow(publisher, one('text')))).toEqual(expected);
    expect(readdirSync(directory)).toEqual(['app.conf']);
  });

  it('names a directory that is missing, and works as soon as it is there', async () => {
    const directory = join(scratch(), 'missing');
    const path = join(directory, 'app.conf');
    const publisher = openPublisher({ kind: 'file', path }, null);
    const expected = {
      code: 'publish.no-directory',
      message: `Cannot publish "${path}": the directory "${directory}" does not exist. Create it, or mount the volume there.`,
    };
    expect(publisher.look()).toMatchObject({ rendering: null, problem: expected });
    expect(await errorOf(() => publishNow(publisher, one('text')))).toEqual(expected);
    publisher.recover();
    mkdirSync(directory);
    await publishNow(publisher, one('text'));
    // Deleted and made again, not moved away: the new one is taken.
    rmSync(directory, { recursive: true });
    mkdirSync(directory);
    expect(publisher.look()).toEqual({ rendering: null, changedAt: null, problem: null });
    await publishNow(publisher, one('text'));
    expect(readFileSync(path, 'utf8')).toBe('text');
  });

  it('names a file that stands where its directory should', async () => {
    const directory = join(scratch(), 'plain');
    writeFileSync(directory, '');
    const path = join(directory, 'app.conf');
    expect(await errorOf(() => publishNow(openPublisher({ kind: 'file', path }, null), one('text')))).toEqual(
      {
        code: 'publish.not-a-directory',
        message: `Cannot publish "${path}": "${directory}" is not a directory. Mount the volume there, or change OUTPUT.`,
      },
    );
  });

  it('takes one file and not two', async () => {
    const { path, publisher } = place();
    expect(await errorOf(() => publishNow(publisher, generation({ a: '1', b: '2' })))).toEqual({
      code: 'publish.shape',
      message: `Cannot publish "${path}": 2 files do not fit a file output. End OUTPUT with a slash for a directory.`,
    });
  });

  it('removes its own left-overs at a start, and nothing else', async () => {
    const { directory, path, publisher } = place();
    await publishNow(publisher, one('text'));
    const foreign = [
      '.app.conf.swp',
      'app.conf.tmp',
      '.config-sidecar.tmp',
      temporaryName('other.conf'),
      'readme',
    ];
    for (const name of foreign) writeFileSync(join(directory, name), 'foreign');
    for (let i = 0; i < 3; i += 1) writeFileSync(join(directory, temporaryName('app.conf')), 'half');
    publisher.recover();
    expect(new Set(readdirSync(directory))).toEqual(new Set(['app.conf', ...foreign]));
    expect(readFileSync(path, 'utf8')).toBe('text');
    for (const name of foreign) expect(readFileSync(join(directory, name), 'utf8')).toBe('foreign');
  });

  it('removes a left-over that is a planted link, not what it points to', () => {
    const { directory, publisher } = place();
    const victim = join(scratch(), 'victim');
    writeFileSync(victim, 'precious');
    symlinkSync(victim, join(directory, temporaryName('app.conf')));
    publisher.recover();
    expect(readdirSync(directory)).toEqual([]);
    expect(readFileSync(victim, 'utf8')).toBe('precious');
  });
});

describe('a temporary name', () => {
  it('is matched by no pattern of a reader, and never the same twice', () => {
    const names = Array.from({ length: 1_000 }, () => temporaryName('app.conf'));
    expect(new Set(names).size).toBe(1_000);
    const matched = (pattern: string): string =>
      execFileSync('sh', [
        '-c',
        `cd "$1" && for f in ${pattern}; do printf '%s\\n' "$f"; done`,
        'sh',
        directory,
      ]).toString();
    const directory = scratch();
    writeFileSync(join(directory, 'real.conf'), '');
    for (const name of names.slice(0, 20)) writeFileSync(join(directory, name), '');
    for (const pattern of ['*', '*.conf', 'app.conf*', '[!r]*.conf real.conf']) {
      expect(
        matched(pattern)
          .split('\n')
          .filter((line) => line.includes('config-sidecar')),
      ).toEqual([]);
    }
    expect(names.every((name) => !name.endsWith('.conf') && name.length < 100)).toBe(true);
  });

  it('that is taken by a link is an error, and the link is not followed', () => {
    const directory = scratch();
    const victim = join(scratch(), 'victim');
    writeFileSync(victim, 'precious');
    symlinkSync(victim, join(directory, 'planted'));
    const write = (): number =>
      openNewFile(join(directory, 'planted'), Buffer.from('text'), { mode: 0o644, owner: null });
    expect(write).toThrow('EEXIST');
    expect(readFileSync(victim, 'utf8')).toBe('precious');
  });
});

describe('an OUTPUT that is not a file', () => {
  const refusal = (path: string, kind: string) => ({
    code: 'publish.special-file',
    message: `Cannot publish "${path}": it is ${kind}, and only a regular file can be replaced. Name another OUTPUT; "config-sidecar diff" shows a configuration on standard output.`,
  });

  it.each<[string, string, (path: string) => void]>([
    ['a named pipe', 'a named pipe', (path) => void execFileSync('mkfifo', [path])],
    ['a device', 'a device', (path) => void execFileSync('mknod', [path, 'c', '1', '3'])],
    ['a socket', 'a socket', (path) => void spawnSync(process.execPath, ['-e', LEAVE_SOCKET, path])],
    ['a link to a device', 'a link to a device', (path) => symlinkSync('/dev/null', path)],
    [
      'a link to standard output',
      'a link to an open file of a process',
      (path) => symlinkSync('/dev/stdout', path),
    ],
  ])('%s is refused with one reason, by looking and by publishing', async (_what, kind, make) => {
    const { directory, path, publisher } = place();
    make(path);
    const before = lstatSync(path);
    expect(publisher.look()).toMatchObject({ rendering: null, problem: refusal(path, kind) });
    expect(await errorOf(() => publishNow(publisher, one('text')))).toEqual(refusal(path, kind));
    expect(lstatSync(path)).toMatchObject({ ino: before.ino, mode: before.mode });
    expect(readdirSync(directory)).toEqual(['app.conf']);
  });

  it('but a link to a file, or to nothing, is replaced', async () => {
    for (const target of [join(scratch(), 'missing'), process.execPath]) {
      const { path, publisher } = place();
      symlinkSync(target, path);
      await publishNow(publisher, one('text'));
      expect(lstatSync(path).isFile()).toBe(true);
    }
  });
});

/** A process that is killed leaves its socket behind. */
const LEAVE_SOCKET =
  'require("net").createServer().listen(process.argv[1], () => process.kill(process.pid, "SIGKILL"))';

describe('the directory of the output', () => {
  it('may be reached through a symbolic link that only this user could make', async () => {
    const real = scratch();
    const link = join(scratch(), 'link');
    symlinkSync(join('..', basename(real)), link);
    const path = join(link, 'app.conf');
    await publishNow(openPublisher({ kind: 'file', path }, null), one('text'));
    expect(readFileSync(join(real, 'app.conf'), 'utf8')).toBe('text');
    expect(readlinkSync(link)).toBe(join('..', basename(real)));
  });

  it('is not reached through a link where other users may write', async () => {
    const real = scratch();
    const shared = scratch();
    chmodSync(shared, 0o777);
    const link = join(shared, 'link');
    symlinkSync(real, link);
    const path = join(link, 'app.conf');
    const publisher = openPublisher({ kind: 'file', path }, null);
    const expected = {
      code: 'publish.symbolic-link',
      message: `Cannot use "${link}": it is a symbolic link in a directory that other users may write in, so any of them may have made it. Name the directory it leads to, or make "${shared}" writable for this user only.`,
    };
    publisher.recover();
    expect(publisher.look()).toMatchObject({ rendering: null, problem: expected });
    expect(await errorOf(() => publishNow(publisher, one('text')))).toEqual(expected);
    expect(readdirSync(real)).toEqual([]);
  });

  it('is held: another one in its place is an error, until the first is back', async () => {
    const directory = join(scratch(), 'out');
    mkdirSync(directory);
    const path = join(directory, 'app.conf');
    const publisher = openPublisher({ kind: 'file', path }, null);
    await publishNow(publisher, one('first'));
    for (const replace of [() => mkdirSync(directory), () => symlinkSync(scratch(), directory)]) {
      renameSync(directory, `${directory}-away`);
      replace();
      const expected = {
        code: 'publish.replaced',
        message: `Cannot publish in "${directory}": since the start another directory has taken its place, and nothing is written there. Put the first one back, or restart the sidecar to use the new one.`,
      };
      expect(() => publisher.hold()).toThrow(expected.message);
      publisher.recover();
      expect(publisher.look()).toMatchObject({ rendering: null, problem: expected });
      expect(publisher.isThere()).toBe(false);
      expect(await errorOf(() => publishNow(publisher, one('second')))).toEqual(expected);
      expect(readdirSync(directory)).toEqual([]);
      rmSync(directory, { recursive: true });
      renameSync(`${directory}-away`, directory);
      await publishNow(publisher, one('third'));
      expect(readFileSync(path, 'utf8')).toBe('third');
    }
  });
});
