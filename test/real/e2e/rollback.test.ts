// What does not work is rolled back to what was known to work: once, without flapping, and it is not tried again by itself.
import { rmSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { fileJob, publishedValue } from '../../support/e2e/backing.ts';
import { confirmedAs, ordersJob, publications, startLiving, startsWell } from '../../support/e2e/living.ts';
import { goesBack, isOutcome, pickyHook, shown } from '../../support/e2e/picky.ts';
import { createPlace } from '../../support/e2e/place.ts';
import { until } from '../../support/e2e/until.ts';
import { respond } from '../../support/servers/http-source.ts';

describe.concurrent('a refused reload', () => {
  test('restores the old bytes, notifies once, and reports it everywhere', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    const hook = await pickyHook(place);
    const sidecar = await place.start({ ...job.variables, ...hook.variables });
    const before = await isOutcome(sidecar, 'applied', 'one', place);
    const bytes = place.read('out/app.json');
    const appliedAt = await sidecar.metric('config_sidecar_last_applied_timestamp_seconds');
    job.set('bad');
    const back = await isOutcome(sidecar, 'rolled-back', 'one', place);
    expect(place.read('out/app.json')).toBe(bytes);
    expect(hook.told).toEqual(['one', 'bad', 'bad', 'bad', 'bad', 'one']);
    expect(publications(sidecar)).toEqual(['desired', 'desired', 'rolled-back']);
    const { revision } = before.desired ?? {};
    expect(back).toMatchObject({
      code: 'reload.status',
      message: `Rolled back to the last known good configuration (revision ${revision}): Cannot POST "${hook.server.origin}/reload": it answered 500`,
      desired: { revision: back.desired?.revision },
      running: { revision, evidence: 'answered' },
      lastKnownGood: { revision, rendering: before.lastKnownGood?.rendering },
      blocked: [{ outcome: 'refused', rendering: back.desired?.rendering, code: 'reload.status' }],
      nextAttemptAt: null,
    });
    expect(back.desired?.revision).not.toBe(revision);
    expect(sidecar.logs('rolled-back')).toMatchObject([{ level: 'error' }]);
    expect(sidecar.logs('refused')).toMatchObject([
      { level: 'error', printed: 'line 7: "bad" is no upstream' },
    ]);
    const { stdout } = await place.run(['status'], { ...job.variables, LISTEN: 'off' });
    expect(stdout).toMatch(/: rolled-back: Rolled back .*\n {2}\| line 7: "bad" is no upstream\n/);
    expect((await sidecar.get('/readyz')).status).toBe(200);
    const attempts = await sidecar.metric('config_sidecar_attempts_total');
    expect(attempts).toEqual({
      '{target="default",outcome="applied"}': 1,
      '{target="default",outcome="failed"}': 3,
      '{target="default",outcome="refused"}': 1,
      '{target="default",outcome="rolled-back"}': 1,
    });
    expect(await sidecar.metric('config_sidecar_reload_owed')).toEqual({ '{target="default"}': 0 });
    expect(await sidecar.metric('config_sidecar_generation')).toEqual({ '{target="default"}': 3 });
    expect(await sidecar.metric('config_sidecar_last_applied_timestamp_seconds')).toEqual(appliedAt);
    expect(back.history.map(({ outcome }) => outcome)).toEqual([
      'rolled-back',
      'refused',
      'failed',
      'applied',
    ]);
    await hook.server.stop();
  });

  test('by a command counts as well, and what the command printed is not shown over HTTP', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    const script = place.write(
      'hook.sh',
      `cat ${job.config} >> told; grep -q bad ${job.config} || exit 0; echo "password=hunter2"; exit 9\n`,
    );
    const sidecar = await goesBack(place, job, { ...job.variables, RELOAD_COMMAND: `sh ${script}` });
    const told = place.read('told').trim().split('\n').map(publishedValue);
    expect(told).toEqual(['one', 'bad', 'bad', 'bad', 'bad', 'one']);
    expect((await sidecar.target()).message).toContain('Cannot reload by "sh": it exited with 9');
    for (const path of ['/status', '/', '/metrics', '/readyz'])
      expect((await sidecar.get(path)).body).not.toContain('hunter2');
  });

  test('shows no secret, neither what was sent nor where to', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    const hook = await pickyHook(place);
    const { origin } = hook.server;
    hook.server.answer((request, response) => {
      const no = shown(place) === 'bad';
      respond(response, no ? 500 : 200, no ? `I do not know ${request.headers['authorization']}` : '');
    });
    const sidecar = await goesBack(place, job, {
      ...job.variables,
      RELOAD_URL: `${origin.replace('//', '//me:open-sesame@')}/reload`,
      RELOAD_HEADERS: 'Authorization: Bearer correct-horse',
    });
    expect((await sidecar.target()).message).toContain(`Cannot POST "${origin}/reload": it answered 500`);
    const pages = await Promise.all(['/status', '/', '/metrics', '/readyz'].map((path) => sidecar.get(path)));
    const everything = [sidecar.output(), ...pages.map(({ body }) => body)].join('\n');
    expect(everything).not.toMatch(/correct-horse|open-sesame/);
    expect(pages.map(({ body }) => body).join('\n')).not.toContain('I do not know');
    await hook.server.stop();
  });
});

describe.concurrent('ROLLBACK=false', () => {
  test('says what did not work and leaves it, until something newer comes', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    const hook = await pickyHook(place);
    const sidecar = await place.start({ ...job.variables, ...hook.variables, ROLLBACK: 'false' });
    await isOutcome(sidecar, 'applied', 'one', place);
    job.set('bad');
    expect(await sidecar.outcome('refused')).toMatchObject({
      message: `Cannot POST "${hook.server.origin}/reload": it answered 500. It stays, since ROLLBACK is off.`,
      blocked: [{ outcome: 'refused' }],
    });
    expect(shown(place)).toBe('bad');
    expect(hook.told).toEqual(['one', 'bad', 'bad', 'bad', 'bad']);
    job.set('two');
    await isOutcome(sidecar, 'applied', 'two', place);
    expect(hook.told).toEqual(['one', 'bad', 'bad', 'bad', 'bad', 'two']);
    await hook.server.stop();
  });
});

describe.concurrent('a last known good configuration that does not work any more', () => {
  test('stays, is notified again and again, and recovers as soon as it works', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    const hook = await pickyHook(place);
    const sidecar = await place.start({ ...job.variables, ...hook.variables });
    await isOutcome(sidecar, 'applied', 'one', place);
    hook.refuses = () => true;
    job.set('bad');
    const failed = await sidecar.outcome('rollback-failed');
    expect(failed.message).toMatch(
      /: it answered 500\. It worked before, so it stays, and the application is notified again\.$/,
    );
    expect(failed).toMatchObject({ reloadOwed: true, blocked: [{ outcome: 'refused' }] });
    expect(shown(place)).toBe('one');
    expect(sidecar.logs('rollback-failed')).toMatchObject([{ level: 'error' }]);
    await until('it is notified again', () => hook.told.length > 7);
    hook.refuses = () => false;
    await isOutcome(sidecar, 'rolled-back', 'one', place);
    expect(publications(sidecar)).toEqual(['desired', 'desired', 'rolled-back']);
    expect((await sidecar.target()).blocked).toHaveLength(1);
    await hook.server.stop();
  });

  test('and kills the application is not given up, nor anything published to and fro', async (context) => {
    const place = createPlace(context);
    const job = ordersJob(place, { value: 'one' });
    const doom = place.at('doom');
    const app = await startLiving(place, { config: job.config, restartMs: 200, words: [`doom=${doom}`] });
    const sidecar = await startsWell(place, job);
    place.write('doom', '');
    job.set({ value: 'two' });
    await sidecar.outcome('rollback-failed');
    const deaths = app.pids().length;
    await until('it has died some more times', () => app.pids().length > deaths + 5);
    expect((await sidecar.target()).outcome).toBe('rollback-failed');
    expect(job.shown()).toBe('one');
    rmSync(doom);
    const back = await confirmedAs(sidecar, 'rolled-back', 'one', job);
    expect(back.blocked).toMatchObject([{ outcome: 'target-died' }]);
    expect(publications(sidecar)).toEqual(['desired', 'desired', 'rolled-back']);
    expect(sidecar.logs('rollback-failed')).toHaveLength(1);
  });
});

describe.concurrent('"once"', () => {
  test("ends with 6 after a rollback, and with 4 when the source's data is blocked", async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    const hook = await pickyHook(place);
    const variables = { ...job.variables, ...hook.variables };
    expect((await place.run(['once'], variables)).code).toBe(0);
    job.set('bad');
    const refused = await place.run(['once'], variables);
    expect(refused.code).toBe(6);
    expect(refused.stdout).toContain('"event":"rolled-back"');
    expect(hook.told).toEqual(['one', 'bad', 'bad', 'bad', 'bad', 'one']);
    expect(shown(place)).toBe('one');
    expect((await place.run(['once'], variables)).code).toBe(4);
    expect(hook.told).toHaveLength(6);
    await hook.server.stop();
  });

  test('ends with 6 when it stays, since there is nothing to roll back to', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place, 'bad');
    const hook = await pickyHook(place);
    const refused = await place.run(['once'], { ...job.variables, ...hook.variables });
    expect(refused.code).toBe(6);
    expect(refused.stdout).toContain(
      'It stays: there is no earlier confirmed configuration to roll back to.',
    );
    await hook.server.stop();
  });

  test('waits until it is known whether the application lives', async (context) => {
    const place = createPlace(context);
    const job = ordersJob(place, { value: 'one' });
    const app = await startLiving(place, { config: job.config, restartMs: 300 });
    const variables = { ...job.variables, LISTEN: 'off' };
    const good = await place.run(['once'], variables);
    expect(good.code).toBe(0);
    expect(good.ms).toBeGreaterThan(1_500);
    job.set({ value: 'deadly', dies: 100 });
    const deadly = await place.run(['once'], variables);
    expect(deadly.code).toBe(6);
    expect(deadly.stdout).toContain('"event":"rolled-back"');
    expect(job.shown()).toBe('one');
    expect(app.reads()).toBe('one');
  });
});
