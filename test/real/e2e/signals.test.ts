// Whom a signal may reach, and when: handlers that come late, processes that must not be touched, restarts.
import { copyFileSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { fileJob, publishedValue } from '../../support/e2e/backing.ts';
import { createPlace, isAlive } from '../../support/e2e/place.ts';
import { until } from '../../support/e2e/until.ts';

describe.concurrent('a signal', () => {
  test('is held until the application has its handler, and kills no process', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    const app = await place.app({ config: job.config, listensAfter: place.at('go') });
    const sidecar = await place.start({ ...job.variables, APP_PROCESS: place.name });
    const held = await sidecar.outcome('held-back');
    expect(held).toMatchObject({
      code: 'reload.held-back',
      reloadOwed: true,
      message: `Cannot notify the application: process ${app.pid} (node) has no handler for SIGHUP, which would kill it. It is notified as soon as it has one. If it never installs one, correct RELOAD_SIGNAL, or use RELOAD_URL or RELOAD_COMMAND.`,
    });
    job.set('two');
    await until(
      'the newer change is on the volume meanwhile',
      () => publishedValue(place.read('out/app.json')) === 'two',
    );
    await until('it was looked at again', async () => (await sidecar.target()).outcome === 'held-back');
    expect(app.told()).toEqual([]);
    place.write('go', '');
    await until('it is notified', () => app.told().length === 1);
    expect(app.told().map(publishedValue)).toEqual(['two']);
    await sidecar.outcome('applied');
    expect(app.isRunning()).toBe(true);
    expect(sidecar.logs('held-back').length).toBeLessThanOrEqual(2);
  });

  test('that the application ignores is reported as ignored and stays owed', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    const ignorer = place.spawn('bash', ['-c', `trap '' HUP; exec -a ${place.name} sleep 60`]);
    const sidecar = await place.start({ ...job.variables, APP_PROCESS: place.name });
    expect(await sidecar.outcome('ignored')).toMatchObject({
      code: 'reload.ignored',
      reloadOwed: true,
      running: null,
      message: `Cannot notify the application: process ${ignorer.pid} (sleep) ignores SIGHUP. It is notified once it no longer ignores it. Check RELOAD_SIGNAL, and how the application is started: nohup makes it ignore SIGHUP.`,
    });
  });

  test('is not sent to a zombie', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    copyFileSync('/bin/true', place.at(place.name));
    place.spawn('bash', ['-c', `(sleep 0.5; exec ./${place.name}) & exec sleep 60`]);
    await until('the zombie is there', () => isZombie(place.name));
    const sidecar = await place.start({ ...job.variables, APP_PROCESS: place.name });
    const { message } = await sidecar.outcome('no-target');
    expect(message).toMatch(
      new RegExp(
        `: no process that may be notified is named "${place.name}": \\d+ \\(${place.name}\\) is a zombie\\.`,
      ),
    );
  });

  test('is sent to the running application; one that started after the publication needs none', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    const first = await place.app({ config: job.config });
    const sidecar = await place.start({ ...job.variables, APP_PROCESS: place.name });
    await until('the first one is notified', () => first.told().length === 1);
    await first.kill();
    job.set('two');
    expect(await sidecar.outcome('no-target')).toMatchObject({ reloadOwed: true, code: 'reload.no-target' });
    const second = await place.app({ config: job.config });
    expect(await sidecar.outcome('picked-up')).toMatchObject({
      reloadOwed: false,
      running: { evidence: 'started' },
    });
    job.set('three');
    await until('the second one is notified', () => second.told().length > 0);
    expect(second.told().map(publishedValue)).toEqual(['three']);
    expect(second.records()[0]).toMatchObject({ event: 'started', content: '{"value":"two"}\n' });
  });

  test('is not sent while two unrelated processes match, and sent when one is left', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    const [one, other] = await Promise.all([
      place.app({ config: job.config }),
      place.app({ config: job.config }),
    ]);
    const sidecar = await place.start({ ...job.variables, APP_PROCESS: place.name });
    expect(await sidecar.outcome('ambiguous')).toMatchObject({ code: 'reload.ambiguous', reloadOwed: true });
    await other.kill();
    await until('the one left is notified', () => one.told().length === 1);
    expect(other.told()).toEqual([]);
    await sidecar.outcome('applied');
  });

  test('SIGTERM asks for a restart, and the process that comes back has read the new configuration', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    const first = await place.app({ config: job.config });
    const sidecar = await place.start({
      ...job.variables,
      APP_PROCESS: place.name,
      RELOAD_SIGNAL: 'SIGTERM',
    });
    await until('it was asked to restart', () => first.told('SIGTERM').length === 1);
    await sidecar.outcome('applied');
    const second = await place.app({ config: job.config });
    job.set('two');
    await until('the new one was asked as well', () => second.told('SIGTERM').length === 1);
    expect(second.told('SIGTERM').map(publishedValue)).toEqual(['two']);
  });

  test('does not reach a validator that has the name of the application', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    const seen = place.at('validator-records');
    const recorder = new URL('../../support/fixtures/processes/recorder.mjs', import.meta.url).pathname;
    const validator = place.write(
      'validator.sh',
      `(exec -a ${place.name} "${process.execPath}" "${recorder}" "${seen}" "$1") & child=$!; sleep 2; kill -KILL $child\n`,
    );
    const sidecar = await place.start({
      ...job.variables,
      APP_PROCESS: place.name,
      VALIDATE_COMMAND: `bash "${validator}" {path}`,
    });
    const validations = (): number => place.read('validator-records').split('"started"').length - 1;
    await sidecar.outcome('no-target');
    const app = await place.app({ config: job.config, listensAfter: place.at('go') });
    job.set('two');
    await until('the second check runs', () => validations() > 1);
    place.write('go', '');
    await until('the application is notified', () => app.told().length > 0);
    await sidecar.outcome('applied');
    expect(app.told().map(publishedValue)).toEqual(['two']);
    const validated = place
      .read('validator-records')
      .split('\n')
      .filter((line) => line !== '');
    expect(
      validated.map((line) => JSON.parse(line).event).filter((event) => event.startsWith('SIG')),
    ).toEqual([]);
    expect(validated.length).toBeGreaterThanOrEqual(2);
  });
});

function isZombie(name: string): boolean {
  return readdirSync('/proc').some((entry) => {
    try {
      return /^\d+$/.test(entry) && readFileSync(`/proc/${entry}/stat`, 'utf8').includes(`(${name}) Z `);
    } catch {
      return false;
    }
  });
}

describe.concurrent('a PID file', () => {
  test('that names no process of the application leads to no signal, and each case reports its reason', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    const other = await place.app({ config: job.config, name: 'other' });
    const dead = await place.app({ config: job.config, name: 'dead' });
    await dead.kill();
    const cases: readonly (readonly [content: string, reason: string])[] = [
      ['-1', 'holds -1, which stands for many processes'],
      ['0', 'holds 0, which stands for many processes'],
      ['', 'is empty'],
      ['text', 'does not hold one number'],
      [
        `${dead.pid}`,
        `holds ${dead.pid}, but no process has the number ${dead.pid} and is named "${place.name}"`,
      ],
      [
        `${other.pid}`,
        `holds ${other.pid}, but no process has the number ${other.pid} and is named "${place.name}"`,
      ],
    ];
    const results = await Promise.all(
      cases.map(async ([content], i) => {
        const pidFile = place.write(`pids/${i}`, content);
        place.directory(`out-${i}`);
        const names = { APP_PID_FILE: pidFile, APP_PROCESS: place.name };
        const output = { OUTPUT: place.at(`out-${i}/app.json`) };
        const { code, stdout } = await place.run(['once'], { ...job.variables, ...output, ...names });
        const line = stdout.split('\n').find((text) => text.includes('"event":"no-target"')) ?? '{}';
        return { code, message: JSON.parse(line).message, pidFile };
      }),
    );
    cases.forEach(([, reason], i) => {
      const { code, message, pidFile } = results[i] ?? {};
      expect({ code, message }).toEqual({
        code: 0,
        message: `Cannot notify the application: the PID file "${pidFile}" ${reason}. It is notified as soon as it is there.`,
      });
    });
    expect(other.told()).toEqual([]);
  });

  test('is read at every look, and a sidecar never signals itself', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    const pidFile = place.at('app.pid');
    const sidecar = await place.start({ ...job.variables, APP_PID_FILE: pidFile });
    expect((await sidecar.outcome('no-target')).message).toBe(
      `Cannot notify the application: the PID file "${pidFile}" is not there. It is notified as soon as it is there.`,
    );
    place.write('app.pid', `${sidecar.pid}\n`);
    await until('the reason is the new one', async () =>
      (await sidecar.target()).message.includes('this sidecar itself'),
    );
    const app = await place.app({ config: job.config, name: 'anything' });
    place.write('app.pid', `${app.pid}\n`);
    await sidecar.outcome('picked-up');
    job.set('two');
    await until('the application is notified', () => app.told().length === 1);
    expect(isAlive(sidecar.pid)).toBe(true);
    expect(sidecar.logs('settings refused')).toEqual([]);
  });
});
