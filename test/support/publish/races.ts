// A neighbour that may write on the volume, as a process that races with ours: it changes directories into links and files into
// pipes between two steps of ours. Nothing outside the volume is read, written or removed, and nothing is waited for.
import type { ChildProcess } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { pruneGenerations } from '../../../src/ledger/kept-generations.ts';
import { EMPTY_LEDGER } from '../../../src/ledger/ledger.ts';
import { writeLedger } from '../../../src/ledger/ledger-file.ts';
import { openStateDirectory } from '../../../src/ledger/state-directory.ts';
import { temporaryName } from '../../../src/publish/atomic-file.ts';
import { openPublisher } from '../../../src/publish/publisher.ts';
import { compile, ended, type Program, startProgram } from './programs.ts';
import { publishNow } from './publish-now.ts';
import { generation, scratch } from './scratch.ts';
import type { SwapOrder } from './swapping-program.ts';

const NAMES = Array.from({ length: 100 }, (_, at) => `${at}.json`);

/** A link (or a pipe) that waits in a directory for its turn. */
function trap(directory: string, leadsTo: string | null): Omit<SwapOrder, 'place'> {
  return { aside: join(directory, 'aside'), trap: join(directory, 'trap'), leadsTo };
}

/** A directory in which any user may do what the attacker does. */
function shared(): string {
  const directory = scratch();
  chmodSync(directory, 0o777);
  return directory;
}

function precious(): string {
  const directory = mkdtempSync(join(tmpdir(), 'precious-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  for (const name of NAMES) writeFileSync(join(directory, name), 'precious');
  return directory;
}

function fill(directory: string, names: readonly string[] = NAMES): void {
  mkdirSync(directory, { recursive: true });
  for (const name of names) writeFileSync(join(directory, name), 'ours');
}

/** What a step says of a volume that changes under it is not the matter here. */
function quietly(work: () => unknown): void {
  try {
    work();
  } catch {}
}

/** What a publication may say whose directory is away, or exchanged. */
const CODES: readonly string[] = ['publish.replaced', 'publish.no-directory', 'publish.symbolic-link'];

/** Runs the work again and again while a neighbour races with it. */
type Racing = (work: () => unknown) => Promise<void>;

/** Registers the races, each of which lasts so many milliseconds. A hole may take seconds to be hit. */
export function testRaces(raceMs: number): void {
  let program: Program;
  beforeAll(() => {
    program = compile('publish/swapping-program.ts');
  });
  afterAll(() => program.remove());

  const attack = (order: SwapOrder): Promise<ChildProcess> =>
    new Promise((resolve) => {
      const child = startProgram(program, order, () => resolve(child));
      onTestFinished(() => void child.kill('SIGKILL'));
    });
  const racing: Racing = async (work) => {
    for (const until = Date.now() + raceMs; Date.now() < until; await nextTurn()) await work();
  };

  describe('a race for a directory output', () => {
    it('makes the clean-up of a start remove nothing outside', async () => {
      const root = scratch();
      const victim = precious();
      const publisher = openPublisher({ kind: 'directory', path: root }, null);
      const stage = join(root, '..stage-0123456789ab');
      await attack({ ...trap(root, victim), place: join(stage, 'sub') });
      await racing(() => {
        quietly(() => fill(join(stage, 'sub')));
        quietly(() => publisher.recover());
      });
      expect(readdirSync(victim).sort()).toEqual([...NAMES].sort());
    });

    it('makes the removal of a replaced generation remove nothing outside', async () => {
      const root = scratch();
      const victim = precious();
      const publisher = openPublisher({ kind: 'directory', path: root }, null);
      await publishNow(publisher, generation({ a: '1' }));
      const old = join(root, '..gen-0123456789ab');
      await attack({ ...trap(root, victim), place: join(old, 'sub') });
      let now = 0;
      await racing(() => {
        // Few, so that there are many rounds.
        quietly(() => fill(join(old, 'sub'), NAMES.slice(0, 10)));
        publisher.prune(now);
        now += 60_000;
        publisher.prune(now);
      });
      expect(readdirSync(victim).sort()).toEqual([...NAMES].sort());
    });

    it('shows a look and a diff nothing that lies outside', async () => {
      const root = scratch();
      const victim = precious();
      const publisher = openPublisher({ kind: 'directory', path: root }, null);
      const wanted = generation(Object.fromEntries(NAMES.map((name) => [`sub/${name}`, 'ours'])));
      await publishNow(publisher, wanted);
      await attack({ ...trap(root, victim), place: join(root, readlinkSync(join(root, '..data')), 'sub') });
      const seen = new Set<string>();
      await racing(() => {
        quietly(() => {
          for (const { bytes } of publisher.read()) seen.add(bytes.toString());
        });
        publisher.look();
      });
      expect(seen).toContain('ours');
      expect(seen).not.toContain('precious');
    });

    it('never makes a look wait for a pipe', async () => {
      const root = scratch();
      const publisher = openPublisher({ kind: 'directory', path: root }, null);
      await publishNow(publisher, generation({ a: '1' }));
      await attack({ ...trap(root, null), place: join(root, readlinkSync(join(root, '..data')), 'a') });
      await racing(() => publisher.look());
    });

    it('publishes nothing where a link leads, when the whole directory is exchanged', async () => {
      const above = shared();
      const root = join(above, 'out');
      mkdirSync(root);
      const victim = precious();
      const publisher = openPublisher({ kind: 'directory', path: root }, null);
      await publishNow(publisher, generation({ a: '1' }));
      await attack({ ...trap(above, victim), place: root });
      let number = 0;
      const refused = new Set<string>();
      await racing(async () => {
        number += 1;
        await publishNow(publisher, generation({ a: `${number}` })).catch((error) => refused.add(error.code));
        publisher.recover();
        publisher.prune(number * 60_000);
      });
      expect(readdirSync(victim).sort()).toEqual([...NAMES].sort());
      expect([...refused].filter((code) => !CODES.includes(code))).toEqual([]);
      expect(refused.size).toBeGreaterThan(0);
    });
  });

  describe('a race for a file output', () => {
    it('writes, replaces and removes nothing where a link leads', async () => {
      const above = shared();
      const directory = join(above, 'sub');
      mkdirSync(directory);
      const victim = precious();
      const leftOver = temporaryName('app.conf');
      for (const name of ['app.conf', leftOver]) writeFileSync(join(victim, name), 'precious');
      await attack({ ...trap(above, victim), place: directory });
      let number = 0;
      let publisher = openPublisher({ kind: 'file', path: join(directory, 'app.conf') }, null);
      await racing(async () => {
        number += 1;
        publisher.recover();
        await publishNow(publisher, generation({ 'app.conf': `${number}` })).catch(() => {});
        if (number % 10 !== 0) return;
        // Each start finds the directory by its path again.
        publisher.release();
        publisher = openPublisher({ kind: 'file', path: join(directory, 'app.conf') }, null);
      });
      expect(readdirSync(victim).sort()).toEqual([...NAMES, 'app.conf', leftOver].sort());
      for (const name of readdirSync(victim))
        expect(readFileSync(join(victim, name), 'utf8')).toBe('precious');
    });

    it('never makes a look wait for a pipe, and ends with our file in place', async () => {
      const directory = scratch();
      const path = join(directory, 'app.conf');
      const publisher = openPublisher({ kind: 'file', path }, null);
      const wanted = generation({ 'app.conf': 'ours' });
      await publishNow(publisher, wanted);
      const child = await attack({ ...trap(directory, null), place: path });
      await racing(() => publisher.look());
      child.kill('SIGKILL');
      await ended(child);
      await publishNow(publisher, wanted);
      expect(publisher.look().rendering).toBe(wanted.rendering);
    });
  });

  describe('a race for a state directory', () => {
    it('costs no other output its ledger and its kept generations', async () => {
      const above = shared();
      const output = { kind: 'file', path: join(above, 'app.conf') } as const;
      const path = join(above, '.config-sidecar', 'app.conf');
      const victim = scratch();
      fill(join(victim, 'generations'));
      for (const slot of [0, 1]) writeFileSync(join(victim, `ledger.${slot}.json`), 'precious');
      mkdirSync(path, { recursive: true, mode: 0o700 });
      let state = await openStateDirectory(path, output, 'the test');
      onTestFinished(() => state.release());
      await attack({ ...trap(above, victim), place: path });
      let rounds = 0;
      await racing(async () => {
        rounds += 1;
        quietly(() => fill(join(state.held, 'generations'), NAMES.slice(0, 10)));
        quietly(() => pruneGenerations(state.held, []));
        quietly(() => writeLedger(state.held, EMPTY_LEDGER, state));
        if (rounds % 20 !== 0) return;
        // Each start finds the directory by its path again.
        state.release();
        for (let next = null; next === null; ) {
          next = await openStateDirectory(path, output, 'the test').catch(() => null);
          if (next !== null) state = next;
        }
      });
      expect(readdirSync(join(victim, 'generations')).sort()).toEqual([...NAMES].sort());
      expect(readdirSync(victim).sort()).toEqual(['generations', 'ledger.0.json', 'ledger.1.json']);
      for (const slot of [0, 1])
        expect(readFileSync(join(victim, `ledger.${slot}.json`), 'utf8')).toBe('precious');
    });
  });
}
