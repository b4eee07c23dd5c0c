// A file source in the long run, under the loop that follows it: what cannot be read is found again once it is mended,
// what comes without an event is found all the same, and nothing half-written is read.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  closeSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { sleep } from '../../../src/lib/wait.ts';
import { type Followed, followOne } from '../../../src/source/follower.ts';
import type { Content, ProviderOptions } from '../../../src/source/provider.ts';
import { compile } from '../../support/publish/programs.ts';
import { openFile } from '../../support/source/open.ts';
import { providerOptions, textOf } from '../../support/source/provider-contract.ts';

const NEVER = new AbortController().signal;
const IN_TIME = { timeout: 20_000, interval: 5 };

let directory = '';
let path = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'file-running-'));
  path = join(directory, 'app.json');
  return () => rmSync(directory, { recursive: true, force: true });
});

interface Running {
  readonly followed: Followed;
  /** Every snapshot as text, in order. */
  readonly texts: readonly (string | null)[];
}

/** The interval is so long that only the watch can bring what a test waits for. */
function run(url: string, overrides: Partial<ProviderOptions> = {}, toText = textOf): Running {
  const provider = openFile(url, providerOptions({ updateFrequencyMs: 600_000, ...overrides }));
  const ending = new AbortController();
  const texts: (string | null)[] = [];
  const followed = followOne(provider, {
    signal: ending.signal,
    now: Date.now,
    random: Math.random,
    onNews: ({ snapshot }, news) => {
      if (news === 'snapshot' && snapshot !== null) texts.push(toText(snapshot.content));
    },
  });
  onTestFinished(async () => {
    ending.abort();
    await followed.done;
  });
  return { followed, texts };
}

function replace(text: string): void {
  writeFileSync(`${path}.next`, text);
  renameSync(`${path}.next`, path);
}

// A stream of changes puts off nothing for ever.
it('reads files that replace one another quickly, each whole, and the last one', async () => {
  const { texts, followed } = run(path);
  for (let i = 1; i <= 60; i++) {
    replace(`${i} ${'x'.repeat(100_000)} ${i}`);
    await sleep(40, NEVER);
  }
  const during = texts.length;
  await expect.poll(() => texts.at(-1)?.split(' ').at(0), IN_TIME).toBe('60');
  expect(during).toBeGreaterThan(3);
  for (const text of texts) expect(text?.split(' ').at(0)).toBe(text?.split(' ').at(-1));
  expect(followed.state().error).toBeNull();
});

describe('what cannot be read', () => {
  it('is read as soon as it is repaired, for each kind of fault and repeatedly', async () => {
    replace('0');
    const { followed, texts } = run(path, { maxBytes: 1_000 });
    await expect.poll(() => texts.at(-1), IN_TIME).toBe('0');
    const troubles: Readonly<Record<string, readonly [make: () => void, mend: () => void]>> = {
      'source.not-found': [() => unlinkSync(path), () => undefined],
      'source.too-large': [() => truncateSync(path, 2_000), () => undefined],
      'source.wrong-type': [
        () => {
          unlinkSync(path);
          symlinkSync('/dev/zero', path);
        },
        () => unlinkSync(path),
      ],
    };
    for (let round = 0; round < 2; round++) {
      for (const [code, [make, mend]] of Object.entries(troubles)) {
        make();
        await expect.poll(() => followed.state().error?.code, IN_TIME).toBe(code);
        const text = `${code} ${round}`;
        mend();
        replace(text);
        const startedMs = performance.now();
        await expect.poll(() => texts.at(-1), IN_TIME).toBe(text);
        expect(followed.state().error).toBeNull();
        // Not after a delay that has grown with the number of the outages.
        expect(performance.now() - startedMs).toBeLessThan(5_000);
      }
    }
  });

  it('for want of rights is read as soon as they are given', async () => {
    writeFileSync(path, 'private');
    const isRoot = process.geteuid?.() === 0;
    chmodSync(directory, 0o777);
    chmodSync(path, 0o000);
    // Root may read everything: so the test runs as another user.
    if (isRoot) process.seteuid?.(65_534);
    try {
      const { followed, texts } = run(path);
      await expect.poll(() => followed.state().errors['source.denied'], IN_TIME).toBe(1);
      if (isRoot) process.seteuid?.(0);
      chmodSync(path, 0o644);
      await expect.poll(() => texts, IN_TIME).toEqual(['private']);
    } finally {
      if (isRoot) process.seteuid?.(0);
    }
  });

  it('keeps what there was, through ten removals of its directory', async () => {
    const place = join(directory, 'place');
    path = join(place, 'app.json');
    mkdirSync(place);
    replace('start');
    const { followed, texts } = run(path);
    await expect.poll(() => texts.at(-1), IN_TIME).toBe('start');
    for (let round = 0; round < 10; round++) {
      rmSync(place, { recursive: true });
      if (round % 2 === 0) {
        await expect.poll(() => followed.state().error?.code, IN_TIME).toBe('source.not-found');
        expect(followed.state().snapshot).not.toBeNull();
      }
      mkdirSync(place);
      replace(`round ${round}`);
      await expect.poll(() => texts.at(-1), IN_TIME).toBe(`round ${round}`);
    }
    expect(texts).toEqual(['start', ...Array.from({ length: 10 }, (_, round) => `round ${round}`)]);
  });
});

describe('a file that is being written', () => {
  const LINES = Array.from({ length: 12 }, (_, line) => `line: ${line}\n`);

  /** Writes line by line; gives the longest time between two lines, in milliseconds. */
  async function writeSlowly(pauseMs: number): Promise<number> {
    const file = openSync(path, 'w');
    let [lastMs, longestMs] = [performance.now(), 0];
    for (const line of LINES) {
      writeSync(file, line);
      longestMs = Math.max(longestMs, performance.now() - lastMs);
      lastMs = performance.now();
      while (performance.now() < lastMs + pauseMs) await new Promise((resolve) => setImmediate(resolve));
    }
    closeSync(file);
    return longestMs;
  }

  it.each([
    ['over one that was there', () => replace('before')],
    ['where none was', () => undefined],
  ])('with short pauses, %s, is not taken before its end', async (_name, prepare) => {
    // A machine that lets us stand for longer than the pause we wait for proves nothing: the next round may.
    for (let longestMs = Number.POSITIVE_INFINITY; longestMs > 80; ) {
      rmSync(path, { force: true });
      prepare();
      const { followed, texts } = run(path);
      await expect.poll(() => texts.length + Object.keys(followed.state().errors).length, IN_TIME).toBe(1);
      const before = texts.length;
      longestMs = await writeSlowly(40);
      await expect.poll(() => texts.at(-1), IN_TIME).toBe(LINES.join(''));
      if (longestMs <= 80) expect(texts.slice(before)).toEqual([LINES.join('')]);
    }
  });
});

describe('a change without an event', () => {
  // As on file systems without inotify: the directory that is watched hears nothing of a write through another name.
  it('is found at the next interval', async () => {
    const elsewhere = join(directory, 'elsewhere');
    const place = join(directory, 'place');
    mkdirSync(elsewhere);
    mkdirSync(place);
    path = join(place, 'app.json');
    writeFileSync(path, 'told 0');
    linkSync(path, join(elsewhere, 'other-name'));
    const slow = run(path);
    const fast = run(path, { updateFrequencyMs: 300 });
    await expect.poll(() => [slow.texts, fast.texts], IN_TIME).toEqual([['told 0'], ['told 0']]);
    for (const text of ['silent 1', 'silent 2']) {
      writeFileSync(join(elsewhere, 'other-name'), text);
      await expect.poll(() => fast.texts.at(-1), IN_TIME).toBe(text);
    }
    // The proof that it was the interval: without one there was no word of it.
    expect(slow.texts).toEqual(['told 0']);
    slow.followed.sync();
    await expect.poll(() => slow.texts.at(-1), IN_TIME).toBe('silent 2');
  });

  // The limits of a user namespace of its own, lowered to nothing: this is what a node with too many pods is like.
  it.each([
    ['instances', 'EMFILE'],
    ['watches', 'ENOSPC'],
  ])(
    'because all inotify %s are used up is found within seconds, and what is missing is waited for',
    async (what, errno) => {
      const program = compile('providers/following-program.ts');
      onTestFinished(program.remove);
      const limit = `/proc/sys/user/max_inotify_${what}`;
      const script = `set -e; echo 0 >${limit}; exec "$@"`;
      const args = ['--user', '--map-root-user', 'sh', '-c', script, 'sh', process.execPath, program.path];
      const child = spawn('unshare', [...args, path, '600000'], { stdio: ['ignore', 'pipe', 'inherit'] });
      onTestFinished(() => end(child));
      const lines: unknown[] = [];
      createInterface({ input: child.stdout }).on('line', (line) => lines.push(JSON.parse(line)));
      const said = (): unknown => lines.at(-1);
      await expect
        .poll(() => lines, IN_TIME)
        .toEqual([{ watchFailure: errno }, { down: 'source.not-found' }]);
      replace('one');
      await expect.poll(said, IN_TIME).toEqual({ text: 'one' });
      replace('two');
      await expect.poll(said, IN_TIME).toEqual({ text: 'two' });
      writeFileSync(path, 'three, in place');
      await expect.poll(said, IN_TIME).toEqual({ text: 'three, in place' });
      unlinkSync(path);
      await expect.poll(said, IN_TIME).toEqual({ down: 'source.not-found' });
      replace('four');
      await expect.poll(said, IN_TIME).toEqual({ text: 'four' });
    },
  );
});

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  await once(child, 'exit');
}

describe('a directory that is replaced', () => {
  const treeText = (content: Content): string | null =>
    content.kind !== 'tree'
      ? null
      : content.entries.map(({ key, value }) => `${key}=${Buffer.from(value).toString()}`).join(' ');

  it('in its layout, from plain files to a ..data link and back, is followed all the way', async () => {
    const place = join(directory, 'place');
    const plain = (at: string, text: string): void => {
      mkdirSync(at);
      writeFileSync(join(at, 'key'), text);
    };
    const linked = (at: string, text: string): void => {
      mkdirSync(join(at, '..gen'), { recursive: true });
      writeFileSync(join(at, '..gen', 'key'), text);
      symlinkSync('..gen', join(at, '..data'));
      symlinkSync('..data/key', join(at, 'key'));
    };
    plain(place, '0');
    const { texts } = run(place, {}, treeText);
    await expect.poll(() => texts, IN_TIME).toEqual(['key=0']);
    for (const [round, make] of [linked, plain, linked, linked, plain].entries()) {
      const next = join(directory, `next-${round}`);
      make(next, `${round + 1}`);
      renameSync(place, join(directory, `old-${round}`));
      renameSync(next, place);
      await expect.poll(() => texts.at(-1), IN_TIME).toBe(`key=${round + 1}`);
    }
    expect(texts).toEqual(['key=0', 'key=1', 'key=2', 'key=3', 'key=4', 'key=5']);
  });

  it('of which a file is replaced while another is missing keeps what it had until it is whole', async () => {
    const place = join(directory, 'place');
    mkdirSync(place);
    writeFileSync(join(place, 'a'), '1');
    symlinkSync('a', join(place, 'b'));
    const { followed, texts } = run(place, {}, treeText);
    await expect.poll(() => texts, IN_TIME).toEqual(['a=1 b=1']);
    unlinkSync(join(place, 'a'));
    await expect.poll(() => followed.state().error?.code, IN_TIME).toBe('source.not-found');
    await sleep(50, NEVER);
    writeFileSync(join(place, 'a'), '2');
    await expect.poll(() => texts.at(-1), IN_TIME).toBe('a=2 b=2');
    expect(texts).toHaveLength(2);
  });
});
