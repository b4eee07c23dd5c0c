import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { EMPTY_LEDGER, type Published } from '../../../src/ledger/ledger.ts';
import { CHECK_PREFIX } from '../../../src/ledger/ledger-slots.ts';
import { openStateDirectory } from '../../../src/ledger/state-directory.ts';
import { intend } from '../../../src/ledger/transitions.ts';
import { temporaryName } from '../../../src/publish/atomic-file.ts';
import type { Output } from '../../../src/publish/publisher.ts';
import { stateDirectoryOf } from '../../../src/settings/outputs.ts';
import { writeLedgerOnce } from '../../support/ledger/writing.ts';
import { errorOf } from '../../support/publish/scratch.ts';

interface Place {
  readonly volume: string;
  readonly output: Output;
  readonly path: string;
}

function place(): Place {
  const volume = mkdtempSync(join(tmpdir(), 'state-'));
  onTestFinished(() => rmSync(volume, { recursive: true, force: true }));
  const output: Output = { kind: 'file', path: join(volume, 'app.conf') };
  return { volume, output, path: stateDirectoryOf(output, join(volume, '.config-sidecar')) };
}

async function open({ path, output }: Place): Promise<Awaited<ReturnType<typeof openStateDirectory>>> {
  const state = await openStateDirectory(path, output, 'the test');
  onTestFinished(state.release);
  return state;
}

describe('the state directory', () => {
  it('is made for us alone, one for each output', async () => {
    const one = place();
    const { from, ledger } = await open(one);
    expect({ from, ledger }).toEqual({ from: 'fresh', ledger: EMPTY_LEDGER });
    expect(one.path).toBe(join(one.volume, '.config-sidecar', 'app.conf'));
    for (const path of [one.path, join(one.path, '..')]) expect(statSync(path).mode & 0o777).toBe(0o700);
    expect(stateDirectoryOf({ path: '/' }, '/state')).toBe('/state/root');
  });

  it('belongs to one sidecar at a time, and the other learns to which one', async () => {
    const one = place();
    const state = await openStateDirectory(one.path, one.output, 'the first');
    expect(await errorOf(() => open(one))).toEqual({
      code: 'state.locked',
      message: `Cannot take over "${one.output.path}": the first (process ${process.pid}) holds the lock. This sidecar waits until that one has ended.`,
    });
    state.release();
    await open(one);
  });

  it('removes what a crash left in it, and nothing else; what a second one finds in use stays', async () => {
    const one = place();
    const first = await openStateDirectory(one.path, one.output, 'the first');
    writeLedgerOnce(one.path, intend(EMPTY_LEDGER, VERSION, true), { sequence: 0 });
    const victim = mkdtempSync(join(tmpdir(), 'victim-'));
    onTestFinished(() => rmSync(victim, { recursive: true }));
    writeFileSync(join(victim, 'file'), 'precious');
    symlinkSync(victim, join(one.path, `${CHECK_PREFIX}0123456789ab`));
    mkdirSync(join(one.path, `${CHECK_PREFIX}ba9876543210`, 'sub'), { recursive: true });
    for (const name of [temporaryName('ledger.json'), 'lock.0123456789ab', 'foreign'])
      writeFileSync(join(one.path, name), '');
    const whileInUse = readdirSync(one.path);
    await errorOf(() => open(one));
    expect(
      readdirSync(one.path)
        .filter((name) => !name.startsWith('lock.'))
        .sort(),
    ).toEqual(whileInUse.filter((name) => !name.startsWith('lock.')).sort());
    first.release();
    const { from, ledger } = await open(one);
    expect({ from, owed: ledger.owed }).toEqual({ from: 'current', owed: { since: 7 } });
    const names = readdirSync(one.path).filter((name) => !name.startsWith('lock.'));
    expect(names.sort()).toEqual(['foreign', 'ledger.1.json']);
    expect(readdirSync(one.path)).toHaveLength(3);
    expect(existsSync(join(victim, 'file'))).toBe(true);
  });

  it('names the volume when that is missing, and does not make it', async () => {
    const one = place();
    const path = join(one.volume, 'missing', '.config-sidecar', 'app.conf');
    expect(await errorOf(() => openStateDirectory(path, one.output, 'the test'))).toEqual({
      code: 'publish.no-directory',
      message: `Cannot publish "${one.volume}/missing/.config-sidecar": the directory "${one.volume}/missing" does not exist. Create it, or mount the volume there.`,
    });
    expect(existsSync(join(one.volume, 'missing'))).toBe(false);
  });

  it('names a file that is in its place', async () => {
    const one = place();
    writeFileSync(join(one.volume, '.config-sidecar'), '');
    expect(await errorOf(() => open(one))).toEqual({
      code: 'publish.not-a-directory',
      message: `Cannot keep the state of "${one.output.path}" in "${one.volume}/.config-sidecar": it is not a directory. Move it away, or give STATE_DIR a volume of its own.`,
    });
  });

  it('names a link to nothing that is in its place', async () => {
    const one = place();
    symlinkSync('nowhere', join(one.volume, '.config-sidecar'));
    expect(await errorOf(() => open(one))).toEqual({
      code: 'publish.no-directory',
      message: `Cannot keep the state of "${one.output.path}" in "${one.volume}/.config-sidecar": it is a link to nothing. Move it away, or give STATE_DIR a volume of its own.`,
    });
  });
});

const VERSION: Published = {
  ...{ revision: '1', digest: 'd', rendering: 'r', at: 7 },
  ...{ input: 'i', moment: null, as: 'desired' },
};
