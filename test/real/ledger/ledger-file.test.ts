import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { EMPTY_LEDGER, type Ledger, type Published } from '../../../src/ledger/ledger.ts';
import { readLedger, writeLedger } from '../../../src/ledger/ledger-file.ts';
import { LedgerSlots } from '../../../src/ledger/ledger-slots.ts';
import { carryOut, intend, markNotified } from '../../../src/ledger/transitions.ts';
import { writeLedgerOnce } from '../../support/ledger/writing.ts';
import { scratch } from '../../support/publish/scratch.ts';

const A: Published = {
  revision: 'rev-a',
  digest: 'digest-a',
  rendering: 'sha256:a',
  at: 1_000,
  input: 'input-a',
  moment: null,
  as: 'desired',
};
const INTENDED = intend(EMPTY_LEDGER, A, true);
const PUBLISHED = carryOut(INTENDED, { bootId: 'boot', ticks: 4_711 });
const PROCESS = { pid: 7, startTicks: 99 };
const TOLD = markNotified(PUBLISHED, {
  ...{ process: PROCESS, how: 'told', restarts: false, children: [], evidence: ['answered'] },
  ...{ at: 1_510, notBefore: 1_500, moment: { bootId: 'boot', ticks: 4_712 } },
});
const VERSION = { revision: 'r', digest: 'd', rendering: 'x', at: 1 };
/** A process that is killed leaves its socket behind. */
const leaveSocket = (path: string): void => {
  const program =
    'require("net").createServer().listen(process.argv[1], () => process.kill(process.pid, "SIGKILL"))';
  spawnSync(process.execPath, ['-e', program, path]);
};
const BEFORE = { ledger: INTENDED, sequence: 1, from: 'before' } as const;

/** A directory with two ledgers: the one before says `INTENDED`, the current one, at `path`, `TOLD`. */
function written(): { readonly directory: string; readonly path: string; readonly bytes: Buffer } {
  const directory = scratch();
  writeLedgerOnce(directory, TOLD, { sequence: writeLedgerOnce(directory, INTENDED, { sequence: 0 }) });
  const path = join(directory, 'ledger.0.json');
  return { directory, path, bytes: readFileSync(path) };
}

describe('the ledger on disk', () => {
  it('is fresh where there is none', () => {
    expect(readLedger(scratch())).toEqual({ ledger: EMPTY_LEDGER, sequence: 0, from: 'fresh' });
  });

  it('is read as it was written, and only this user can read it', () => {
    const { directory, path } = written();
    expect(readLedger(directory)).toEqual({ ledger: TOLD, sequence: 2, from: 'current' });
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readdirSync(directory).sort()).toEqual(['ledger.0.json', 'ledger.1.json']);
  });

  it('cut at any byte gives the one before', () => {
    const { directory, path, bytes } = written();
    // What follows are blanks up to the end of a block and a line feed, which nothing depends on.
    const { length: end } = bytes.toString('latin1').trimEnd();
    for (let length = 0; length < end; length += 1) {
      writeFileSync(path, bytes.subarray(0, length));
      expect(readLedger(directory), `cut at ${length}`).toEqual(BEFORE);
    }
  });

  it('fills whole blocks, so that a flush has no new size to write', () => {
    const { directory, bytes } = written();
    expect(bytes.length).toBe(4096);
    const kept = Array.from({ length: 40 }, (_, generation) => ({ ...A, generation, confirmedAt: 1_000 }));
    writeLedgerOnce(directory, { ...TOLD, kept }, { sequence: 2 });
    const { size } = statSync(join(directory, 'ledger.1.json'));
    expect([size % 4096, size > 4096]).toEqual([0, true]);
    writeLedgerOnce(directory, TOLD, { sequence: 4 });
    expect(statSync(join(directory, 'ledger.1.json')).size).toBe(4096);
    expect(readLedger(directory)).toMatchObject({ ledger: TOLD, sequence: 5 });
  });

  it('goes to the file at the name of an open slot, whatever has taken its place', () => {
    const { directory } = written();
    const slots = new LedgerSlots();
    onTestFinished(() => slots.release());
    const path = join(directory, 'ledger.1.json');
    const write = (): number => writeLedger(directory, PUBLISHED, { sequence: 2, slots });
    write();
    const { ino } = statSync(path);
    write();
    expect(statSync(path).ino).toBe(ino);
    const takePlace = [
      () => rmSync(path),
      () => renameSync(path, join(directory, 'moved')),
      () => linkSync(path, join(directory, 'linked')),
      () => chmodSync(path, 0o644),
      () => {
        rmSync(path);
        symlinkSync(join(directory, 'moved'), path);
      },
    ];
    for (const take of takePlace) {
      take();
      write();
      const { mode, nlink } = lstatSync(path);
      expect([mode & 0o777, nlink]).toEqual([0o600, 1]);
      expect(readLedger(directory)).toMatchObject({ ledger: PUBLISHED, sequence: 3, from: 'current' });
    }
  });

  it('with any byte of its content changed gives the one before', () => {
    const { directory, path, bytes } = written();
    for (let at = 0; at < bytes.length - 1; at += 1) {
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ 1;
      writeFileSync(path, changed);
      expect(readLedger(directory), `changed at ${at}`).toEqual(BEFORE);
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
    expect(readLedger(directory)).toEqual(BEFORE);
  });

  it('that is gone gives the one before', () => {
    const { directory, path } = written();
    rmSync(path);
    expect(readLedger(directory)).toEqual({ ...BEFORE, from: 'current' });
  });

  it('is reported as damaged when neither slot is whole', () => {
    const { directory, path } = written();
    writeFileSync(path, 'x');
    writeFileSync(join(directory, 'ledger.1.json'), 'x');
    expect(readLedger(directory)).toEqual({ ledger: EMPTY_LEDGER, sequence: 0, from: 'damaged' });
  });

  it('is not read through a planted link, and not written through one', () => {
    const { directory, path } = written();
    const other = join(scratch(), 'victim');
    writeFileSync(other, readFileSync(path));
    const before = readFileSync(other);
    rmSync(path);
    symlinkSync(other, path);
    expect(readLedger(directory)).toEqual(BEFORE);
    writeLedgerOnce(directory, PUBLISHED, { sequence: 1 });
    expect(readFileSync(other)).toEqual(before);
    expect(readLedger(directory)).toEqual({ ledger: PUBLISHED, sequence: 2, from: 'current' });
  });

  it('is not written through a second name of a file', () => {
    const { directory, path } = written();
    const other = join(scratch(), 'victim');
    writeFileSync(other, 'precious');
    rmSync(path);
    linkSync(other, path);
    writeLedgerOnce(directory, PUBLISHED, { sequence: 1 });
    expect(readFileSync(other, 'utf8')).toBe('precious');
    expect(readLedger(directory)).toEqual({ ledger: PUBLISHED, sequence: 2, from: 'current' });
  });

  it('never touches the slot that is the newest', () => {
    const { directory, path, bytes } = written();
    expect(writeLedgerOnce(directory, PUBLISHED, { sequence: 2 })).toBe(3);
    expect(readFileSync(path)).toEqual(bytes);
    expect(readLedger(directory)).toEqual({ ledger: PUBLISHED, sequence: 3, from: 'current' });
  });

  it('that is shorter than what it overwrites leaves nothing of that behind', () => {
    const { directory } = written();
    writeLedgerOnce(directory, EMPTY_LEDGER, { sequence: 3 });
    expect(readLedger(directory)).toEqual({ ledger: EMPTY_LEDGER, sequence: 4, from: 'current' });
  });

  it('does not wait for the writer of a planted pipe', () => {
    const { directory, path } = written();
    rmSync(path);
    execFileSync('mkfifo', [path]);
    expect(readLedger(directory)).toEqual(BEFORE);
  });

  it('says why it cannot be written', () => {
    const directory = join(scratch(), 'gone');
    expect(() => writeLedgerOnce(directory, TOLD, { sequence: 0 })).toThrow(
      `Cannot write the ledger "${directory}/ledger.1.json": ENOENT: no such file or directory, open '${directory}/ledger.1.json'. Without it nothing is published, since a reload could be lost.`,
    );
  });

  it('that cannot be written leaves the one written last', () => {
    const { directory } = written();
    writeFileSync(join(directory, 'ledger.1.json'), '');
    execFileSync('chattr', ['+i', join(directory, 'ledger.1.json')]);
    onTestFinished(() => void execFileSync('chattr', ['-i', join(directory, 'ledger.1.json')]));
    expect(() => writeLedgerOnce(directory, PUBLISHED, { sequence: 2 })).toThrow('Cannot write the ledger');
    expect(readLedger(directory)).toMatchObject({ ledger: TOLD, sequence: 2 });
  });

  it('is written in place of a directory, which waits for the next start', () => {
    const { directory } = written();
    rmSync(join(directory, 'ledger.1.json'));
    mkdirSync(join(directory, 'ledger.1.json/planted'), { recursive: true });
    writeLedgerOnce(directory, PUBLISHED, { sequence: 2 });
    expect(readLedger(directory)).toEqual({ ledger: PUBLISHED, sequence: 3, from: 'current' });
    const [aside] = readdirSync(directory).filter((name) => !name.startsWith('ledger.'));
    expect(aside).toMatch(/^check-[0-9a-f]{12}$/);
  });

  it('is written in place of a socket, and of a file that others could write to', () => {
    for (const plant of [leaveSocket, (path: string) => writeFileSync(path, 'x', { mode: 0o666 })]) {
      const { directory } = written();
      const path = join(directory, 'ledger.1.json');
      rmSync(path);
      plant(path);
      chmodSync(path, 0o666);
      writeLedgerOnce(directory, PUBLISHED, { sequence: 2 });
      expect(readLedger(directory)).toEqual({ ledger: PUBLISHED, sequence: 3, from: 'current' });
      expect(statSync(path).mode & 0o777).toBe(0o600);
      expect(statSync(path).isFile()).toBe(true);
    }
  });

  it('of half a gigabyte is damaged, and not read', () => {
    const { directory, path } = written();
    truncateSync(path, 512 * 2 ** 20);
    const before = process.memoryUsage().rss;
    expect(readLedger(directory)).toEqual(BEFORE);
    expect(process.memoryUsage().rss - before).toBeLessThan(64 * 2 ** 20);
  });

  it('of another user counts as damaged', { tags: ['root'] }, () => {
    const { directory, path } = written();
    chownSync(path, 1_234, 1_234);
    expect(readLedger(directory)).toEqual(BEFORE);
  });

  it.each<[string, unknown]>([
    ['a generation that cannot be counted on', { generation: Number.MAX_SAFE_INTEGER }],
    ['a time before 1970', { appliedAt: -1 }],
    ['a time that no calendar has', { appliedAt: 1e17 }],
    ['a process that cannot be', { told: TOLD.told && { ...TOLD.told, process: { pid: 0, startTicks: 1 } } }],
    [
      'a greater process than there is',
      { told: TOLD.told && { ...TOLD.told, process: { pid: 2 ** 23, startTicks: 1 } } },
    ],
    [
      'a clock that cannot be',
      { trial: TOLD.trial && { ...TOLD.trial, moment: { bootId: null, ticks: 1e15 } } },
    ],
  ])('with %s is damaged', (_what, change) => {
    const { directory } = written();
    writeLedgerOnce(directory, { ...TOLD, ...(change as Partial<Ledger>) }, { sequence: 1 });
    expect(readLedger(directory)).toEqual(BEFORE);
  });

  it('with times that lie ahead is read as if they were now', () => {
    const directory = scratch();
    const ahead = Date.now() + 1e12;
    writeLedgerOnce(directory, { ...TOLD, appliedAt: ahead, owed: { since: ahead } }, { sequence: 0 });
    const { ledger, from } = readLedger(directory);
    expect(from).toBe('current');
    for (const time of [ledger.appliedAt, ledger.owed?.since]) {
      expect(time).toBeLessThanOrEqual(Date.now());
      expect(time).toBeGreaterThan(Date.now() - 60_000);
    }
  });

  it('never becomes larger than one that is read', () => {
    const directory = scratch();
    const block = {
      ...VERSION,
      under: 'u',
      outcome: 'refused',
      code: 'c',
      message: 'x'.repeat(100_000),
    } as const;
    const blocked = Array.from({ length: 50 }, (_, at) => ({ ...block, rendering: `r${at}` }));
    writeLedgerOnce(directory, { ...TOLD, blocked }, { sequence: 0 });
    const { ledger, from } = readLedger(directory);
    expect(from).toBe('current');
    expect(ledger.blocked.map(({ rendering }) => rendering)).toEqual(
      blocked.map(({ rendering }) => rendering),
    );
    const wide = blocked.map((one) => ({ ...one, message: '', revision: 'x'.repeat(50_000) }));
    writeLedgerOnce(directory, { ...TOLD, blocked: wide }, { sequence: 1 });
    expect(readLedger(directory).ledger.blocked).toEqual(wide.slice(0, 12));
  });

  it('gives a field that only a later version knows its default', () => {
    const directory = scratch();
    const { told: _told, ...old } = TOLD;
    writeLedgerOnce(directory, old as Ledger, { sequence: 0 });
    expect(readLedger(directory).ledger).toEqual({ ...old, told: null });
  });
});
