import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { SidecarError } from '../../../src/lib/errors.ts';
import { sleep } from '../../../src/lib/wait.ts';
import type { Content, Provider, ProviderOptions } from '../../../src/source/provider.ts';
import { openTemplate } from '../../../src/source/template-source.ts';
import { openFile } from '../../support/source/open.ts';
import {
  describeProviderLaw,
  type Follower,
  failureOf,
  follow,
  providerOptions,
  snapshotOf,
  textOf,
} from '../../support/source/provider-contract.ts';

const NEVER = new AbortController().signal;

let directory = '';
let path = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'file-provider-'));
  path = join(directory, 'app.json');
});
afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

/** The interval is so long that only the watch can bring what a test waits for. */
function open(url: string, overrides: Partial<ProviderOptions> = {}): Provider {
  return openFile(url, providerOptions({ updateFrequencyMs: 600_000, ...overrides }));
}

describeProviderLaw(
  'file',
  async () => {
    const own = mkdtempSync(join(tmpdir(), 'file-law-'));
    const file = join(own, 'app.json');
    const put = async (text: string): Promise<void> => {
      writeFileSync(`${file}.next`, text);
      renameSync(`${file}.next`, file);
    };
    return {
      open: (overrides) => openFile(file, providerOptions(overrides)),
      put,
      empty: () => put(''),
      openUnreachable: (overrides) => openFile(join(own, 'none', 'app.json'), providerOptions(overrides)),
      secrets: [],
      stop: async () => rmSync(own, { recursive: true }),
    };
  },
  { network: false },
);

async function expectFailure(provider: Provider, code: string, message: string): Promise<SidecarError> {
  const error = await failureOf(provider);
  expect({ code: error.code, message: error.message, stage: error.stage }).toEqual({
    code,
    message,
    stage: 'source',
  });
  return error;
}

async function firstContent(provider: Provider): Promise<Content> {
  const follower = follow(provider);
  const { content } = snapshotOf(await follower.next());
  await follower.stop();
  return content;
}

function treeOf(content: Content): Record<string, string | undefined> {
  if (content.kind !== 'tree') throw new Error(`Expected a tree, got "${content.kind}"`);
  return Object.fromEntries(content.entries.map(({ key, value }) => [key, Buffer.from(value).toString()]));
}

/** Everything the watch yields as text, in order, until `last` comes. */
async function textsUntil(follower: Follower, last: string): Promise<(string | null)[]> {
  const seen: (string | null)[] = [];
  await follower.until((content) => {
    seen.push(textOf(content));
    return seen.at(-1) === last;
  });
  return seen;
}

describe('a file', () => {
  it('is a document with its name, and the part the fragment says', async () => {
    writeFileSync(path, '{"a":1}');
    const expected = { kind: 'document', bytes: Buffer.from('{"a":1}'), name: 'app.json', contentType: null };
    expect(await firstContent(open(path))).toEqual({ ...expected, pointer: null });
    expect(await firstContent(open(`file://${path}`))).toEqual({ ...expected, pointer: null });
    expect(await firstContent(open(`file://${path}#/data/a%20b`))).toEqual({
      ...expected,
      pointer: '/data/a b',
    });
    expect(await firstContent(open(`${path}#/data/a%20b`))).toEqual({ ...expected, pointer: '/data/a%20b' });
    const local = `./${relative(process.cwd(), path)}`;
    expect(await firstContent(open(local))).toEqual({ ...expected, pointer: null });
    expect(open(local).source).toBe(path);
  });

  it('may have a name with odd characters', async () => {
    const odd = join(directory, 'ä #1 100%.json');
    writeFileSync(odd, 'odd');
    expect(textOf(await firstContent(open(odd)))).toBe('odd');
    expect(textOf(await firstContent(open(`file://${directory}/%C3%A4%20%231%20100%25.json`)))).toBe('odd');
  });

  it('is seen at every way editors and programs write it, once each', async () => {
    writeFileSync(path, 'start');
    const follower = follow(open(path));
    await follower.next();
    const ways: Readonly<Record<string, (text: string) => void>> = {
      rename: (text) => {
        writeFileSync(`${path}.new`, text);
        renameSync(`${path}.new`, path);
      },
      'truncate and write': (text) => writeFileSync(path, text),
      'write in place': (text) => writeFileSync(path, text, { flag: 'r+' }),
      'delete and create': (text) => {
        unlinkSync(path);
        writeFileSync(path, text);
      },
      'backup by rename, then create': (text) => {
        renameSync(path, `${path}~`);
        writeFileSync(path, text);
      },
    };
    for (let round = 0; round < 3; round++) {
      for (const [way, write] of Object.entries(ways)) {
        const text = `${way}, round ${round}`.padEnd(50);
        write(text);
        expect(await textsUntil(follower, text)).toEqual([text]);
      }
    }
    await follower.stop();
  });

  it('is not taken half-written: truncated, then written slowly', async () => {
    writeFileSync(path, 'before');
    const follower = follow(open(path));
    await follower.next();
    const seeing = textsUntil(follower, 'first second third');
    const file = openSync(path, 'w');
    await sleep(60, NEVER);
    for (const part of ['first ', 'second ', 'third']) writeSync(file, part);
    closeSync(file);
    expect(await seeing).toEqual(['first second third']);
    await follower.stop();
  });

  it('is not taken half-written: in parts, one shortly after the other', async () => {
    writeFileSync(path, 'before');
    const follower = follow(open(path));
    await follower.next();
    const seeing = textsUntil(follower, 'first second third');
    const file = openSync(path, 'w');
    for (const part of ['first ', 'second ', 'third']) {
      writeSync(file, part);
      await sleep(5, NEVER);
    }
    closeSync(file);
    expect(await seeing).toEqual(['first second third']);
    await follower.stop();
  });

  it('is nothing once it has stayed empty', async () => {
    writeFileSync(path, 'before');
    const follower = follow(open(path));
    await follower.next();
    const startedMs = performance.now();
    writeFileSync(path, '');
    await follower.until((content) => content.kind === 'nothing');
    expect(performance.now() - startedMs).toBeGreaterThanOrEqual(190);
    await follower.stop();
  });

  it('that is missing at first is seen when it comes, and every edit after', async () => {
    const provider = open(path);
    const reason = 'there is nothing; it is followed once it is there';
    const error = await expectFailure(provider, 'source.not-found', `Cannot read file "${path}": ${reason}`);
    expect(error.retryAfterMs).toBe(100);
    const follower = follow(provider);
    const first = follower.next();
    await sleep(300, NEVER);
    writeFileSync(path, 'one');
    expect(textOf(snapshotOf(await first).content)).toBe('one');
    for (const text of ['two', 'three']) {
      writeFileSync(path, text);
      expect(await textsUntil(follower, text)).toEqual([text]);
    }
    await follower.stop();
  });

  it('that stays missing is an error again at the end of the time-out, and not sooner', async () => {
    const provider = open(path, { fetchTimeoutMs: 400 });
    await failureOf(provider);
    const startedMs = performance.now();
    expect((await failureOf(provider)).code).toBe('source.not-found');
    expect(performance.now() - startedMs).toBeGreaterThanOrEqual(390);
  });

  it('is found again in a directory that is removed, moved away or made again', async () => {
    const nested = join(directory, 'a', 'b');
    const file = join(nested, 'app.json');
    mkdirSync(nested, { recursive: true });
    writeFileSync(file, 'old');
    const provider = open(file);
    await expectFollowed(provider, 'old');
    for (const removeIt of [
      () => rmSync(join(directory, 'a'), { recursive: true }),
      () => renameSync(nested, `${nested}.moved`),
      () => rmSync(nested, { recursive: true }),
    ]) {
      const follower = follow(provider);
      await follower.next();
      removeIt();
      mkdirSync(nested, { recursive: true });
      const text = String(removeIt);
      writeFileSync(file, text);
      await follower.until((content) => textOf(content) === text);
      writeFileSync(file, 'old');
      await follower.until((content) => textOf(content) === 'old');
      await follower.stop();
    }
  });

  async function expectFollowed(provider: Provider, text: string): Promise<void> {
    expect(textOf(await firstContent(provider))).toBe(text);
  }

  it('is followed through links into other directories, wherever the change is', async () => {
    const other = join(directory, 'other');
    mkdirSync(other);
    mkdirSync(join(directory, 'links'));
    writeFileSync(join(other, 'real.json'), 'one');
    writeFileSync(join(other, 'second.json'), 'other file');
    symlinkSync('../other/real.json', join(directory, 'links', 'middle.json'));
    symlinkSync('links/middle.json', path);
    const follower = follow(open(path));
    await follower.next();
    writeFileSync(join(other, 'real.json'), 'two');
    await follower.until((content) => textOf(content) === 'two');
    symlinkSync('../other/second.json', join(directory, 'links', 'next'));
    renameSync(join(directory, 'links', 'next'), join(directory, 'links', 'middle.json'));
    await follower.until((content) => textOf(content) === 'other file');
    await follower.stop();
  });

  it('that changes without changing its times is found at the next interval', async () => {
    writeFileSync(path, 'same size 1');
    const follower = follow(open(path, { updateFrequencyMs: 200 }));
    await follower.next();
    const times = new Date(1_000_000_000_000);
    utimesSync(path, times, times);
    writeFileSync(path, 'same size 2', { flag: 'r+' });
    utimesSync(path, times, times);
    await follower.until((content) => textOf(content) === 'same size 2');
    expect(await follower.next()).toEqual({ kind: 'same' });
    await follower.stop();
  });

  it('that keeps changing is an error with a way out', async () => {
    writeFileSync(path, 'x');
    const writer = spawn('sh', ['-c', `while :; do printf x >>'${path}'; done`], { stdio: 'ignore' });
    const exited = once(writer, 'exit');
    const follower = follow(open(path, { fetchTimeoutMs: 100 }));
    // A writer that the machine lets wait may be taken for one that has finished.
    const untilError = async (): Promise<never> => {
      for (;;) await follower.next();
    };
    try {
      const reason = 'it kept changing for 100 ms; replace it by renaming a finished file over it';
      await expect(untilError()).rejects.toMatchObject({
        code: 'source.unstable',
        message: `Cannot read file "${path}": ${reason}`,
      });
    } finally {
      writer.kill('SIGKILL');
      await exited;
    }
  });

  it('does not wake for its neighbours', async () => {
    writeFileSync(path, 'quiet');
    const follower = follow(open(path));
    await follower.next();
    const waiting = follower.next();
    for (let round = 0; round < 50; round++) {
      writeFileSync(join(directory, `neighbour-${round}`), 'noise');
      await sleep(1, NEVER);
    }
    writeFileSync(path, 'changed');
    expect(textOf(snapshotOf(await waiting).content)).toBe('changed');
    await follower.stop();
  });

  it('larger than allowed is refused without being read', async () => {
    execFileSync('truncate', ['-s', '8T', path]);
    const reason = 'it is larger than 1000 bytes (MAX_SIZE)';
    await expectFailure(
      open(path, { maxBytes: 1_000 }),
      'source.too-large',
      `Cannot read file "${path}": ${reason}`,
    );
  });

  it('that is a pipe or a device is refused, and not waited for', async () => {
    const pipe = join(directory, 'pipe');
    execFileSync('mkfifo', [pipe]);
    for (const odd of [pipe, '/dev/zero']) {
      const reason = 'it is neither a regular file nor a directory';
      await expectFailure(open(odd), 'source.wrong-type', `Cannot read file "${odd}": ${reason}`);
    }
  });

  it('that may not be read is denied', () => {
    writeFileSync(path, 'private');
    chmodSync(path, 0o000);
    const reason = 'permission denied; make it readable for this user';
    return asNobody(() =>
      expectFailure(open(path), 'source.denied', `Cannot read file "${path}": ${reason}`),
    );
  });
});

/** Root may read everything: so the test runs as another user. */
async function asNobody(run: () => Promise<unknown>): Promise<void> {
  const isRoot = process.geteuid?.() === 0;
  chmodSync(directory, 0o755);
  if (isRoot) process.seteuid?.(65_534);
  try {
    await run();
  } finally {
    if (isRoot) process.seteuid?.(0);
  }
}

describe('a directory', () => {
  it('is a tree of the files below it, without foreign entries', async () => {
    mkdirSync(join(directory, 'db', 'deep'), { recursive: true });
    const left = ['.app.json.swp', 'app.json~', '.#app.json', '#app.json#', 'x.tmp', '..secret'];
    for (const name of left) writeFileSync(join(directory, name), 'no');
    writeFileSync(join(directory, 'db', 'deep', 'host'), 'localhost');
    writeFileSync(join(directory, '.hidden'), '');
    writeFileSync(path, '{}');
    execFileSync('mkfifo', [join(directory, 'pipe')]);
    symlinkSync('..', join(directory, 'db', 'round'));
    expect(treeOf(await firstContent(open(`${directory}/`)))).toEqual({
      '.hidden': '',
      'app.json': '{}',
      'db/deep/host': 'localhost',
    });
  });

  it('is followed in all its depth, also in what is made later', async () => {
    writeFileSync(path, '1');
    const follower = follow(open(directory));
    await follower.next();
    const deep = join(directory, 'a', 'b', 'c');
    mkdirSync(deep, { recursive: true });
    writeFileSync(join(deep, 'key'), 'one');
    await follower.until((content) => treeOf(content)['a/b/c/key'] === 'one');
    writeFileSync(join(deep, 'key'), 'two');
    await follower.until((content) => treeOf(content)['a/b/c/key'] === 'two');
    rmSync(join(directory, 'a'), { recursive: true });
    await follower.until((content) => treeOf(content)['a/b/c/key'] === undefined);
    rmSync(path);
    await follower.until((content) => content.kind === 'nothing');
    await follower.stop();
  });

  it('does not lose a file that is deleted and made again', async () => {
    writeFileSync(path, '1');
    writeFileSync(join(directory, 'other'), 'stays');
    const follower = follow(open(directory));
    await follower.next();
    unlinkSync(path);
    await sleep(60, NEVER);
    writeFileSync(path, '2');
    const next = await follower.nextSnapshot();
    expect(treeOf(next.content)).toEqual({ 'app.json': '2', other: 'stays' });
    await follower.stop();
  });

  it('has no part for a fragment to name', async () => {
    writeFileSync(path, '1');
    const reason = 'it is a directory, and "#/a" is a part of a document';
    await expectFailure(
      open(`${directory}#/a`),
      'source.wrong-type',
      `Cannot read file "${directory}#/a": ${reason}`,
    );
  });

  it('with a link that leads nowhere is an error, not a tree with a key less', async () => {
    writeFileSync(path, '1');
    symlinkSync('nowhere', join(directory, 'link'));
    const reason = `there is nothing at "${join(directory, 'link')}"; it is followed once it is there`;
    await expectFailure(open(directory), 'source.not-found', `Cannot read file "${directory}": ${reason}`);
  });

  it('whose names alone are larger than allowed is refused', async () => {
    for (const name of ['a', 'b', 'c', 'd', 'e']) writeFileSync(join(directory, name.repeat(250)), '');
    const reason = 'it is larger than 1000 bytes (MAX_SIZE)';
    await expectFailure(
      open(directory, { maxBytes: 1_000 }),
      'source.too-large',
      `Cannot read file "${directory}": ${reason}`,
    );
  });

  it('larger than allowed in all is refused', async () => {
    for (const name of ['a', 'b', 'c']) writeFileSync(join(directory, name), 'x'.repeat(400));
    const reason = 'it is larger than 1000 bytes (MAX_SIZE)';
    await expectFailure(
      open(directory, { maxBytes: 1_000 }),
      'source.too-large',
      `Cannot read file "${directory}": ${reason}`,
    );
  });
});

describe('a mounted ConfigMap', () => {
  /** As the kubelet does it: a new directory, a new link beside `..data`, renamed over it, the old directory removed. */
  function publish(generation: number): void {
    const name = `..gen-${generation}`;
    mkdirSync(join(directory, name));
    for (const key of ['a', 'b']) writeFileSync(join(directory, name, key), String(generation));
    symlinkSync(name, join(directory, '..data_tmp'));
    renameSync(join(directory, '..data_tmp'), join(directory, '..data'));
    if (generation > 0) rmSync(join(directory, `..gen-${generation - 1}`), { recursive: true });
    else for (const key of ['a', 'b']) symlinkSync(`..data/${key}`, join(directory, key));
  }

  it('is followed as a directory over ten swaps, each of one generation', async () => {
    publish(0);
    const follower = follow(open(directory));
    expect(treeOf(snapshotOf(await follower.next()).content)).toEqual({ a: '0', b: '0' });
    for (let generation = 1; generation <= 10; generation++) {
      publish(generation);
      const { content } = await follower.nextSnapshot();
      expect(treeOf(content)).toEqual({ a: String(generation), b: String(generation) });
    }
    await follower.stop();
  });

  it('is never seen in half, however fast another process swaps it', async () => {
    publish(0);
    const follower = follow(open(directory));
    const mixed: Record<string, string | undefined>[] = [];
    const seeing = follower.until((content) => {
      const { a, b } = treeOf(content);
      if (a !== b) mixed.push(treeOf(content));
      return a === '200';
    });
    const swap = 'mkdir ..gen-$i; printf $i >..gen-$i/a; printf $i >..gen-$i/b; ln -s ..gen-$i ..data_tmp';
    const loop = `for i in $(seq 200); do ${swap}; mv -T ..data_tmp ..data; rm -r ..gen-$((i - 1)); done`;
    const writer = spawn('sh', ['-c', loop], { cwd: directory, stdio: 'ignore' });
    const exited = once(writer, 'exit');
    await seeing;
    await exited;
    expect(mixed).toEqual([]);
    await follower.stop();
  });

  it('is what its generation holds, whatever links to others are still there', async () => {
    publish(0);
    symlinkSync('..data/removed', join(directory, 'removed'));
    expect(treeOf(await firstContent(open(directory)))).toEqual({ a: '0', b: '0' });
  });

  it('is followed as one file of it over ten swaps', async () => {
    publish(0);
    const follower = follow(open(join(directory, 'a')));
    await follower.next();
    for (let generation = 1; generation <= 10; generation++) {
      publish(generation);
      expect(await textsUntil(follower, String(generation))).toEqual([String(generation)]);
    }
    await follower.stop();
  });
});

describe('a template', () => {
  const options = { updateFrequencyMs: 600_000, fetchTimeoutMs: 10_000, maxBytes: 1_000_000 };

  it('brings itself and the templates in and below its directory', async () => {
    const template = join(directory, 'nginx.conf.tpl');
    mkdirSync(join(directory, 'parts', 'deep'), { recursive: true });
    mkdirSync(join(directory, 'node_modules'));
    writeFileSync(template, 'main');
    writeFileSync(join(directory, 'other.txt'), 'no template');
    writeFileSync(join(directory, 'node_modules', 'x.liquid'), 'not ours');
    writeFileSync(join(directory, 'parts', 'deep', 'server.liquid'), 'server');
    symlinkSync('nowhere', join(directory, 'dangling'));
    const follower = follow(openTemplate(template, options));
    const { content } = snapshotOf(await follower.next());
    expect(treeOf(content)).toEqual({ 'nginx.conf.tpl': 'main', 'parts/deep/server.liquid': 'server' });
    writeFileSync(join(directory, 'parts', 'deep', 'server.liquid'), 'changed');
    await follower.until((next) => treeOf(next)['parts/deep/server.liquid'] === 'changed');
    writeFileSync(template, 'changed too');
    await follower.until((next) => treeOf(next)['nginx.conf.tpl'] === 'changed too');
    await follower.stop();
  });

  it('may be a directory, all of whose files count', async () => {
    writeFileSync(join(directory, 'a.conf.liquid'), 'a');
    writeFileSync(join(directory, 'static.txt'), 'as it is');
    expect(treeOf(await firstContent(openTemplate(directory, options)))).toEqual({
      'a.conf.liquid': 'a',
      'static.txt': 'as it is',
    });
  });

  it('that is missing is an error that names it', async () => {
    const missing = join(directory, 'none.liquid');
    const reason = 'there is nothing; it is followed once it is there';
    await expectFailure(
      openTemplate(missing, options),
      'source.not-found',
      `Cannot read template "${missing}": ${reason}`,
    );
  });
});
