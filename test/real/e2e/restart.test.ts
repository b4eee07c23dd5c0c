// What outlives the sidecar: nothing owed is forgotten, and no notification is repeated.
import { once } from 'node:events';
import { existsSync, readdirSync, rmSync, statSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { fileJob, fileTree, publishedValue } from '../../support/e2e/backing.ts';
import { createPlace, isAlive } from '../../support/e2e/place.ts';
import { until } from '../../support/e2e/until.ts';
import { respond, startHttpSource } from '../../support/servers/http-source.ts';

describe.concurrent('a start', () => {
  test('does not notify when nothing changed, and notifies once when something did', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    const app = await place.app({ config: job.config });
    const variables = { ...job.variables, APP_PROCESS: place.name };
    const first = await place.start(variables);
    await until('it is notified', () => app.told().length === 1);
    await first.outcome('applied');
    await first.end();
    const { ino, mtimeMs } = statSync(job.config);
    const second = await place.start(variables);
    await second.outcome('unchanged');
    expect(second.logs().filter(({ event }) => event !== 'started' && event !== 'source up')).toEqual([]);
    await second.end();
    expect(statSync(job.config)).toMatchObject({ ino, mtimeMs });
    job.set('two');
    const third = await place.start(variables);
    await until('it is notified of the change', () => app.told().length > 1);
    job.set('three');
    await until('it is notified of the next change', () => app.told().map(publishedValue).includes('three'));
    expect(app.told().map(publishedValue)).toEqual(['one', 'two', 'three']);
    await third.outcome('applied');
  });

  test('after a kill between the rename and the signal sends the signal, exactly once', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    const app = await place.app({ config: job.config, listensAfter: place.at('go') });
    const variables = { ...job.variables, APP_PROCESS: place.name };
    const first = await place.start(variables);
    await first.outcome('held-back');
    await first.end('SIGKILL');
    expect(publishedValue(place.read('out/app.json'))).toBe('one');
    const second = await place.start(variables);
    await second.outcome('held-back');
    place.write('go', '');
    await until('it is notified', () => app.told().length > 0);
    await second.outcome('applied');
    job.set('two');
    await until('it is notified of the next change', () => app.told().map(publishedValue).includes('two'));
    expect(app.told().map(publishedValue)).toEqual(['one', 'two']);
  });

  test('after a kill while the hook was being asked asks it again', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    const hook = await startHttpSource();
    hook.answer(() => {});
    const variables = { ...job.variables, RELOAD_URL: `${hook.origin}/reload` };
    const first = await place.start(variables);
    await until('the hook is asked', () => hook.received.length === 1);
    await first.end('SIGKILL');
    hook.answer((_request, response) => respond(response, 204, ''));
    const second = await place.start(variables);
    expect(await second.outcome('applied')).toMatchObject({
      reloadOwed: false,
      running: { evidence: 'answered' },
    });
    expect(hook.received).toHaveLength(2);
    await second.end();
    const third = await place.start(variables);
    await third.outcome('unchanged');
    expect(hook.received).toHaveLength(2);
    await hook.stop();
  });

  test('notifies of what is owed, even when the source has returned to its earlier data', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    const hook = await startHttpSource();
    hook.answer((_request, response) => respond(response, 204, ''));
    const variables = { ...job.variables, RELOAD_URL: `${hook.origin}/reload` };
    const first = await place.start(variables);
    await first.outcome('applied');
    hook.answer((_request, response) => respond(response, 503, 'later'));
    job.set('two');
    expect(await first.outcome('failed')).toMatchObject({ reloadOwed: true });
    await first.end();
    const tries = hook.received.length;
    job.set('one');
    hook.answer((_request, response) => respond(response, 204, ''));
    const second = await place.start(variables);
    expect(await second.outcome('applied')).toMatchObject({ reloadOwed: false });
    expect(publishedValue(place.read('out/app.json'))).toBe('one');
    expect(hook.received).toHaveLength(tries + 1);
    await hook.stop();
  });

  test('finds that the application started after the publication, and sends no signal', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    const variables = { ...job.variables, APP_PROCESS: place.name };
    const first = await place.start(variables);
    await first.outcome('no-target');
    await first.end('SIGKILL');
    const app = await place.app({ config: job.config });
    const second = await place.start(variables);
    expect(await second.outcome('picked-up')).toMatchObject({
      reloadOwed: false,
      running: { evidence: 'started' },
    });
    job.set('two');
    await until('it is notified', () => app.told().length > 0);
    expect(app.told().map(publishedValue)).toEqual(['two']);
  });

  test('removes the file of a key that was deleted meanwhile', async (context) => {
    const place = createPlace(context);
    const source = fileTree(place);
    place.directory('out');
    await source.set({ stays: 'a', goes: 'b' });
    const variables = { ...source.variables, OUTPUT: `${place.at('out')}/` };
    const first = await place.start(variables);
    await first.outcome('applied');
    expect(place.read('out/goes')).toBe('b');
    await first.end();
    rmSync(place.at('source/goes'));
    const second = await place.start(variables);
    await second.outcome('applied');
    expect(readdirSync(place.at('out')).filter((name) => !name.startsWith('..'))).toEqual(['stays']);
    expect(readdirSync(place.at('out/..data'))).toEqual(['stays']);
  });

  test('after many kills shows whole files, leaves nothing behind, and ends with the last value told', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place, 0);
    place.write('out/.other.tmp', 'not ours');
    const hook = place.write('hook.sh', `cat ${job.config} >> told\n`);
    const variables = {
      ...job.variables,
      RELOAD_COMMAND: `sh ${hook}`,
      RELOAD_MIN_INTERVAL: '0s',
      DEBOUNCE: '0s',
    };
    for (let round = 1; round <= 6; round += 1) {
      const sidecar = await place.start(variables);
      await until('it follows the source', () => sidecar.logs('source up').length > 0);
      for (let change = 0; change < 8; change += 1) {
        job.set(round * 100 + change);
        await sleep(Math.random() * 40);
        if (existsSync(job.config)) expect(publishedValue(place.read('out/app.json'))).toBeTypeOf('number');
      }
      await sidecar.end('SIGKILL');
    }
    job.set('last');
    const sidecar = await place.start(variables);
    await until(
      'it is notified of the last one',
      () => existsSync(place.at('told')) && place.read('told').endsWith('{"value":"last"}\n'),
    );
    await sidecar.outcome('applied');
    expect(readdirSync(place.at('out')).sort()).toEqual(['.config-sidecar', '.other.tmp', 'app.json']);
    await sidecar.end();
    expect(readdirSync(place.at('out/.config-sidecar/app.json')).sort()).toEqual([
      'generations',
      'ledger.0.json',
      'ledger.1.json',
    ]);
  });
});

describe.concurrent('SIGTERM', () => {
  test('during a hook ends within a second, ends the hook too, and the next start makes up for it', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    const hook = place.write('hook.sh', 'echo $$ >> hooks; sleep 300 & echo $! >> hooks; wait\n');
    const variables = { ...job.variables, RELOAD_COMMAND: `sh ${hook}` };
    const first = await place.start(variables);
    const pids = await until('the hook runs', () => {
      const found = existsSync(place.at('hooks')) ? place.read('hooks').trim().split('\n').map(Number) : [];
      return found.length === 2 && found;
    });
    const { code, ms } = await first.end();
    expect(code).toBe(0);
    expect(ms).toBeLessThan(5_000);
    await until('nothing of the hook is left', () => !pids.some(isAlive));
    place.write('hook.sh', 'echo told >> told\n');
    const second = await place.start(variables);
    await second.outcome('applied');
    expect(place.read('told')).toBe('told\n');
  });

  test('during a check ends within a second, ends the check too, and publishes nothing', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    const check = place.write('check.sh', 'echo $$ >> checks; exec sleep 300\n');
    const variables = { ...job.variables, VALIDATE_COMMAND: `sh ${check} {path}` };
    const first = await place.start(variables);
    const pid = await until(
      'the check runs',
      () => existsSync(place.at('checks')) && Number(place.read('checks')),
    );
    const { code, ms } = await first.end();
    expect(code).toBe(0);
    expect(ms).toBeLessThan(5_000);
    await until('the check is gone', () => !isAlive(pid));
    expect(readdirSync(place.at('out'))).toEqual(['.config-sidecar']);
    expect(readdirSync(place.at('out/.config-sidecar/app.json'))).toEqual([]);
    place.write('check.sh', 'exit 0\n');
    const second = await place.start(variables);
    await second.outcome('applied');
  });

  test.for(['SIGTERM', 'SIGINT'] as const)(
    'and SIGINT end an idle sidecar with 0 (%s)',
    async (signal, context) => {
      const place = createPlace(context);
      const job = fileJob(place);
      const sidecar = await place.start(job.variables);
      await sidecar.outcome('applied');
      const { code, ms } = await sidecar.end(signal);
      expect(code).toBe(0);
      expect(ms).toBeLessThan(5_000);
      expect(sidecar.logs('stopping')).toHaveLength(1);
    },
  );
});

describe.concurrent('a second sidecar', () => {
  test('waits for the first, names it, is not ready, and takes over when the first is killed', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    const app = await place.app({ config: job.config });
    const variables = { ...job.variables, APP_PROCESS: place.name };
    const first = await place.start({ ...variables, HOSTNAME: 'pod-one' });
    await first.outcome('applied');
    const second = await place.start({ ...variables, HOSTNAME: 'pod-two' });
    expect(await second.outcome('failed')).toMatchObject({
      code: 'state.locked',
      message: `Cannot take over "${job.config}": pod-one (process ${first.pid}) holds the lock. This sidecar waits until that one has ended.`,
    });
    expect(await second.get('/readyz')).toEqual({
      status: 503,
      body: `not ready\ndefault: Cannot take over "${job.config}": pod-one (process ${first.pid}) holds the lock. This sidecar waits until that one has ended.\n`,
    });
    job.set('two');
    await until('the first one still works', () => app.told().length === 2);
    await until('it has noted that', async () => !(await first.target()).reloadOwed);
    await first.end('SIGKILL');
    await second.outcome('unchanged');
    expect((await second.get('/readyz')).status).toBe(200);
    job.set('three');
    await until('the second one works', () => app.told().length === 3);
    expect(app.told().map(publishedValue)).toEqual(['one', 'two', 'three']);
    expect(second.logs('failed')).toHaveLength(1);
  });

  test('that runs once never waits longer than its time', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    const first = await place.start(job.variables);
    await first.outcome('applied');
    const { code, ms } = await place.run(['once'], { ...job.variables, ONCE_TIMEOUT: '1500ms' });
    expect(code).toBe(5);
    expect(ms).toBeGreaterThan(1_400);
  });

  // Each read may take longer than the pass.
  test('that runs once names the store that never answers', async (context) => {
    const place = createPlace(context);
    place.directory('out');
    const mute = createServer().listen(0, '127.0.0.1');
    context.onTestFinished(() => void mute.close());
    await once(mute, 'listening');
    const { port } = mute.address() as AddressInfo;
    for (const source of ['http', 'etcd', 'consul'].map((scheme) => `${scheme}://127.0.0.1:${port}/app/`)) {
      const variables = { SOURCE: source, OUTPUT: `${place.at('out')}/app.json`, ONCE_TIMEOUT: '1s' };
      const { code, stdout } = await place.run(['once'], variables);
      expect(code).toBe(3);
      expect(JSON.parse(stdout.trim().split('\n').at(-1) ?? '').message).toBe(
        `Cannot read the source "${source}": it has not answered within ONCE_TIMEOUT. Check that it runs and can be reached from here, or set a longer ONCE_TIMEOUT.`,
      );
    }
  });
});
