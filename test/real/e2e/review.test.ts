// What an operator meets over months: a state directory that is taken away, a command that is interrupted, a
// status that must go on being true.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, rmSync, utimesSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { fileJob, httpDocument, publishedValue, replaceFile } from '../../support/e2e/backing.ts';
import { createPlace } from '../../support/e2e/place.ts';
import { MAIN } from '../../support/e2e/sidecar.ts';
import { until } from '../../support/e2e/until.ts';
import { servesDocument, startHttpSource } from '../../support/servers/http-source.ts';

describe.concurrent('a state directory that is removed under a sidecar', () => {
  test('is made again at the next change, which fails nowhere', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    const sidecar = await place.start(job.variables);
    await sidecar.outcome('applied');
    rmSync(place.at('out/.config-sidecar'), { recursive: true });
    job.set('two');
    await until('the change arrives', () => publishedValue(place.read('out/app.json')) === 'two');
    await sidecar.outcome('applied');
    expect(sidecar.logs('failed')).toEqual([]);
    expect(existsSync(place.at('out/.config-sidecar/app.json/ledger.1.json'))).toBe(true);
  });

  test('and taken by another one that waited is that one’s alone, also where copies are validated in it', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    const variables = { ...job.variables, VALIDATE_COMMAND: 'true' };
    const first = await place.start(variables);
    await first.outcome('applied');
    const second = await place.start({ ...variables, HOSTNAME: 'second' });
    expect((await second.outcome('failed')).code).toBe('state.locked');
    // The second one makes and removes files in it while it is being removed.
    rmSync(place.at('out/.config-sidecar'), { recursive: true, maxRetries: 20 });
    await second.outcome('unchanged');
    job.set('two');
    await until('the second publishes', () => second.logs('published').length === 1);
    await until('the first waits for the second', async () =>
      (await first.outcome('failed')).message.includes('second (process '),
    );
    expect(first.logs('published')).toHaveLength(1);
  });

  test('and replaced by something else does not keep it from ending well', async (context) => {
    const place = createPlace(context);
    const sidecar = await place.start(fileJob(place).variables);
    await sidecar.outcome('applied');
    rmSync(place.at('out/.config-sidecar'), { recursive: true });
    place.write('out/.config-sidecar', 'not a directory');
    expect((await sidecar.end()).code).toBe(0);
  });
});

test('a start in a directory that was removed says so', async (context) => {
  const place = createPlace(context);
  const gone = place.directory('gone');
  const child = spawn('sh', ['-c', `rmdir "${gone}" && exec "${process.execPath}" "${MAIN}" once`], {
    cwd: gone,
  });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  const [code] = await once(child, 'close');
  expect({ code, said }).toEqual({
    code: 2,
    said: 'Cannot start: the working directory was removed. Start it in one that exists.\n',
  });
});

// Only an init collects what hooks leave behind.
test('a start as process 1 warns where commands can leave zombies', async (context) => {
  const place = createPlace(context);
  const { variables } = fileJob(place);
  const warned = async (out: string, env: Record<string, string>): Promise<boolean> => {
    const OUTPUT = `${place.directory(out)}/app.json`;
    const options = { env: { PATH: process.env['PATH'], ...variables, LISTEN: 'off', OUTPUT, ...env } };
    // A user namespace of its own may not mount /proc while anything else is mounted within it.
    const own = process.getuid?.() === 0 ? '-pf' : '-rpf';
    const child = spawn('unshare', [own, '--kill-child', '--mount-proc', process.execPath, MAIN], options);
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => {
        output += chunk.toString();
      });
    await until('it has published', () => {
      if (child.exitCode !== null || !output.includes('"event":"applied"')) throw new Error(output);
      return true;
    });
    child.kill('SIGKILL');
    await once(child, 'close');
    return output.includes('The sidecar is process 1 of this container');
  };
  expect(await warned('one', { RELOAD_COMMAND: 'true' })).toBe(true);
  expect(await warned('two', {})).toBe(false);
});

describe.concurrent('once', () => {
  test('does not count an earlier unconfirmed publication as its pass while the source is down', async (context) => {
    const place = createPlace(context);
    const { variables } = fileJob(place);
    const owing = { ...variables, RELOAD_COMMAND: 'sh -c "exit 75"' };
    expect((await place.run(['once'], owing)).code).toBe(0);
    const { code } = await place.run(['once'], {
      ...variables,
      RELOAD_COMMAND: 'true',
      SOURCE: place.at('nowhere.json'),
      ONCE_TIMEOUT: '3s',
    });
    expect(code).toBe(3);
  });

  test('says that it is the template that cannot be read', async (context) => {
    const place = createPlace(context);
    const { code, stdout } = await place.run(['once'], {
      ...fileJob(place).variables,
      TEMPLATE: place.write('app.liquid', 'a'.repeat(2_000)),
      MAX_SIZE: '1KiB',
      ONCE_TIMEOUT: '3s',
    });
    expect(code).toBe(3);
    const last = JSON.parse(stdout.trim().split('\n').at(-1) ?? '{}');
    expect(last).toMatchObject({ event: 'out of time', code: 'source.too-large' });
  });
});

describe.concurrent('a start with a reload that is owed', () => {
  test('notifies only of the newest when the template has changed meanwhile', async (context) => {
    const place = createPlace(context);
    const { variables } = fileJob(place);
    const template = place.write('app.liquid', '{"value":"old"}\n');
    const templated = { ...variables, TEMPLATE: template };
    const owing = await place.run(['once'], { ...templated, RELOAD_COMMAND: 'sh -c "exit 75"' });
    expect(owing.code).toBe(0);
    replaceFile(template, '{"value":"new"}\n');
    // Its time says that it is just being written, so it is read a little later than the source.
    utimesSync(template, 4e9, 4e9);
    const told = place.at('told');
    const sidecar = await place.start({
      ...templated,
      RELOAD_COMMAND: `sh -c 'cat $CONFIG_OUTPUT >> ${told}'`,
    });
    await until('it is notified', () => existsSync(told) && place.read('told').includes('new'));
    await sidecar.outcome('applied');
    expect(place.read('told')).toBe('{"value":"new"}\n');
  });
});

describe.concurrent('status', () => {
  test('names no next attempt where none is made, and the true one where it is far away', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    const refused = await place.start({ ...job.variables, REQUIRED_KEYS: 'missing' });
    await refused.outcome('rejected');
    const source = await startHttpSource();
    context.onTestFinished(() => source.stop());
    source.answer((_request, response) => response.writeHead(404).end());
    const owing = await place.start({
      ...job.variables,
      OUTPUT: place.at('out/b.json'),
      RELOAD_URL: `${source.origin}/reload`,
    });
    await owing.outcome('failed');
    const next = await until('it waits', async () => (await owing.target()).nextAttemptAt);
    // Slowly means every 5 min; and it was asked a moment ago.
    expect(Date.parse(next) - Date.now()).toBeGreaterThan(200_000);
    expect((await refused.target()).nextAttemptAt).toBeNull();
  });

  test('reports again what is owed when a refused change has been withdrawn', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    const sidecar = await place.start({ ...job.variables, APP_PROCESS: place.name });
    await sidecar.outcome('no-target');
    replaceFile(place.at('source.json'), '{"value":');
    await sidecar.outcome('rejected');
    job.set('one');
    expect(await sidecar.outcome('no-target')).toMatchObject({ code: 'reload.no-target', reloadOwed: true });
  });

  test('does not call a change unchanged while the application is being notified of it', async (context) => {
    const place = createPlace(context);
    const server = await startHttpSource();
    context.onTestFinished(() => server.stop());
    const source = httpDocument(server);
    await source.set({ value: 'one' });
    place.directory('out');
    const sidecar = await place.start({
      ...source.variables,
      OUTPUT: place.at('out/app.json'),
      RELOAD_COMMAND: `sh -c 'test ! -e ${place.at('slow')} || sleep 60'`,
    });
    await sidecar.outcome('applied');
    place.write('slow', '');
    await source.set({ value: 'two' });
    await until('it is being notified', async () => (await sidecar.target()).reloadOwed);
    // The same data under new revisions, at every read.
    let count = 0;
    server.answer(
      servesDocument(() => ({ etag: `"new-${count++}"`, body: `${JSON.stringify({ value: 'two' })}\n` })),
    );
    await until('some were read', () => count > 3);
    expect(await sidecar.target()).toMatchObject({ outcome: 'applied', reloadOwed: true });
    expect(
      (await sidecar.metric('config_sidecar_attempts_total'))['{target="default",outcome="unchanged"}'],
    ).toBe(undefined);
  });
});

describe.concurrent('a person who asks again', () => {
  test('by SIGHUP has a schema that was mended looked at', async (context) => {
    const place = createPlace(context);
    const schema = place.write('schema.json', '{"required":["missing"]}');
    const sidecar = await place.start({ ...fileJob(place).variables, SCHEMA: schema });
    await sidecar.outcome('rejected');
    place.write('schema.json', '{}');
    sidecar.signal('SIGHUP');
    await sidecar.outcome('applied');
  });
});

describe.concurrent('a command that is asked to end before it is done', () => {
  test('does not end as if it were', async (context) => {
    const place = createPlace(context);
    const source = await startHttpSource();
    context.onTestFinished(() => source.stop());
    source.answer(() => {});
    const { variables } = fileJob(place);
    const diff = await place.start(
      { ...variables, SOURCE: `${source.origin}/app.json` },
      { words: ['diff'] },
    );
    await until('it asks', () => source.received.length > 0);
    const { code, ms } = await diff.end();
    expect(code).toBe(1);
    expect(ms).toBeLessThan(5_000);
  });
});

describe.concurrent('the status', () => {
  test('shows templates that cannot be read any more, and goes on with the last ones', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    const template = place.write('app.liquid', '{ "value": "{{ value }}" }');
    const sidecar = await place.start({ ...job.variables, TEMPLATE: template });
    expect(await sidecar.outcome('applied')).toMatchObject({
      template: { url: template, up: true, error: null },
    });
    rmSync(template);
    await until(
      'the template is down',
      async () => (await sidecar.status()).targets['default']?.template?.up === false,
    );
    job.set('two');
    await until('the change arrives', () => publishedValue(place.read('out/app.json')) === 'two');
    expect((await sidecar.outcome('applied')).template?.error?.code).toBe('source.not-found');
  });

  test('forgets that another sidecar had the output once it has it itself', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    const first = await place.start(job.variables);
    await first.outcome('applied');
    const second = await place.start({ ...job.variables, SOURCE: place.at('nowhere.json') });
    expect((await second.outcome('failed')).code).toBe('state.locked');
    await first.end();
    // Its source is away: it says what serves, and how old that is.
    const { code, message } = await second.outcome('unchanged');
    expect(code).toBe('source.fallback');
    expect(message).toMatch(
      /^The last known good configuration \(revision sha256:[0-9a-f]{64}, confirmed \d+ s ago\) serves while nothing newer can be had\.$/,
    );
  });
});
