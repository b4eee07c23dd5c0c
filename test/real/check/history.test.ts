// What a check says while a sidecar runs, what it remembers, and whether its address is free.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { checkHistory } from '../../../src/check/history.ts';
import {
  type Block,
  EMPTY_LEDGER,
  type KeptGeneration,
  type Ledger,
  type Published,
} from '../../../src/ledger/ledger.ts';
import { tryLock } from '../../../src/ledger/lock.ts';
import {
  codesOf,
  createSite,
  type Examined,
  examine,
  type Site,
  withCode,
} from '../../support/check/examining.ts';
import { keepGeneration } from '../../support/ledger/writing.ts';
import { compile, runProgram } from '../../support/publish/programs.ts';
import { release } from '../../support/publish/scratch.ts';
import { portOf } from '../../support/servers/ports.ts';

const HOLDER = 'web-1 (process 7)';

/** The lock of a running sidecar, held by the test. */
async function hold(site: Site): Promise<string> {
  const state = site.at('volume/.config-sidecar/app.json');
  mkdirSync(state, { recursive: true });
  const lock = await tryLock(state, HOLDER);
  if (lock.kind !== 'taken') throw new Error('Another process holds it.');
  onTestFinished(lock.release);
  return state;
}

async function serve(server: Server): Promise<number> {
  onTestFinished(() => void server.close());
  await new Promise((resolve) => server.listen(0, () => resolve(null)));
  return portOf(server);
}

/** An answer of `/status` with what a check looks at. */
const statusServer = (instance: string): Server =>
  createHttpServer((_request, response) => {
    const target = { outcome: 'held-back', message: 'Cannot notify the application: it has no handler.' };
    response.end(
      JSON.stringify({ version: '1', instance, ready: true, fresh: true, targets: { default: target } }),
    );
  });

describe('while a sidecar runs', () => {
  test('check reports it and its status, and leaves its directories alone', async () => {
    const site = createSite();
    const state = await hold(site);
    const port = await serve(statusServer('web-1'));
    const before = site.everything();
    const examined = await examine({
      ...site.env,
      LISTEN: `:${port}`,
      VALIDATE_COMMAND: `sh -c 'ls ${state} >${site.at('seen')}; echo {path} >>${site.at('seen')}'`,
    });
    expect(withCode(examined, 'state.kept').message).toBe(
      `A sidecar keeps this output: ${HOLDER}. It says: ready; held-back: Cannot notify the application: it has no handler.`,
    );
    expect(withCode(examined, 'output.writable').message).toContain('may be written to');
    expect(withCode(examined, 'validation.passed').level).toBe('ok');
    // Its address is taken by the sidecar itself, which is as it should be.
    expect(examined.findings.filter(({ area }) => area === 'endpoints')).toEqual([]);
    const seen = readFileSync(site.at('seen'), 'utf8');
    expect(seen).toMatch(/^lock\.[0-9a-f]{12}\n\/.*config-sidecar-check-.*\/app\.json\n$/);
    expect(site.everything().filter((name) => name !== 'seen')).toEqual(before);
  });

  test('the answer of another program at LISTEN is not mistaken for that of the sidecar', async () => {
    const site = createSite();
    await hold(site);
    const port = await serve(statusServer('another'));
    const examined = await examine({ ...site.env, LISTEN: `:${port}` });
    expect(withCode(examined, 'state.kept').message).toBe(
      `A sidecar keeps this output: ${HOLDER}. Its directories were only looked at.`,
    );
  });

  test('one of another user, or one that does not answer, is seen as well', async () => {
    const program = compile('check/checking-program.ts');
    onTestFinished(() => program.remove());
    const site = createSite();
    await hold(site);
    const others = await runProgram<Examined>(program, site.env, { uid: 65_534 });
    expect(withCode(others, 'state.kept').message).toMatch(
      /^A sidecar keeps this output: a sidecar of another user\./,
    );
    const silent = createSite();
    mkdirSync(silent.at('volume/.config-sidecar/app.json'), { recursive: true });
    const server = createServer();
    onTestFinished(() => void server.close());
    const path = silent.at('volume/.config-sidecar/app.json/lock.0123456789ab');
    await new Promise((resolve) => server.listen(path, () => resolve(null)));
    expect(withCode(await examine(silent.env), 'state.kept').message).toMatch(
      /^A sidecar keeps this output: a sidecar that does not answer\./,
    );
  });

  test('what one left that was killed is no sidecar', async () => {
    const site = createSite();
    const state = site.at('volume/.config-sidecar/app.json');
    mkdirSync(state, { recursive: true });
    writeFileSync(join(state, 'lock.0123456789ab'), '');
    expect(withCode(await examine(site.env), 'state.writable').message).toContain('no sidecar runs');
    expect(readdirSync(state)).toEqual([]);
  });
});

describe('what is remembered', () => {
  const state = (): string => {
    const site = createSite();
    mkdirSync(site.at('state'));
    return site.at('state');
  };
  const files = release({ 'app.json': '{}' });
  const kept: KeptGeneration = {
    ...{ revision: '41', digest: 'sha256:a', rendering: files.rendering, at: 0 },
    ...{ generation: 3, input: 'i', confirmedAt: Date.UTC(2024, 1, 2) },
  };
  const published: Published = { ...kept, moment: null, as: 'desired' };
  const about = (directory: string, ledger: Partial<Ledger>, rollback = true) =>
    checkHistory({
      directory,
      outputs: ['/srv/app.json'],
      ledger: { ...EMPTY_LEDGER, ...ledger },
      generation: files,
      rollback,
    });

  test('is the last known good, once it was verified', async () => {
    const directory = state();
    await keepGeneration(directory, kept, files);
    expect(about(directory, { published, kept: [kept] })).toEqual([
      {
        area: 'kept',
        level: 'ok',
        code: 'kept.last-known-good',
        message:
          'The last known good configuration is generation 3, revision 41, confirmed 2024-02-02T00:00:00.000Z; 1 kept.',
        mend: null,
      },
    ]);
    rmSync(join(directory, 'generations/3.json'));
    expect(about(directory, { published, kept: [kept] })).toEqual([
      {
        area: 'kept',
        level: 'fail',
        code: 'state.generation-damaged',
        message: `Cannot roll back to generation 3 in "${directory}/generations/3.json": it is no longer there.`,
        mend: 'This copy cannot be repaired. The next configuration that is confirmed replaces it.',
      },
    ]);
  });

  test('is nothing before the first, and a warning when nothing was confirmed', () => {
    const directory = state();
    expect(about(directory, {}).map(({ level, code }) => `${level} ${code}`)).toEqual([
      'ok kept.nothing-yet',
    ]);
    expect(about(directory, { published }).map(({ level, code }) => `${level} ${code}`)).toEqual([
      'warn kept.nothing',
    ]);
    expect(about(directory, { published }, false)).toEqual([]);
  });

  test('is a pin, a block and a debt', () => {
    const block: Block = {
      ...{
        rendering: files.rendering,
        digest: 'sha256:d',
        under: 'u',
        outcome: 'target-died',
        code: 'confirm.died',
      },
      ...{ message: 'Process 7 (web) died.', revision: '42', at: Date.UTC(2024, 1, 3) },
    };
    const found = about(state(), {
      pinned: { rendering: kept.rendering, generation: 3 },
      blocked: [block],
      owed: { since: Date.UTC(2024, 1, 4) },
    });
    expect(found.filter(({ level }) => level === 'warn').map(({ message }) => message)).toEqual([
      'Generation 3 is pinned by a rollback: changes of the source are not applied.',
      'What the source holds did not work (target-died, 2024-02-03T00:00:00.000Z) and is blocked: Process 7 (web) died.',
      'The application is owed a reload since 2024-02-04T00:00:00.000Z: it has not been notified of what is on the volume.',
    ]);
    const other = about(state(), { blocked: [{ ...block, rendering: 'sha256:other' }] });
    expect(other.map(({ code }) => code)).not.toContain('kept.blocked');
  });
});

describe('LISTEN', () => {
  test('that is free is reported', async () => {
    const server = createServer();
    const port = await serve(server);
    await new Promise((resolve) => server.close(resolve));
    const examined = await examine({ ...createSite().env, LISTEN: `127.0.0.1:${port}` });
    expect(withCode(examined, 'listen.free').message).toBe(`LISTEN "127.0.0.1:${port}" is free.`);
  });

  test('that is taken is reported with the process that has it', async () => {
    const port = await serve(createServer((socket) => socket.destroy()));
    const examined = await examine({ ...createSite().env, LISTEN: `:${port}` });
    const finding = withCode(examined, 'listen.taken');
    expect(finding).toMatchObject({
      area: 'endpoints',
      level: 'fail',
      mend: 'Set LISTEN to a free port: two sidecars of one pod need two. With off, no probe can ask.',
    });
    expect(finding.message).toMatch(
      new RegExp(`^LISTEN ":${port}" is taken by process ${process.pid} \\(.*\\)\\.$`),
    );
    expect(examined.exitCode).toBe(2);
  });

  test('that another sidecar has is reported with its instance', async () => {
    const port = await serve(statusServer('web-2'));
    const examined = await examine({ ...createSite().env, LISTEN: `:${port}` });
    expect(withCode(examined, 'listen.taken').message).toBe(
      `LISTEN ":${port}" is taken by another config-sidecar (web-2).`,
    );
  });

  test('that a process of another user has is reported with that user', async () => {
    const program = compile('check/checking-program.ts');
    onTestFinished(() => program.remove());
    const port = await serve(createServer((socket) => socket.destroy()));
    const env = { ...createSite().env, LISTEN: `:${port}` };
    const examined = await runProgram<Examined>(program, env, { uid: 65_534 });
    expect(withCode(examined, 'listen.taken').message).toBe(
      `LISTEN ":${port}" is taken by a process of user ${process.geteuid?.()}.`,
    );
  });

  test('on a port that this user may not have is reported', () => {
    const program = compile('check/checking-program.ts');
    onTestFinished(() => program.remove());
    const env = JSON.stringify({ ...createSite().env, LISTEN: ':80' });
    // A network of its own, where ports below 1024 are root's.
    const user = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];
    const words = ['-n', ...user, process.execPath, program.path, env];
    const output = execFileSync('unshare', words, { encoding: 'utf8', cwd: '/' });
    expect(withCode(JSON.parse(output) as Examined, 'listen.failed').message).toBe(
      'LISTEN ":80" is not permitted: user 65534 may not listen there.',
    );
  });

  test('on a host that is not this machine is reported', async () => {
    const examined = await examine({ ...createSite().env, LISTEN: '192.0.2.1:9533' });
    expect(withCode(examined, 'listen.failed').message).toBe(
      'Cannot listen on LISTEN "192.0.2.1:9533": the address is not assigned to this machine.',
    );
  });

  test('that is off is reported', async () => {
    expect(codesOf(await examine(createSite().env), 'ok')).toContain('listen.off');
  });
});
