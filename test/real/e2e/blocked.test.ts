// What did not work is blocked, over restarts, until something about it changes or an operator lifts the block.
import { request } from 'node:http';
import { describe, expect, test } from 'vitest';
import { fileJob } from '../../support/e2e/backing.ts';
import { startLiving } from '../../support/e2e/living.ts';
import { goesBack, isOutcome, pickyHook, shown } from '../../support/e2e/picky.ts';
import { createPlace } from '../../support/e2e/place.ts';

describe.concurrent('what is blocked', () => {
  test('stays blocked over restarts, is reported when the source has it, and does not block other changes', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    const hook = await pickyHook(place);
    const variables = { ...job.variables, ...hook.variables };
    const first = await goesBack(place, job, variables);
    const [block] = (await first.target()).blocked;
    await first.end();
    const count = hook.told.length;
    const second = await place.start(variables);
    const seen = await second.outcome('blocked');
    expect(seen.blocked).toEqual([block]);
    expect(seen.message).toMatch(
      /^It is known not to work \(refused, 20.*Z\) and is not tried again by itself; "config-sidecar sync --retry" tries it: Cannot POST /,
    );
    expect(seen).toMatchObject({ code: 'reload.status', reloadOwed: false, nextAttemptAt: null });
    expect((await second.get('/readyz')).status).toBe(200);
    await second.end('SIGKILL');
    const third = await place.start(variables);
    await third.outcome('blocked');
    expect(hook.told).toHaveLength(count);
    job.set('two');
    await isOutcome(third, 'applied', 'two', place);
    job.set('bad');
    expect(await third.outcome('blocked')).toMatchObject({ blocked: [block] });
    expect(shown(place)).toBe('two');
    job.set('bad in another way');
    await isOutcome(third, 'rolled-back', 'two', place);
    const later = hook.told.slice(count);
    expect(later.filter((value) => value !== 'bad in another way')).toEqual(['two', 'two']);
    expect(later.length).toBeGreaterThanOrEqual(5);
    expect((await third.target()).blocked).toHaveLength(2);
    await hook.server.stop();
  });

  test('is tried again under other settings for reload and confirmation, not under other ones', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    const hook = await pickyHook(place);
    const variables = { ...job.variables, ...hook.variables };
    await (await goesBack(place, job, variables)).end();
    const count = hook.told.length;
    const other = await place.start({ ...variables, DEBOUNCE: '20ms', KEEP_GENERATIONS: '3' });
    await other.outcome('blocked');
    await other.end();
    expect(hook.told).toHaveLength(count);
    hook.refuses = () => false;
    const changed = await place.start({ ...variables, RELOAD_METHOD: 'PUT' });
    await isOutcome(changed, 'applied', 'bad', place);
    expect(hook.told).toHaveLength(count + 1);
    expect((await changed.target()).blocked).toEqual([]);
    await hook.server.stop();
  });

  test('and had to stay is found to work once there is no application left to notify', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    const refusing = { ...job.variables, RELOAD_COMMAND: "sh -c 'exit 5'" };
    expect((await place.run(['once'], refusing)).code).toBe(6);
    expect((await place.run(['once'], job.variables)).code).toBe(0);
    const sidecar = await place.start(job.variables);
    const seen = await sidecar.outcome('unchanged');
    expect(seen.lastKnownGood?.rendering).toBe(seen.desired?.rendering);
  });

  test('and had to stay is reported as such where only a start of the application can confirm it', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    const refusing = { ...job.variables, RELOAD_COMMAND: "sh -c 'exit 5'" };
    expect((await place.run(['once'], refusing)).code).toBe(6);
    const sidecar = await place.start({ ...job.variables, APP_PROCESS: place.name, RELOAD_SIGNAL: 'none' });
    const seen = await sidecar.outcome('refused');
    expect(seen.message).toContain('It is known not to work (refused, ');
    await startLiving(place, { config: job.config });
    await sidecar.outcome('picked-up');
  });

  test('is not lifted by SIGHUP, but by "sync --retry"', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    const hook = await pickyHook(place);
    const variables = { ...job.variables, ...hook.variables };
    const sidecar = await goesBack(place, job, variables);
    hook.refuses = () => false;
    sidecar.signal('SIGHUP');
    // Whether a signal does nothing shows only when something that came after it is done.
    job.set('two');
    await isOutcome(sidecar, 'applied', 'two', place);
    job.set('bad');
    await sidecar.outcome('blocked');
    sidecar.signal('SIGHUP');
    expect((await place.run(['sync'], { ...variables, LISTEN: 'off' })).code).toBe(4);
    expect((await sidecar.target()).outcome).toBe('blocked');
    expect(hook.told).toEqual(['one', 'bad', 'bad', 'bad', 'bad', 'one', 'two']);
    const retried = await place.run(['sync', '--retry'], { ...variables, LISTEN: 'off' });
    expect(retried).toMatchObject({ code: 0, stderr: '' });
    expect(await isOutcome(sidecar, 'applied', 'bad', place)).toMatchObject({ blocked: [] });
    await hook.server.stop();
  });
});

test('what is blocked is tried again on request over HTTP', async (context) => {
  const place = createPlace(context);
  const job = fileJob(place);
  const hook = await pickyHook(place);
  const sidecar = await goesBack(place, job, {
    ...job.variables,
    ...hook.variables,
    CONTROL_TOKEN: 'correct-horse',
  });
  hook.refuses = () => false;
  const headers = { Authorization: 'Bearer correct-horse' };
  expect(await post(sidecar.port, '/sync?retry=true', {})).toBe(401);
  expect(await post(sidecar.port, '/sync', headers)).toBe(200);
  expect(await post(sidecar.port, '/sync?retry=true', headers)).toBe(200);
  expect(await isOutcome(sidecar, 'applied', 'bad', place)).toMatchObject({ blocked: [] });
  expect(hook.told).toEqual(['one', 'bad', 'bad', 'bad', 'bad', 'one', 'bad']);
  await hook.server.stop();
});

/** The status it is answered with. */
function post(port: number, path: string, headers: Readonly<Record<string, string>>): Promise<number> {
  return new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port, path, method: 'POST', headers, agent: false });
    asked.on('response', (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    asked.on('error', reject);
    asked.end();
  });
}
