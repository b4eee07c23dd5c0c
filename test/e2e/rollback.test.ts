// What does not work is taken back to what was known to work: once, without flapping, and it is not tried again by itself.
import { rmSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { type HttpSource, respond, startHttpSource } from '../servers/http-source.ts';
import { freePorts } from '../servers/ports.ts';
import { type FileJob, fileJob, publishedValue } from './backing.ts';
import { confirmedAs, type OrdersJob, ordersJob, publications, startLiving } from './living.ts';
import { createPlace, type Place } from './place.ts';
import type { Sidecar, TargetSeen, Variables } from './sidecar.ts';
import { until } from './until.ts';

/** An HTTP hook of an application that refuses what it does not like, and keeps what it read when it was told. */
interface Picky {
  readonly variables: Variables;
  /** The values on the volume at each request. */
  readonly told: readonly unknown[];
  /** Which values it refuses; at first those that begin with "bad". */
  refuses: (value: unknown) => boolean;
  readonly server: HttpSource;
}

async function pickyHook(place: Place): Promise<Picky> {
  const server = await startHttpSource();
  const told: unknown[] = [];
  const picky: Picky = {
    variables: { RELOAD_URL: `${server.origin}/reload` },
    told,
    refuses: (value) => String(value).startsWith('bad'),
    server,
  };
  server.answer((_request, response) => {
    const value = publishedValue(place.read('out/app.json'));
    told.push(value);
    const no = picky.refuses(value);
    respond(response, no ? 500 : 200, no ? `line 7: "${value}" is no upstream` : '');
  });
  return picky;
}

function shown(place: Place): unknown {
  return publishedValue(place.read('out/app.json'));
}

async function isOutcome(
  sidecar: Sidecar,
  outcome: string,
  value: unknown,
  place: Place,
): Promise<TargetSeen> {
  return until(`${value} is ${outcome}`, async () => {
    const seen = await sidecar.target();
    if (seen.outcome !== outcome) throw new Error(`it is ${seen.outcome}: ${seen.message}`);
    return shown(place) === value && !seen.reloadOwed && seen;
  });
}

/** One good value applied, then one that is refused. */
async function goesBack(place: Place, job: FileJob, variables: Variables): Promise<Sidecar> {
  const sidecar = await place.start(variables);
  await isOutcome(sidecar, 'applied', 'one', place);
  job.set('bad');
  await isOutcome(sidecar, 'rolled-back', 'one', place);
  return sidecar;
}

describe.concurrent('a refused reload', () => {
  // A-R03 A-R01 C-M06
  test('brings the old bytes back, tells of them once, and says so everywhere', async (context) => {
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
    expect(hook.told).toEqual(['one', 'bad', 'bad', 'bad', 'one']);
    expect(publications(sidecar)).toEqual(['desired', 'desired', 'rolled-back']);
    const { revision } = before.desired ?? {};
    expect(back).toMatchObject({
      code: 'reload.status',
      message: `Went back to the last known good configuration (revision ${revision}): Cannot POST "${hook.server.origin}/reload": it answered 500`,
      desired: { revision: back.desired?.revision },
      running: { revision, evidence: 'answered' },
      lastKnownGood: { revision, rendering: before.lastKnownGood?.rendering },
      blocked: [{ outcome: 'refused', rendering: back.desired?.rendering, code: 'reload.status' }],
      nextAttemptAt: null,
    });
    expect(back.desired?.revision).not.toBe(revision);
    expect(sidecar.logs('rolled-back')).toMatchObject([{ level: 'error' }]);
    expect(sidecar.logs('refused')).toMatchObject([
      { level: 'error', output: 'line 7: "bad" is no upstream' },
    ]);
    expect((await sidecar.get('/readyz')).status).toBe(200);
    const attempts = await sidecar.metric('config_sidecar_attempts_total');
    expect(attempts).toEqual({
      '{target="default",outcome="applied"}': 1,
      '{target="default",outcome="failed"}': 2,
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

  test('by a command is one as well, and what the command printed is not told over HTTP', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    const script = place.write(
      'hook.sh',
      `cat ${job.config} >> told; grep -q bad ${job.config} || exit 0; echo "password=hunter2"; exit 9\n`,
    );
    const sidecar = await goesBack(place, job, { ...job.variables, RELOAD_COMMAND: `sh ${script}` });
    const told = place.read('told').trim().split('\n').map(publishedValue);
    expect(told).toEqual(['one', 'bad', 'bad', 'bad', 'one']);
    expect((await sidecar.target()).message).toContain('Cannot reload by "sh": it exited with 9');
    for (const path of ['/status', '/', '/metrics', '/readyz'])
      expect((await sidecar.get(path)).body).not.toContain('hunter2');
  });

  test('shows no secret of ours, neither what was sent nor where to', async (context) => {
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

describe.concurrent('what is blocked', () => {
  test('stays so over restarts, is said when it is wanted, and does not stand in the way of a change', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    const hook = await pickyHook(place);
    const variables = { ...job.variables, ...hook.variables };
    const first = await goesBack(place, job, variables);
    const [block] = (await first.target()).blocked;
    await first.end();
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
    expect(hook.told).toHaveLength(5);
    job.set('two');
    await isOutcome(third, 'applied', 'two', place);
    job.set('bad');
    expect(await third.outcome('blocked')).toMatchObject({ blocked: [block] });
    expect(shown(place)).toBe('two');
    job.set('bad in another way');
    await isOutcome(third, 'rolled-back', 'two', place);
    expect(hook.told.slice(5)).toEqual(['two', ...Array(3).fill('bad in another way'), 'two']);
    expect((await third.target()).blocked).toHaveLength(2);
    await hook.server.stop();
  });

  test('is tried again under other settings for reload and confirmation, not under other ones', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    const hook = await pickyHook(place);
    const variables = { ...job.variables, ...hook.variables };
    await (await goesBack(place, job, variables)).end();
    const other = await place.start({ ...variables, DEBOUNCE: '20ms', KEEP_GENERATIONS: '3' });
    await other.outcome('blocked');
    await other.end();
    expect(hook.told).toHaveLength(5);
    hook.refuses = () => false;
    const changed = await place.start({ ...variables, RELOAD_METHOD: 'PUT' });
    await isOutcome(changed, 'applied', 'bad', place);
    expect(hook.told).toHaveLength(6);
    expect((await changed.target()).blocked).toEqual([]);
    await hook.server.stop();
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
    expect(hook.told).toEqual(['one', 'bad', 'bad', 'bad', 'one', 'two']);
    const retried = await place.run(['sync', '--retry'], { ...variables, LISTEN: 'off' });
    expect(retried).toMatchObject({ code: 0, stderr: '' });
    expect(await isOutcome(sidecar, 'applied', 'bad', place)).toMatchObject({ blocked: [] });
    await hook.server.stop();
  });
});

/** "one" is known to work by the time this resolves. */
async function begins(place: Place, job: OrdersJob, variables: Variables = {}): Promise<Sidecar> {
  const sidecar = await place.start({ ...job.variables, ...variables });
  await confirmedAs(sidecar, 'applied', 'one', job);
  return sidecar;
}

describe.concurrent('a deadly configuration', () => {
  // A-R03
  test('is taken back before the application comes back, which finds what worked', async (context) => {
    const place = createPlace(context);
    const job = ordersJob(place, { value: 'one' });
    const app = await startLiving(place, { config: job.config, restartMs: 1_500 });
    const sidecar = await begins(place, job);
    job.set({ value: 'deadly', dies: 100 });
    const back = await confirmedAs(sidecar, 'rolled-back', 'one', job);
    expect(back).toMatchObject({
      code: 'confirm.died',
      running: { evidence: 'alive started' },
      blocked: [{ outcome: 'target-died' }],
    });
    expect(publications(sidecar)).toEqual(['desired', 'desired', 'rolled-back']);
    expect(app.values()).toEqual(['one', 'deadly']);
    expect(app.reads()).toBe('one');
    expect((await sidecar.get('/readyz')).status).toBe(200);
  });

  test('that kills it at every start, too, ends with the one that worked', async (context) => {
    const place = createPlace(context);
    const job = ordersJob(place, { value: 'one' });
    const app = await startLiving(place, { config: job.config, restartMs: 0 });
    const sidecar = await begins(place, job);
    for (const [i, value] of ['deadly', 'deadly too'].entries()) {
      job.set({ value, dies: 20 });
      await until(`"${value}" is blocked`, async () => (await sidecar.target()).blocked.length > i);
      await confirmedAs(sidecar, 'rolled-back', 'one', job);
    }
    expect(publications(sidecar)).toEqual(['desired', 'desired', 'rolled-back', 'desired', 'rolled-back']);
    job.set({ value: 'two' });
    await confirmedAs(sidecar, 'applied', 'two', job);
    expect(app.reads()).toBe('two');
  });

  test('is no verdict when the sidecar ends before the application is back: the pod may have ended', async (context) => {
    const place = createPlace(context);
    const job = ordersJob(place, { value: 'one' });
    await startLiving(place, { config: job.config });
    const first = await begins(place, job);
    job.set({ value: 'deadly', diesWhenTold: 100 });
    await until('its death was seen', () => first.logs('target-died').length > 0);
    await until('it went back', () => job.shown() === 'one');
    await first.end();
    await startLiving(place, { config: job.config });
    const second = await place.start(job.variables);
    await until('it is tried again', () => publications(second).includes('desired'));
    expect((await second.target()).blocked).toEqual([]);
  });

  test('stays where there is nothing to go back to, until a process lives with it', async (context) => {
    const place = createPlace(context);
    const job = ordersJob(place, { value: 'one' });
    const doom = place.write('doom', '');
    place.write('out/app.json', '{"value":"before"}\n');
    rmSync(doom);
    await startLiving(place, { config: job.config, restartMs: 200, words: [`doom=${doom}`] });
    place.write('doom', '');
    const sidecar = await place.start(job.variables);
    const died = await sidecar.outcome('target-died');
    expect(died.message).toMatch(/ It stays: nothing was confirmed before that one could go back to\.$/);
    await until('it is blocked', async () => (await sidecar.target()).blocked.length === 1);
    expect(job.shown()).toBe('one');
    expect((await sidecar.get('/readyz')).status).toBe(200);
    rmSync(doom);
    const lives = await confirmedAs(sidecar, 'picked-up', 'one', job);
    expect(lives).toMatchObject({ blocked: [], running: { evidence: 'alive started' } });
    expect(publications(sidecar)).toEqual(['desired']);
  });
});

describe.concurrent('an unconfirmed configuration', () => {
  // C-R13
  test('is taken back, and the application is told of that once', async (context) => {
    const place = createPlace(context);
    const [port = 0] = await freePorts(1);
    const job = ordersJob(place, { value: 'one' });
    const app = await startLiving(place, { config: job.config, words: [`port=${port}`] });
    const sidecar = await begins(place, job, {
      CONFIRM_PERIOD: '200ms',
      CONFIRM_TIMEOUT: '5s',
      CONFIRM_URL: `http://127.0.0.1:${port}/`,
      CONFIRM_MATCH: '^value (?!wrong)',
    });
    job.set({ value: 'wrong' });
    const back = await confirmedAs(sidecar, 'rolled-back', 'one', job);
    expect(back).toMatchObject({ code: 'confirm.no-match', running: { evidence: 'alive probed' } });
    expect(app.values()).toEqual(['one', 'wrong', 'one']);
    expect(app.pids()).toHaveLength(1);
  });

  test('lets a newer change wait, which takes its place without the way back', async (context) => {
    const place = createPlace(context);
    const [port = 0] = await freePorts(1);
    const job = ordersJob(place, { value: 'one' });
    const app = await startLiving(place, { config: job.config, words: [`port=${port}`] });
    const sidecar = await begins(place, job, {
      CONFIRM_PERIOD: '200ms',
      CONFIRM_TIMEOUT: '5s',
      CONFIRM_URL: `http://127.0.0.1:${port}/`,
      CONFIRM_MATCH: '^value (?!wrong)',
      VALIDATE_COMMAND: 'true',
    });
    job.set({ value: 'wrong' });
    await until('it is told of that', () => app.values().includes('wrong'));
    job.set({ value: 'two' });
    await confirmedAs(sidecar, 'applied', 'two', job);
    expect(app.values()).toEqual(['one', 'wrong', 'two']);
    expect(sidecar.logs('unconfirmed')).toHaveLength(1);
    expect(publications(sidecar)).toEqual(['desired', 'desired', 'desired']);
    expect((await sidecar.target()).blocked).toHaveLength(1);
  });

  test('is gone back from when the newer change does not pass its checks', async (context) => {
    const place = createPlace(context);
    const [port = 0] = await freePorts(1);
    const job = ordersJob(place, { value: 'one' });
    const app = await startLiving(place, { config: job.config, words: [`port=${port}`] });
    const sidecar = await begins(place, job, {
      CONFIRM_PERIOD: '200ms',
      CONFIRM_TIMEOUT: '5s',
      CONFIRM_URL: `http://127.0.0.1:${port}/`,
      CONFIRM_MATCH: '^value (?!wrong)',
      VALIDATE_COMMAND: `sh -c '! grep -q invalid "$1"' check {path}`,
    });
    job.set({ value: 'wrong' });
    await until('it is told of that', () => app.values().includes('wrong'));
    job.set({ value: 'invalid' });
    await until('it went back', () => publications(sidecar).includes('rolled-back'));
    await until('it is told of that', () => app.values().length === 3);
    expect(app.values()).toEqual(['one', 'wrong', 'one']);
    expect(job.shown()).toBe('one');
    expect(sidecar.logs('rejected')).toHaveLength(1);
    job.set({ value: 'two' });
    await confirmedAs(sidecar, 'applied', 'two', job);
  });
});

test('a newer change waits for a good verdict, too', async (context) => {
  const place = createPlace(context);
  const job = ordersJob(place, { value: 'one' });
  const app = await startLiving(place, { config: job.config });
  const sidecar = await place.start({ ...job.variables, CONFIRM_PERIOD: '3s' });
  await until('it is told', () => app.values().length === 1);
  job.set({ value: 'two' });
  await confirmedAs(sidecar, 'applied', 'two', job);
  await until('the log says so', () => sidecar.logs('applied').length === 2);
  const order = sidecar.logs().map(({ event }) => event);
  expect(order.filter((event) => ['published', 'applied'].includes(event))).toEqual([
    ...['published', 'applied', 'published', 'applied'],
  ]);
  expect(app.values()).toEqual(['one', 'two']);
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
    expect(hook.told).toEqual(['one', 'bad', 'bad', 'bad']);
    job.set('two');
    await isOutcome(sidecar, 'applied', 'two', place);
    expect(hook.told).toEqual(['one', 'bad', 'bad', 'bad', 'two']);
    await hook.server.stop();
  });
});

describe.concurrent('a last known good configuration that does not work any more', () => {
  test('stays, is told again with growing delay, and is back as soon as it works', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    const hook = await pickyHook(place);
    const sidecar = await place.start({ ...job.variables, ...hook.variables });
    await isOutcome(sidecar, 'applied', 'one', place);
    hook.refuses = () => true;
    job.set('bad');
    const failed = await sidecar.outcome('rollback-failed');
    expect(failed.message).toMatch(
      /: it answered 500\. It worked before, so it stays, and the application is told again\.$/,
    );
    expect(failed).toMatchObject({ reloadOwed: true, blocked: [{ outcome: 'refused' }] });
    expect(shown(place)).toBe('one');
    expect(sidecar.logs('rollback-failed')).toMatchObject([{ level: 'error' }]);
    await until('it is told again', () => hook.told.length > 7);
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
    const sidecar = await begins(place, job);
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
  // C-M01
  test('ends with 6 after it went back, and with 4 when what is wanted is blocked', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    const hook = await pickyHook(place);
    const variables = { ...job.variables, ...hook.variables };
    expect((await place.run(['once'], variables)).code).toBe(0);
    job.set('bad');
    const refused = await place.run(['once'], variables);
    expect(refused.code).toBe(6);
    expect(refused.stdout).toContain('"event":"rolled-back"');
    expect(hook.told).toEqual(['one', 'bad', 'bad', 'bad', 'one']);
    expect(shown(place)).toBe('one');
    expect((await place.run(['once'], variables)).code).toBe(4);
    expect(hook.told).toHaveLength(5);
    await hook.server.stop();
  });

  test('ends with 6 when it stays, since there is nothing to go back to', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place, 'bad');
    const hook = await pickyHook(place);
    const refused = await place.run(['once'], { ...job.variables, ...hook.variables });
    expect(refused.code).toBe(6);
    expect(refused.stdout).toContain('It stays: nothing was confirmed before that one could go back to.');
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
