import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import {
  adopt,
  carriedOut,
  EMPTY_LEDGER,
  intend,
  type Ledger,
  type Published,
  readLedger,
  resolveIntention,
  toldOf,
  writeLedger,
} from '../src/ledger.ts';

const MOMENT = { bootId: 'boot', ticks: 4_711 };

function version(name: string, at: number): Published {
  return {
    revision: `rev-${name}`,
    digest: `digest-${name}`,
    rendering: `sha256:${name}`,
    at,
    input: `input-${name}`,
    moment: null,
  };
}

const A = version('a', 1_000);
const B = version('b', 2_000);
const HOW = { at: 1_500, process: { pid: 7, startTicks: 99 }, evidence: 'answered' } as const;

const INTENDED = intend(EMPTY_LEDGER, A, true);
const PUBLISHED = carriedOut(INTENDED, MOMENT);
const TOLD = toldOf(PUBLISHED, HOW);

function scratch(): string {
  const directory = mkdtempSync(join(tmpdir(), 'ledger-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** A directory with two ledgers: the one before says `INTENDED`, the current one `TOLD`. */
function written(): { readonly directory: string; readonly path: string; readonly bytes: Buffer } {
  const directory = scratch();
  writeLedger(directory, INTENDED);
  writeLedger(directory, TOLD);
  const path = join(directory, 'ledger.json');
  return { directory, path, bytes: readFileSync(path) };
}

describe('the ledger on disk', () => {
  it('is fresh where there is none', () => {
    expect(readLedger(scratch())).toEqual({ ledger: EMPTY_LEDGER, from: 'fresh' });
  });

  it('is read as it was written, for nobody but us to see', () => {
    const { directory, path } = written();
    expect(readLedger(directory)).toEqual({ ledger: TOLD, from: 'current' });
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readdirSync(directory).sort()).toEqual(['ledger.before.json', 'ledger.json']);
  });

  it('cut at any byte gives the one before', () => {
    const { directory, path, bytes } = written();
    // The last byte is a line feed, which nothing depends on.
    for (let length = 0; length < bytes.length - 1; length += 1) {
      writeFileSync(path, bytes.subarray(0, length));
      expect(readLedger(directory), `cut at ${length}`).toEqual({ ledger: INTENDED, from: 'before' });
    }
  });

  it('with any byte of its content changed gives the one before', () => {
    const { directory, path, bytes } = written();
    for (let at = 0; at < bytes.length - 1; at += 1) {
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ 1;
      writeFileSync(path, changed);
      expect(readLedger(directory), `changed at ${at}`).toEqual({ ledger: INTENDED, from: 'before' });
    }
  });

  it.each<[string, string]>([
    ['nothing', ''],
    ['a null', 'null'],
    ['a list', '[]'],
    ['a number', '7'],
    ['zeroes', '\0'.repeat(400)],
    ['another version', '{"version":2,"checksum":"x","ledger":{}}'],
    ['no ledger', '{"version":1,"checksum":"x"}'],
    ['a wrong checksum', `{"version":1,"checksum":"${'0'.repeat(64)}","ledger":{"owed":null}}`],
  ])('that holds %s gives the one before', (_what, text) => {
    const { directory, path } = written();
    writeFileSync(path, text);
    expect(readLedger(directory)).toEqual({ ledger: INTENDED, from: 'before' });
  });

  it('that is gone gives the one before, which is no damage: it was being written', () => {
    const { directory, path } = written();
    rmSync(path);
    expect(readLedger(directory)).toEqual({ ledger: INTENDED, from: 'current' });
  });

  it('is said to be damaged when neither is whole', () => {
    const { directory, path } = written();
    writeFileSync(path, 'x');
    writeFileSync(join(directory, 'ledger.before.json'), 'x');
    expect(readLedger(directory)).toEqual({ ledger: EMPTY_LEDGER, from: 'damaged' });
  });

  it('is not read through a planted link, and not written through one', () => {
    const { directory, path } = written();
    const victim = join(scratch(), 'victim');
    writeLedger(join(victim, '..'), TOLD);
    const other = join(victim, '..', 'ledger.json');
    const before = readFileSync(other);
    rmSync(path);
    symlinkSync(other, path);
    expect(readLedger(directory)).toEqual({ ledger: INTENDED, from: 'before' });
    writeLedger(directory, PUBLISHED);
    expect(readFileSync(other)).toEqual(before);
    expect(readLedger(directory)).toEqual({ ledger: PUBLISHED, from: 'current' });
  });

  it('does not wait for the writer of a planted pipe', () => {
    const { directory, path } = written();
    rmSync(path);
    execFileSync('mkfifo', [path]);
    expect(readLedger(directory)).toEqual({ ledger: INTENDED, from: 'before' });
  });

  it('says why it cannot be written', () => {
    const directory = join(scratch(), 'gone');
    let message = '';
    try {
      writeLedger(directory, TOLD);
    } catch (error) {
      message = String(error);
    }
    // Which system call it was depends on the version of Node.
    expect(message.replace(/directory, \w+ /, 'directory, call ')).toBe(
      `SidecarError: Cannot write the ledger "${directory}/ledger.json": ENOENT: no such file or directory, call '${directory}'. Without it nothing is published, since a reload could be lost.`,
    );
  });

  it('that cannot be written leaves one that can be read', () => {
    const { directory, path } = written();
    const file = Buffer.alloc(10);
    // A directory that is full of one name: the temporary file cannot be renamed over a directory that is not empty.
    rmSync(path);
    execFileSync('mkdir', ['-p', join(path, 'child')]);
    rmSync(join(directory, 'ledger.before.json'));
    execFileSync('mkdir', ['-p', join(directory, 'ledger.before.json', 'child')]);
    writeFileSync(join(directory, 'ledger.before.json', 'child', 'file'), file);
    expect(() => writeLedger(directory, TOLD)).toThrow('Cannot write the ledger');
    expect(readdirSync(directory).sort()).toEqual(['ledger.before.json', 'ledger.json']);
    expect(existsSync(path)).toBe(true);
  });
});

describe('the order', () => {
  it('owes a reload from before the rename until the application was told', () => {
    expect(INTENDED).toEqual({
      ...EMPTY_LEDGER,
      intended: { version: A, owedBefore: false },
      owed: { since: 1_000 },
    });
    expect(PUBLISHED).toEqual({
      generation: 1,
      published: { ...A, moment: MOMENT },
      intended: null,
      owed: { since: 1_000 },
      told: null,
    });
    const { input: _input, moment: _moment, ...shown } = A;
    expect(TOLD).toEqual({ ...PUBLISHED, owed: null, told: { ...HOW, version: shown } });
  });

  it('remembers since when a reload is owed when another publication comes on top', () => {
    const again = carriedOut(intend(PUBLISHED, B, true), MOMENT);
    expect(again).toMatchObject({
      generation: 2,
      published: { rendering: B.rendering },
      owed: { since: 1_000 },
    });
  });

  it('owes nothing where nobody is told', () => {
    expect(intend(PUBLISHED, B, false).owed).toBeNull();
    expect(adopt(EMPTY_LEDGER, A, false).owed).toBeNull();
  });

  it('carries nothing out that was not intended', () => {
    expect(carriedOut(TOLD, MOMENT)).toBe(TOLD);
  });

  it('owes a reload for what is adopted, since nobody knows whether it was told', () => {
    expect(adopt(TOLD, B, true)).toEqual({ ...TOLD, published: B, owed: { since: 2_000 } });
  });
});

const again = intend(TOLD, B, true);
const onTop = intend(PUBLISHED, B, true);

describe('after a crash', () => {
  it.each<[string, Ledger, string | null, Partial<Ledger>]>([
    [
      'before the first rename nothing is owed',
      INTENDED,
      null,
      { published: null, owed: null, generation: 0 },
    ],
    [
      'after the first rename a reload is owed',
      INTENDED,
      A.rendering,
      { generation: 1, owed: { since: 1_000 } },
    ],
    [
      'before a rename nothing is owed when nothing was',
      again,
      A.rendering,
      { published: PUBLISHED.published, owed: null, generation: 1 },
    ],
    [
      'before a rename what was owed stays owed',
      onTop,
      A.rendering,
      { published: PUBLISHED.published, owed: { since: 1_000 }, generation: 1 },
    ],
    ['after a rename a reload is owed', again, B.rendering, { generation: 2, owed: { since: 2_000 } }],
    [
      'with something else on the volume a reload stays owed',
      again,
      'drifted',
      { published: PUBLISHED.published, owed: { since: 2_000 } },
    ],
    [
      'with nothing on the volume a reload stays owed',
      again,
      null,
      { published: PUBLISHED.published, owed: { since: 2_000 } },
    ],
  ])('%s', (_what, ledger, rendering, expected) => {
    expect(resolveIntention(ledger, rendering)).toMatchObject({ ...expected, intended: null });
  });

  it('the rename took place when the volume says so; else nobody is taken to have started after it', () => {
    expect(resolveIntention(INTENDED, A.rendering, MOMENT).published?.moment).toEqual(MOMENT);
    expect(resolveIntention(INTENDED, A.rendering).published?.moment).toEqual({ bootId: null, ticks: null });
  });

  it('a ledger without an intention is left as it is', () => {
    for (const rendering of [A.rendering, 'drifted', null])
      expect(resolveIntention(TOLD, rendering)).toBe(TOLD);
  });

  it('a new field of a later version has its default', () => {
    const directory = scratch();
    const { told: _told, ...old } = TOLD;
    writeLedger(directory, old as Ledger);
    expect(readLedger(directory).ledger).toEqual({ ...old, told: null });
  });
});
