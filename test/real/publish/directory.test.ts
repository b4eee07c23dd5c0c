import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  opendirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { openPublisher, type Publisher } from '../../../src/publish/publisher.ts';
import { GRACE_MS } from '../../../src/publish/retired.ts';
import { publishNow } from '../../support/publish/publish-now.ts';
import { errorOf, generation, scratch } from '../../support/publish/scratch.ts';

interface Place {
  readonly root: string;
  readonly publisher: Publisher;
}

function place(): Place {
  const root = scratch();
  return { root, publisher: openPublisher({ kind: 'directory', path: root }, null) };
}

const visible = (root: string): readonly string[] =>
  readdirSync(root)
    .filter((name) => !name.startsWith('..'))
    .sort();
const hidden = (root: string): readonly string[] =>
  readdirSync(root)
    .filter((name) => name.startsWith('..'))
    .sort();
const text = (...parts: readonly string[]): string => readFileSync(join(...parts), 'utf8');

function replaceByLink(path: string, target: string): void {
  rmSync(path);
  symlinkSync(target, path);
}

describe('a directory output', () => {
  it('is laid out as a mounted ConfigMap', async () => {
    const { root, publisher } = place();
    const wanted = generation({ a: '1', 'sub/b': '2', 'sub/deep/c': '3' });
    await publishNow(publisher, wanted);
    expect(visible(root)).toEqual(['a', 'sub']);
    expect(readlinkSync(join(root, 'a'))).toBe('..data/a');
    expect(readlinkSync(join(root, '..data'))).toMatch(/^\.\.gen-[0-9a-f]{12}$/);
    expect([text(root, 'a'), text(root, 'sub/b'), text(root, 'sub/deep/c')]).toEqual(['1', '2', '3']);
    expect(publisher.look()).toEqual({
      rendering: wanted.rendering,
      changedAt: lstatSync(join(root, '..data')).ctimeMs,
      problem: null,
    });
    expect(publisher.read().map(({ name }) => name)).toEqual(['a', 'sub/b', 'sub/deep/c']);
  });

  it('adds and removes names with a generation, and swaps by one rename', async () => {
    const { root, publisher } = place();
    await publishNow(publisher, generation({ a: '1', b: '1', 'd/x': '1' }));
    await publishNow(publisher, generation({ b: '2', c: '2', d: '2' }));
    expect(visible(root)).toEqual(['b', 'c', 'd']);
    expect([text(root, 'b'), text(root, 'c'), text(root, 'd')]).toEqual(['2', '2', '2']);
    expect(hidden(root).filter((name) => !name.startsWith('..gen-'))).toEqual(['..data']);
  });

  it('gives every file its exact mode under a umask of 0077, and lets readers into its folders', async () => {
    const { root, publisher } = place();
    const umask = process.umask(0o077);
    onTestFinished(() => void process.umask(umask));
    await publishNow(publisher, generation({ 'sub/deep/a': '1' }, { mode: 0o640 }));
    expect(statSync(join(root, 'sub/deep/a')).mode & 0o7777).toBe(0o640);
    for (const folder of ['..data/', 'sub', 'sub/deep'])
      expect(statSync(join(root, folder)).mode & 0o7777).toBe(0o755);
  });

  it('keeps generations for who reads them through their grace time, and no longer', async () => {
    const { root, publisher } = place();
    for (let i = 1; i <= 5; i += 1) await publishNow(publisher, generation({ a: `${i}`, b: `${i}` }));
    const first = hidden(root)
      .map((name) => join(root, name))
      .find((path) => !lstatSync(path).isSymbolicLink() && text(path, 'a') === '1') as string;
    const held = opendirSync(first);
    onTestFinished(() => held.closeSync());
    const open = openSync(join(first, 'b'), 'r');
    publisher.prune(1_000);
    publisher.prune(1_000 + GRACE_MS - 1);
    expect(readdirSync(first).sort()).toEqual(['a', 'b']);
    expect(readFileSync(open, 'utf8')).toBe('1');
    publisher.prune(1_000 + GRACE_MS);
    expect(hidden(root)).toEqual(['..data', readlinkSync(join(root, '..data'))]);
    expect(text(root, 'a')).toBe('5');
  });

  it('removes at a start what was retired long ago, and nothing that may still be read', async () => {
    const { root, publisher } = place();
    for (let i = 1; i <= 3; i += 1) await publishNow(publisher, generation({ a: `${i}` }));
    const folders = hidden(root)
      .filter((name) => name !== '..data')
      .map((name) => join(root, name));
    const holding = (value: string): string => folders.find((path) => text(path, 'a') === value) ?? 'nowhere';
    const [one, two, three] = ['1', '2', '3'].map(holding) as [string, string, string];
    const seconds = Date.now() / 1000;
    // The first was in use until ten minutes ago, the second until a minute ago.
    utimesSync(one, seconds - 1_200, seconds - 1_200);
    utimesSync(two, seconds - 600, seconds - 600);
    utimesSync(three, seconds - 60, seconds - 60);
    publisher.recover();
    expect([one, two, three].map((path) => existsSync(path))).toEqual([false, true, true]);
  });

  it('shows that the link was deleted, and restores it from what is held', async () => {
    const { root, publisher } = place();
    const wanted = generation({ a: '1' });
    await publishNow(publisher, wanted);
    rmSync(join(root, '..data'));
    expect(publisher.isThere()).toBe(false);
    expect(publisher.look().rendering).not.toBe(wanted.rendering);
    await publishNow(publisher, wanted);
    expect(publisher.look().rendering).toBe(wanted.rendering);
    expect(text(root, 'a')).toBe('1');
  });

  it.each<[string, (root: string) => void]>([
    ['a visible name was removed', (root) => rmSync(join(root, 'a'))],
    ['a visible name leads elsewhere', (root) => replaceByLink(join(root, 'a'), '..data/b')],
    ['a name of a file that is not there was added', (root) => symlinkSync('..data/z', join(root, 'z'))],
    ['a file was changed', (root) => writeFileSync(join(root, '..data/a'), 'X')],
    ['a file was removed', (root) => rmSync(join(root, '..data/a'))],
    ['a file was added', (root) => writeFileSync(join(root, '..data/n'), 'X')],
    ['a mode was changed', (root) => chmodSync(join(root, '..data/a'), 0o600)],
    [
      'the generation was removed',
      (root) => rmSync(join(root, readlinkSync(join(root, '..data'))), { recursive: true }),
    ],
    ['a file became a link', (root) => replaceByLink(join(root, '..data/a'), '/etc/passwd')],
  ])('notices when %s, and the next publication mends it', async (_what, damage) => {
    const { root, publisher } = place();
    const wanted = generation({ a: '1', b: '2' });
    await publishNow(publisher, wanted);
    damage(root);
    expect(publisher.look().rendering).not.toBe(wanted.rendering);
    await publishNow(publisher, wanted);
    expect(publisher.look().rendering).toBe(wanted.rendering);
    expect([visible(root), text(root, 'a'), text(root, 'b')]).toEqual([['a', 'b'], '1', '2']);
  });

  it('refuses a directory in the place of the link, and deletes nothing', async () => {
    const { root, publisher } = place();
    await publishNow(publisher, generation({ a: '1' }));
    rmSync(join(root, '..data'));
    mkdirSync(join(root, '..data'));
    writeFileSync(join(root, '..data/foreign'), 'precious');
    const expected = {
      code: 'publish.foreign',
      message: `Cannot publish "${root}/": "..data" in it was not made by config-sidecar. Move it away, or choose an OUTPUT directory of its own.`,
    };
    publisher.recover();
    publisher.prune(0);
    expect(publisher.look()).toMatchObject({ rendering: null, problem: expected });
    expect(await errorOf(() => publishNow(publisher, generation({ a: '2' })))).toEqual(expected);
    expect(text(root, '..data/foreign')).toBe('precious');
  });

  it('refuses to replace foreign files, and never touches those with other names', async () => {
    const { root, publisher } = place();
    for (const name of ['a', 'other']) writeFileSync(join(root, name), 'foreign');
    symlinkSync('/etc', join(root, 'link'));
    expect(await errorOf(() => publishNow(publisher, generation({ a: '1', link: '1', c: '1' })))).toEqual({
      code: 'publish.foreign',
      message: `Cannot publish "${root}/": "a", "link" in it was not made by config-sidecar. Move it away, or choose an OUTPUT directory of its own.`,
    });
    expect(readdirSync(root).sort()).toEqual(['a', 'link', 'other']);
    await publishNow(publisher, generation({ c: '1' }));
    await publishNow(publisher, generation({ d: '1' }));
    publisher.recover();
    expect(visible(root)).toEqual(['a', 'd', 'link', 'other']);
    expect([text(root, 'a'), text(root, 'other'), readlinkSync(join(root, 'link'))]).toEqual([
      'foreign',
      'foreign',
      '/etc',
    ]);
  });

  it.each<[string, (root: string) => void, string, string]>([
    [
      'a symbolic link',
      (root) => symlinkSync(scratch(), root),
      'publish.symbolic-link',
      'it is a symbolic link, which is not followed. Name the directory it points to.',
    ],
    ['missing', () => {}, 'publish.no-directory', 'it does not exist. Create it, or mount the volume there.'],
    [
      'a file',
      (root) => writeFileSync(root, ''),
      'publish.not-a-directory',
      'it is not a directory. Leave out the trailing slash for a file output.',
    ],
  ])('says so when its place is %s', async (_what, prepare, code, reason) => {
    const root = join(scratch(), 'out');
    prepare(root);
    const publisher = openPublisher({ kind: 'directory', path: root }, null);
    const expected = { code, message: `Cannot publish "${root}/": ${reason}` };
    publisher.recover();
    expect(publisher.look()).toMatchObject({ rendering: null, problem: expected });
    expect(await errorOf(() => publishNow(publisher, generation({ a: '1' })))).toEqual(expected);
  });

  it('removes what a crash left behind at a start, and nothing else', async () => {
    const { root, publisher } = place();
    const wanted = generation({ a: '1' });
    await publishNow(publisher, wanted);
    mkdirSync(join(root, '..stage-0123456789ab/sub'), { recursive: true });
    symlinkSync('..gen-gone', join(root, '..link-0123456789ab'));
    const foreign = ['..2026_01_01', '..config-sidecar', 'other'];
    for (const name of foreign) writeFileSync(join(root, name), 'foreign');
    publisher.recover();
    expect(new Set(readdirSync(root))).toEqual(
      new Set(['a', '..data', readlinkSync(join(root, '..data')), ...foreign]),
    );
    expect(publisher.look().rendering).toBe(wanted.rendering);
  });

  it('removes an abandoned stage that is a planted link, not what it points to', () => {
    const { root, publisher } = place();
    const victim = scratch();
    writeFileSync(join(victim, 'file'), 'precious');
    symlinkSync(victim, join(root, '..stage-0123456789ab'));
    publisher.recover();
    expect(readdirSync(root)).toEqual([]);
    expect(text(victim, 'file')).toBe('precious');
  });

  it('finishes names at a start that were half done when it was killed after the swap', async () => {
    const { root, publisher } = place();
    await publishNow(publisher, generation({ a: '1', b: '1' }));
    const old = ['a', 'b'].map((name) => readlinkSync(join(root, name)));
    const wanted = generation({ b: '2', c: '2' });
    await publishNow(publisher, wanted);
    rmSync(join(root, 'c'));
    symlinkSync(old[0] as string, join(root, 'a'));
    expect(publisher.look().rendering).toBe('incomplete');
    publisher.recover();
    expect(visible(root)).toEqual(['b', 'c']);
    expect(publisher.look().rendering).toBe(wanted.rendering);
  });

  it('is held: another directory in its place is an error, and one that was deleted may be made again', async () => {
    const { root, publisher } = place();
    const wanted = generation({ a: '1' });
    await publishNow(publisher, wanted);
    renameSync(root, `${root}-away`);
    onTestFinished(() => rmSync(`${root}-away`, { recursive: true, force: true }));
    mkdirSync(root);
    const expected = {
      code: 'publish.replaced',
      message: `Cannot publish in "${root}": since the start another directory has taken its place, and nothing is written there. Put the first one back, or restart the sidecar to use the new one.`,
    };
    publisher.recover();
    publisher.prune(0);
    expect(publisher.look()).toMatchObject({ rendering: null, problem: expected });
    expect(publisher.isThere()).toBe(false);
    expect(await errorOf(() => publishNow(publisher, wanted))).toEqual(expected);
    expect(readdirSync(root)).toEqual([]);
    rmSync(`${root}-away`, { recursive: true });
    expect(publisher.look()).toEqual({ rendering: null, changedAt: null, problem: null });
    await publishNow(publisher, wanted);
    expect(existsSync(join(root, 'a'))).toBe(true);
  });

  it('is never read through a ..data that leads out of it', async () => {
    const { root, publisher } = place();
    const secret = scratch();
    writeFileSync(join(secret, 'token'), 'secret');
    mkdirSync(join(root, '..gen-0123456789ab'));
    symlinkSync(`..gen-0123456789ab/../../${basename(secret)}`, join(root, '..data'));
    expect(text(root, '..data/token')).toBe('secret');
    publisher.recover();
    expect(visible(root)).toEqual([]);
    expect(publisher.read()).toEqual([]);
    expect(publisher.look().problem).toMatchObject({ code: 'publish.foreign' });
  });

  it('takes files that no generation of ours has for changes by others, and does not read them', async () => {
    const root = scratch();
    const publisher = openPublisher({ kind: 'directory', path: root }, null, 1_024);
    const wanted = generation({ a: '1', 'sub/b': '2' });
    await publishNow(publisher, wanted);
    const damages: readonly (() => void)[] = [
      () => truncateSync(join(root, '..data/a'), 1_800_000_000),
      () => truncateSync(join(root, '..data/sub/b'), 1_025),
      () => void execFileSync('mkfifo', [join(root, '..data/c')]),
    ];
    for (const damage of damages) {
      damage();
      expect(publisher.look()).not.toMatchObject({ rendering: wanted.rendering });
      expect(publisher.look().problem).toBeNull();
      await publishNow(publisher, wanted);
      expect(publisher.look().rendering).toBe(wanted.rendering);
    }
  });

  it('removes only generations with an exact name that belong to its user', { tags: ['root'] }, async () => {
    const { root, publisher } = place();
    await publishNow(publisher, generation({ a: '1' }));
    const names = [
      '..gen-0123456789ab',
      '..gen-0123456789abc',
      '..gen-0123456789AB',
      '..gen-notes',
      '..stage-x',
    ];
    for (const name of names) mkdirSync(join(root, name));
    const [foreign, foreignStage] = ['..gen-ba9876543210', '..stage-ba9876543210'];
    for (const name of [foreign, foreignStage]) {
      mkdirSync(join(root, name));
      chownSync(join(root, name), 1_234, 1_234);
    }
    publisher.recover();
    publisher.prune(0);
    publisher.prune(GRACE_MS);
    await vi.waitFor(() => expect(existsSync(join(root, '..gen-0123456789ab'))).toBe(false));
    for (const name of [...names.slice(1), foreign, foreignStage]) expect(readdirSync(root)).toContain(name);
  });

  it('removes a directory of any depth', async () => {
    const { root, publisher } = place();
    // Deeper than any path can say, and than there are descriptors by default.
    const dig = 'for (let i = 0; i < 1500; i++) { fs.mkdirSync("directory"); process.chdir("directory"); }';
    mkdirSync(join(root, '..stage-0123456789ab'));
    spawnSync(process.execPath, ['-e', dig], { cwd: join(root, '..stage-0123456789ab') });
    publisher.recover();
    await vi.waitFor(() => expect(readdirSync(root)).toEqual([]), { timeout: 20_000 });
  });

  it.each(['sub/file', 'file'])(
    'keeps the group of a set-group-ID volume for %s and its folders',
    { tags: ['root'] },
    async (name) => {
      const { root, publisher } = place();
      chownSync(root, 0, 2_000);
      chmodSync(root, 0o2775);
      await publishNow(publisher, generation({ [name]: '1' }, { mode: 0o640 }));
      const file = statSync(join(root, name));
      expect([file.gid, file.mode & 0o7777]).toEqual([2_000, 0o640]);
      const folder = statSync(join(root, '..data', name, '..'));
      expect([folder.gid, folder.mode & 0o7777]).toEqual([2_000, 0o2755]);
    },
  );

  it('can be empty', async () => {
    const { root, publisher } = place();
    await publishNow(publisher, generation({ a: '1' }));
    const wanted = generation({});
    await publishNow(publisher, wanted);
    expect(visible(root)).toEqual([]);
    expect(publisher.look().rendering).toBe(wanted.rendering);
  });
});
