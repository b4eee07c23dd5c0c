// The commands that control a running sidecar, and what happens to a generation that was rolled back to.
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { type IncomingHttpHeaders, request } from 'node:http';
import { describe, expect, test } from 'vitest';
import { fileJob, publishedValue } from '../../support/e2e/backing.ts';
import { createPlace, type Place } from '../../support/e2e/place.ts';
import type { Finished, Sidecar, Variables } from '../../support/e2e/sidecar.ts';
import { until } from '../../support/e2e/until.ts';
import { respond, servesDocument, startHttpSource } from '../../support/servers/http-source.ts';

const SOCKET = 'out/.config-sidecar/app.json/control.sock';

/** Runs the commands beside a sidecar: with the settings it has. */
function beside(place: Place, variables: Variables): (...words: readonly string[]) => Promise<Finished> {
  return (...words) => place.run(words, { LISTEN: 'off', ...variables });
}

async function started(place: Place, variables: Variables): Promise<Sidecar> {
  const sidecar = await place.start(variables);
  await until('its socket is there', () => {
    if (!sidecar.isRunning()) throw new Error(`it has ended: ${sidecar.output()}`);
    return existsSync(place.at(SOCKET));
  });
  return sidecar;
}

/** Makes the values one after the other what the application runs. */
async function applyAll(
  job: ReturnType<typeof fileJob>,
  sidecar: Sidecar,
  values: readonly string[],
): Promise<void> {
  for (const value of values) {
    job.set(value);
    await until(`"${value}" is known to work`, async () => {
      const { desired, lastKnownGood, outcome } = (await sidecar.target()) as {
        readonly desired: { readonly rendering: string | null } | null;
        readonly lastKnownGood: { readonly rendering: string } | null;
        readonly outcome: string | null;
      };
      const isRun = outcome === 'applied' && desired?.rendering === lastKnownGood?.rendering;
      return isRun && shownIn(job.config) === value;
    });
  }
}

function shownIn(path: string): unknown {
  return existsSync(path) ? publishedValue(readFileSync(path, 'utf8')) : null;
}

interface HistorySeen {
  readonly targets: {
    readonly default: {
      readonly pinned: boolean;
      readonly generations: readonly {
        readonly generation: number;
        readonly onVolume: boolean;
        readonly pinned: boolean;
        readonly lastKnownGood: boolean;
      }[];
      readonly blocked: readonly { readonly outcome: string; readonly message: string }[];
      readonly history: readonly { readonly outcome: string; readonly output?: string | null }[];
    };
  };
}

async function historyOf(
  command: (...words: readonly string[]) => Promise<Finished>,
): Promise<HistorySeen['targets']['default']> {
  const { stdout } = await command('history', '--json');
  return (JSON.parse(stdout) as HistorySeen).targets.default;
}

function post(
  port: number,
  path: string,
  headers: Record<string, string> = {},
): Promise<{ readonly status: number; readonly headers: IncomingHttpHeaders; readonly body: string }> {
  return new Promise((resolve, reject) => {
    const sent = request(
      { host: '127.0.0.1', port, path, method: 'POST', headers, agent: false },
      (response) => {
        let body = '';
        response.on('data', (chunk: Buffer) => {
          body += chunk.toString();
        });
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body }),
        );
      },
    );
    sent.on('error', reject);
    sent.end();
  });
}

describe.concurrent('going back', () => {
  test('keeps who asked for it, when and why, over restarts', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    const variables = { ...job.variables, RELOAD_COMMAND: 'true', CONTROL_TOKEN: 'open-sesame' };
    const command = beside(place, { ...variables, USER: 'alice' });
    const first = await started(place, variables);
    await applyAll(job, first, ['one', 'two']);
    const reason = '502s since noon\n<b>ask Bob</b>';
    expect(await command('rollback', '--reason', reason)).toMatchObject({ code: 0 });
    const shown = '502s since noon\\u000a<b>ask Bob</b>';
    const by = `alice on ${place.name}-sidecar (control socket)`;
    expect(first.logs('pinned by hand')).toMatchObject([{ generation: 1, by, reason: shown }]);
    await first.end();
    const sidecar = await started(place, variables);
    await sidecar.outcome('pinned');
    const said = `pinned to generation 1 by ${by}, `;
    expect((await command('history')).stdout).toMatch(
      new RegExp(`^default: ${said.replaceAll(/[()]/g, '.')}\\S+Z: 502s`),
    );
    expect((await command('status')).stdout).toContain(`to generation 1 by ${by}, `);
    const whole = JSON.parse((await command('status', '--json')).stdout).targets.default;
    expect(whole.pin).toEqual({ generation: 1, at: expect.stringMatching(/Z$/), by, reason: shown });
    for (const path of ['/', '/status', '/metrics'])
      expect((await sidecar.get(path)).body).not.toMatch(/alice|502s/);

    const Authorization = 'Bearer open-sesame';
    const words = 'generation=2&by=carol&reason=it%20was%20not%20that';
    expect((await post(sidecar.port, `/rollback?${words}`, { Authorization })).status).toBe(200);
    const { pin } = JSON.parse((await command('status', '--json')).stdout).targets.default;
    expect(pin).toMatchObject({
      generation: 2,
      by: 'carol (CONTROL_TOKEN, from 127.0.0.1)',
      reason: 'it was not that',
    });
  });

  test('a generation is rolled back to and stays, over changes and restarts, until the source is followed again', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    const variables = { ...job.variables, RELOAD_COMMAND: 'true' };
    const command = beside(place, variables);
    const sidecar = await started(place, variables);
    await applyAll(job, sidecar, ['one', 'two', 'three']);
    const { generations, pinned } = await historyOf(command);
    expect(pinned).toBe(false);
    expect(generations.map(({ generation }) => generation)).toEqual([3, 2, 1]);
    expect(generations[0]).toMatchObject({ onVolume: true, lastKnownGood: true });

    const back = await command('rollback');
    expect(back).toMatchObject({ code: 0, stderr: '' });
    expect(back.stdout).toMatch(
      /^Rolled back to generation 2 \(revision .+\), and stays there until "config-sidecar resume"; the application runs it \(answered\)\.\n$/,
    );
    expect(shownIn(job.config)).toBe('two');

    const further = await command('rollback', '1');
    expect(further).toMatchObject({ code: 0, stderr: '' });
    expect(shownIn(job.config)).toBe('one');
    job.set('four');
    const kept = await command('sync');
    expect(kept).toMatchObject({
      code: 4,
      stdout: '',
      stderr:
        'Read the source, but the target is pinned to generation 1; "config-sidecar resume" follows the source again.\n',
    });
    expect((await sidecar.target()).outcome).toBe('pinned');
    expect((await command('status')).stdout).toContain('  pinned       to generation 1 by ');
    expect((await command('history')).stdout).toContain('default: pinned to generation 1 by ');

    await sidecar.end('SIGKILL');
    const again = await started(place, variables);
    await until('it is pinned', async () => (await historyOf(command)).pinned);
    await again.outcome('pinned');
    expect(shownIn(job.config)).toBe('one');

    const resumed = await command('resume');
    expect(resumed).toMatchObject({ code: 0, stderr: '' });
    expect(resumed.stdout).toMatch(
      /^Follows the source again: revision .+, applied; the application runs it /,
    );
    expect(shownIn(job.config)).toBe('four');
    expect(await command('resume')).toMatchObject({ code: 0, stdout: 'Nothing was pinned.\n' });
  });

  test('works while the source is away', async (context) => {
    const place = createPlace(context);
    const source = await startHttpSource();
    const serve = (value: string): void =>
      source.answer(servesDocument(() => ({ etag: `"${value}"`, body: `{"value":"${value}"}\n` })));
    serve('one');
    place.directory('out');
    const variables = {
      SOURCE: `${source.origin}/app.json`,
      UPDATE_FREQUENCY: '200ms',
      OUTPUT: place.at('out/app.json'),
      RELOAD_MIN_INTERVAL: '100ms',
    };
    const command = beside(place, variables);
    const sidecar = await started(place, variables);
    for (const value of ['one', 'two']) {
      serve(value);
      await until(`"${value}" is known to work`, async () => {
        const { generations } = await historyOf(command);
        return shownIn(variables.OUTPUT) === value && generations[0]?.onVolume === true;
      });
    }
    source.answer((_request, response) => respond(response, 500, 'no leader'));
    await until('it is away', async () => (await sidecar.target()).sources[0]?.up === false);
    expect(await command('rollback')).toMatchObject({ code: 0, stderr: '' });
    expect(shownIn(variables.OUTPUT)).toBe('one');
    const sync = await command('sync');
    expect(sync.code).toBe(3);
    expect(sync.stderr).toContain(
      `Asked to sync, but "${source.origin}/app.json" cannot be reached (last reached `,
    );
    await source.stop();
  });

  test('lists the kept generations when the requested one is not kept, or says that there is none', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    const command = beside(place, job.variables);
    const sidecar = await started(place, job.variables);
    await applyAll(job, sidecar, ['one']);
    expect(await command('rollback')).toMatchObject({
      code: 4,
      stdout: '',
      stderr:
        'Cannot roll back to an earlier generation: none was confirmed but the one on the volume yet. [control.nothing-to-go-back-to]\n',
    });
    const unknown = await command('rollback', '77');
    expect(unknown.code).toBe(2);
    expect(unknown.stderr).toBe(
      'Cannot roll back to generation "77": it is not kept; there are 1. See "config-sidecar history". [control.unknown-generation]\n',
    );
    expect(await command('rollback', 'last')).toMatchObject({
      code: 2,
      stderr:
        'Cannot roll back: "last" is not a generation number; "config-sidecar history" shows their numbers.\n',
    });
  });
});

describe.concurrent('sync', () => {
  test('reads a source at once that is asked once an hour', async (context) => {
    const place = createPlace(context);
    const source = await startHttpSource();
    let value = 'one';
    source.answer(servesDocument(() => ({ etag: `"${value}"`, body: `{"value":"${value}"}\n` })));
    place.directory('out');
    const variables = {
      SOURCE: `${source.origin}/app.json`,
      UPDATE_FREQUENCY: '1h',
      STALE_AFTER: '3h',
      OUTPUT: place.at('out/app.json'),
      RELOAD_COMMAND: 'true',
      RELOAD_MIN_INTERVAL: '100ms',
    };
    const command = beside(place, variables);
    const sidecar = await started(place, variables);
    await sidecar.outcome('applied');
    value = 'two';
    const { code, stdout, stderr } = await command('sync');
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toBe('Read the source: revision "two", applied; the application runs it (answered).\n');
    expect(shownIn(variables.OUTPUT)).toBe('two');
    expect((await command('sync', '--no-wait')).stdout).toBe('Asked to sync.\n');
    await source.stop();
  });

  test('reports that the newest data did not work, and tries it again only on request', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    const hook = place.write(
      'hook.sh',
      'grep -q bad out/app.json || exit 0; echo "I will not have it"; exit 9\n',
    );
    const variables = { ...job.variables, RELOAD_COMMAND: `sh ${hook}` };
    const command = beside(place, variables);
    const sidecar = await started(place, variables);
    await applyAll(job, sidecar, ['good']);
    job.set('bad');
    await sidecar.outcome('rolled-back');
    expect(shownIn(job.config)).toBe('good');
    const blocked = await historyOf(command);
    expect(blocked.blocked).toMatchObject([{ outcome: 'refused' }]);
    const again = await command('sync');
    expect(again).toMatchObject({ code: 6, stdout: '' });
    expect(again.stderr).toContain('Read the source, but: rolled-back: ');
    place.write('hook.sh', 'exit 0\n');
    const retried = await command('sync', '--retry');
    expect(retried).toMatchObject({ code: 0, stderr: '' });
    expect(shownIn(job.config)).toBe('bad');
    expect((await historyOf(command)).blocked).toEqual([]);
  });

  test('says why what the source says is not accepted', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    const variables = { ...job.variables, REQUIRED_KEYS: 'value' };
    const command = beside(place, variables);
    const sidecar = await started(place, variables);
    await applyAll(job, sidecar, ['one']);
    place.write('source.json', '{"other": 1}\n');
    await sidecar.outcome('rejected');
    const { code, stderr } = await command('sync');
    expect(code).toBe(4);
    expect(stderr).toMatch(/^Read the source, but: rejected: /);
  });
});

describe.concurrent('the control socket', () => {
  test('is for its user, is there while the sidecar runs, and outlives no crash for long', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    const variables = { ...job.variables, LISTEN: 'off' };
    const command = beside(place, variables);
    const first = await started(place, variables);
    await until('it is ready', async () => (await command('status')).code === 0);
    expect((statSync(place.at(SOCKET)).mode & 0o7777).toString(8)).toBe('600');
    await first.end('SIGKILL');
    const missing = await command('sync');
    expect(missing).toMatchObject({
      code: 8,
      stdout: '',
      stderr: `Cannot sync: no sidecar answers at "${place.at(SOCKET)}"; check that it runs, and with the same OUTPUT and STATE_DIR. [control.nobody]\n`,
    });
    expect((await command('status')).code).toBe(8);
    const second = await place.start(variables);
    await until('it is ready again', async () => (await command('status')).code === 0);
    await second.end();
    expect(
      readdirSync(place.at('out/.config-sidecar/app.json')).filter((name) => name.endsWith('.sock')),
    ).toEqual([]);
    expect((await command('history')).code).toBe(8);
  });

  test('belongs to the sidecar that holds the lock, not to one that waits for it', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    const command = beside(place, job.variables);
    const first = await started(place, { ...job.variables, HOSTNAME: 'first' });
    await first.outcome('applied');
    const second = await place.start({ ...job.variables, HOSTNAME: 'second' });
    await second.outcome('failed');
    expect((await command('status')).stdout).toContain(' first: ready');
    await first.end();
    await until('the second one answers', async () =>
      (await command('status')).stdout.includes(' second: ready'),
    );
  });

  test('shows what a hook printed, which LISTEN does not', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    const hook = place.write('hook.sh', 'echo "no room at the inn"; exit 75\n');
    const variables = { ...job.variables, RELOAD_COMMAND: `sh ${hook}` };
    const command = beside(place, variables);
    const sidecar = await started(place, variables);
    await sidecar.outcome('failed');
    expect((await command('status')).stdout).toContain('  | no room at the inn\n');
    expect((await historyOf(command)).history[0]?.output).toContain('no room at the inn');
    for (const path of ['/status', '/', '/metrics', '/readyz'])
      expect((await sidecar.get(path)).body).not.toContain('no room at the inn');
    expect((await sidecar.get('/')).body).toContain('<td data-label="outcome">failed');
  });
});

describe.concurrent('POST over LISTEN', () => {
  test('needs the token, which is read again each time', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    const token = place.write('token', 'correct-horse\n');
    const variables = { ...job.variables, CONTROL_TOKEN_FILE: token };
    const sidecar = await started(place, variables);
    await applyAll(job, sidecar, ['one', 'two']);
    expect((await post(sidecar.port, '/rollback')).status).toBe(401);
    expect((await post(sidecar.port, '/rollback', { Authorization: 'Bearer wrong' })).status).toBe(401);
    const taken = await post(sidecar.port, '/rollback', { Authorization: 'Bearer correct-horse' });
    expect([taken.status, JSON.parse(taken.body)]).toMatchObject([200, { target: 'default', generation: 1 }]);
    await until('it is back', () => shownIn(job.config) === 'one');
    place.write('token', 'battery-staple\n');
    expect((await post(sidecar.port, '/resume', { Authorization: 'Bearer correct-horse' })).status).toBe(401);
    const resumed = await post(sidecar.port, '/resume', { Authorization: 'Bearer battery-staple' });
    expect(JSON.parse(resumed.body)).toMatchObject({ wasPinned: true });
    await until('it follows', () => shownIn(job.config) === 'two');
    expect(sidecar.output()).not.toMatch(/correct-horse|battery-staple/);
  });

  test('is forbidden without a token', async (context) => {
    const place = createPlace(context);
    const sidecar = await place.start(fileJob(place).variables, { hasToken: false });
    await until('it listens', () => sidecar.get('/healthz'));
    const { status, body } = await post(sidecar.port, '/sync', { Authorization: 'Bearer ' });
    expect([status, JSON.parse(body).code]).toEqual([403, 'control.no-token']);
  });
});

test("--schema is a setting's flag, and the command's own with settings only", async (context) => {
  const place = createPlace(context);
  const schema = place.write('schema.json', '{"required":["port"]}');
  const data = place.write('data.json', '{}');
  const words = ['--schema', schema, '--config-file', data, '--output', place.at('app.json')];
  expect(await place.run(['once', ...words, '--once-timeout', '20s'])).toMatchObject({ code: 4 });
  expect(await place.run(['diff', ...words])).toMatchObject({
    code: 4,
    stderr: expect.stringContaining('it violates the schema'),
  });
  expect(JSON.parse((await place.run(['settings', '--schema'])).stdout)).toHaveProperty('$schema');
});

test('flags and words that a command does not take are mistakes', async (context) => {
  const place = createPlace(context);
  const variables = { OUTPUT: place.at('app.json') };
  const cases: readonly (readonly [readonly string[], string])[] = [
    [['status', '--retry'], 'Cannot use --retry with "status". See "config-sidecar help status".\n'],
    [['run', '--json'], 'Cannot use --json with "run". See "config-sidecar help run".\n'],
    [['status', '--json=yes'], 'Cannot use --json=yes: --json takes no value\n'],
    [['check', '--jsno'], 'Cannot use --jsno: unknown flag; did you mean --json?'],
    [
      ['rollback', '3', '4'],
      'Cannot use "4": "rollback" takes no further words. A setting is given as --name value; see "config-sidecar help rollback".\n',
    ],
    [
      ['sync', 'now'],
      'Cannot use "now": "sync" takes no further words. A setting is given as --name value; see "config-sidecar help sync".\n',
    ],
  ];
  for (const [words, stderr] of cases)
    expect([words, await place.run(words, variables)]).toMatchObject([
      words,
      { code: 2, stderr: expect.stringContaining(stderr) },
    ]);
  expect(await place.run(['sync'])).toMatchObject({
    code: 2,
    stderr: 'Cannot find the sidecar without OUTPUT: give it the same OUTPUT and STATE_DIR.\n',
  });
});
