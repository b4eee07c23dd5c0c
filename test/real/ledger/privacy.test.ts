// The state directory is for one user alone, whatever the platform does to its modes.
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  linkSync,
  mkdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EMPTY_LEDGER } from '../../../src/ledger/ledger.ts';
import { writeLedger } from '../../../src/ledger/ledger-file.ts';
import { openStateDirectory } from '../../../src/ledger/state-directory.ts';
import type { OpeningOutcome } from '../../support/ledger/opening-program.ts';
import { keepGeneration } from '../../support/ledger/writing.ts';
import { compile, type Program, runProgram } from '../../support/publish/programs.ts';
import { errorOf, release, scratch } from '../../support/publish/scratch.ts';

let program: Program;
beforeAll(() => {
  program = compile('ledger/opening-program.ts');
});
afterAll(() => program.remove());

const modeOf = (path: string): string => (statSync(path).mode & 0o7777).toString(8);

interface Place {
  readonly volume: string;
  readonly path: string;
  readonly output: { readonly kind: 'file'; readonly path: string };
}

/** A state directory with a ledger and one copy that holds a secret. */
async function place(): Promise<Place> {
  const volume = scratch();
  const [path, output] = [
    join(volume, '.config-sidecar/app.conf'),
    { kind: 'file', path: join(volume, 'app.conf') } as const,
  ];
  const state = await openStateDirectory(path, output, 'the test');
  const secret = release({ 'app.conf': 'password = secret' });
  const version = { revision: '1', digest: 'd', rendering: secret.rendering, at: 1, input: 'i' };
  await keepGeneration(state.held, { ...version, generation: 1, confirmedAt: 2 }, secret);
  writeLedger(state.held, EMPTY_LEDGER, state);
  state.release();
  return { volume, path, output };
}

describe('a state directory that fsGroup has opened to a group', () => {
  it('is taken away from it at a start, with all that was kept', async () => {
    const { volume, path, output } = await place();
    // As the kubelet does at each start of a pod.
    execFileSync('sh', ['-c', 'chmod -R g+rwX "$1" && find "$1" -type d -exec chmod g+s {} +', 'sh', volume]);
    expect(modeOf(join(path, 'generations/1.json'))).toBe('660');
    const state = await openStateDirectory(path, output, 'the test');
    writeLedger(state.held, EMPTY_LEDGER, state);
    state.release();
    expect([
      modeOf(path),
      modeOf(join(path, 'generations')),
      modeOf(join(path, 'generations/1.json')),
    ]).toEqual(['700', '700', '600']);
    expect(modeOf(join(path, 'ledger.0.json'))).toBe('600');
  });

  it('changes no mode of what a link in it leads to', async () => {
    const { path, output } = await place();
    const victim = join(scratch(), 'victim');
    writeFileSync(victim, 'public', { mode: 0o644 });
    symlinkSync(victim, join(path, 'generations/2.json'));
    linkSync(victim, join(path, 'generations/3.json'));
    chmodSync(path, 0o770);
    (await openStateDirectory(path, output, 'the test')).release();
    expect([modeOf(victim), readFileSync(victim, 'utf8')]).toEqual(['644', 'public']);
  });
});

describe('a state directory that cannot be taken away from others', () => {
  const NOBODY = 65_534;

  it('is refused where root made it and others may write', { tags: ['root'] }, async () => {
    const volume = scratch();
    const path = join(volume, 'state/app.conf');
    mkdirSync(path, { recursive: true });
    for (const directory of [volume, path]) chmodSync(directory, directory === volume ? 0o755 : 0o777);
    const order = { path, output: { kind: 'file', path: join(volume, 'app.conf') } };
    expect(await runProgram<OpeningOutcome>(program, order, { uid: NOBODY })).toEqual({
      code: 'state.exposed',
      message: `Cannot keep the state of "${volume}/app.conf" in "${path}": other users may use it (mode 777), and this sidecar cannot change that. Give STATE_DIR a volume of its own, on which modes can be set.`,
    });
    chmodSync(path, 0o755);
    chownSync(path, NOBODY, NOBODY);
    expect(await runProgram<OpeningOutcome>(program, order, { uid: NOBODY })).toEqual({
      code: null,
      message: '',
    });
    expect(modeOf(path)).toBe('700');
  });

  it('is refused behind a link that others could have made', async () => {
    const { volume, output } = await place();
    chmodSync(volume, 0o777);
    const elsewhere = scratch();
    symlinkSync(elsewhere, join(volume, 'link'));
    const path = join(volume, 'link/app.conf');
    expect((await errorOf(() => openStateDirectory(path, output, 'the test'))).code).toBe(
      'publish.symbolic-link',
    );
  });
});
