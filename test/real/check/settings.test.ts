// Settings that are legal and likely to hurt.
import { expect, test } from 'vitest';
import { codesOf, createSite, examine, withCode } from '../../support/check/examining.ts';
import type { Env } from '../../support/check/run-check.ts';

const warnings = async (more: Env): Promise<readonly string[]> => {
  const examined = await examine({ ...createSite().env, ...more });
  return codesOf(examined, 'warn').filter((code) => code.startsWith('settings'));
};

test('a variable that is nearly a setting is reported', async () => {
  const examined = await examine({ ...createSite().env, RELOAD_SIGNL: 'SIGHUP', RELOAD_COMMAND: 'true' });
  expect(withCode(examined, 'settings.suspicious')).toEqual({
    area: 'settings',
    level: 'warn',
    code: 'settings.suspicious',
    message:
      'The environment variable RELOAD_SIGNL is not a setting and is ignored; did you mean RELOAD_SIGNAL?',
    mend: 'Change it, unless it is meant.',
  });
});

test('a CONFIG_FILE that was left there hides the store', async () => {
  const { env, at } = createSite();
  const examined = await examine({ ...env, CONFIG_FILE: at('config.json'), SOURCE: 'http://127.0.0.1:1/a' });
  expect(withCode(examined, 'settings.shadowed-source').message).toBe(
    'CONFIG_FILE is followed, so SOURCE is not: changes in the store change nothing here.',
  );
});

test('RELOAD_GATE=off is reported, unless the signal needs no handler', async () => {
  const gate = { APP_PROCESS: 'none', RELOAD_GATE: 'off' };
  const examined = await examine({ ...createSite().env, ...gate });
  expect(withCode(examined, 'settings.gate-off').message).toBe(
    'RELOAD_GATE is off: SIGHUP is also sent to a process that has no handler for it yet, which kills it.',
  );
  const patient = { RELOAD_SIGNAL: 'SIGTERM', CONFIRM_TIMEOUT: '6m' };
  expect(await warnings({ ...gate, ...patient })).toEqual([]);
  expect(await warnings({ APP_PROCESS: 'none' })).toEqual([]);
});

test('no period means that a death is not noticed', async () => {
  const blind = { APP_PROCESS: 'none', RELOAD_COMMAND: 'true', CONFIRM_PERIOD: '0' };
  const examined = await examine({ ...createSite().env, ...blind });
  expect(withCode(examined, 'settings.period-off').message).toBe(
    'CONFIRM_PERIOD is 0: a configuration that kills the application is not noticed, so ROLLBACK does not undo it.',
  );
  expect(codesOf(examined, 'warn').filter((code) => code.startsWith('settings'))).toEqual([
    'settings.period-off',
  ]);
});

test('settings with nothing that could confirm are reported; a process, a URL or a hook that answers is enough', async () => {
  const examined = await examine(createSite().env);
  expect(withCode(examined, 'settings.unconfirmed').message).toBe(
    'Nothing confirms that the application works with a new configuration: every published configuration counts as working.',
  );
  expect(await warnings({ APP_PROCESS: 'none' })).toEqual([]);
  expect(await warnings({ RELOAD_COMMAND: 'true' })).toEqual([]);
  expect(await warnings({ CONFIRM_URL: 'http://127.0.0.1:1/' })).toEqual([]);
  expect(await warnings({ APP_PROCESS: 'none', CONFIRM_PERIOD: '0' })).toEqual([
    'settings.period-off',
    'settings.unconfirmed',
  ]);
});

test('a roll-back that is off is reported', async () => {
  const examined = await examine({ ...createSite().env, APP_PROCESS: 'none', ROLLBACK: 'false' });
  expect(withCode(examined, 'settings.rollback-off').message).toBe(
    'ROLLBACK is false: a configuration that does not work stays on the volume, and a restart of the application reads it again.',
  );
});
