// What `check` as a whole prints, exits with, and leaves alone.
import { mkdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { createStage, fixture, until } from '../../support/application/process/apart.ts';
import { createSite, examine } from '../../support/check/examining.ts';
import { checkWith } from '../../support/check/run-check.ts';
import { respond, startHttpSource } from '../../support/servers/http-source.ts';

test('when all is well, every area is reported in order, and the exit code is 0', async () => {
  const { env, at } = createSite();
  const application = await startHttpSource();
  try {
    application.answer((_request, response) => respond(response, 200, 'fine'));
    const { text, exitCode } = await checkWith(
      { ...env, RELOAD_URL: `${application.origin}/reload`, CONFIRM_URL: `${application.origin}/ready` },
      false,
    );
    const revision = /revision (\S+)\.\n/.exec(text)?.[1] ?? 'none';
    expect(text).toBe(`ok   settings: 6 settings are given, and all are accepted.
ok   source: "${at('config.json')}" was read: a document of 11 bytes, revision ${revision}.
ok   content: It comes to 1 file with 11 bytes.
ok   output: "${at('volume/app.json')}" can be written: staged beside it under a hidden name, so on the same file system; mode 0644, user ${process.geteuid?.()}. This sidecar has published nothing there yet.
ok   state: The state directory "${at('volume/.config-sidecar/app.json')}" (beside the output) can be locked and written; no sidecar runs.
ok   kept: There is nothing to roll back to yet: nothing was published.
ok   process: No process is configured, so whether the application survives a reload is not monitored.
ok   hook: RELOAD_URL "${application.origin}/reload" accepts connections; POST was not sent.
ok   confirmation: CONFIRM_URL "${application.origin}/ready" answers 200.
ok   endpoints: LISTEN is off: there are no endpoints, and no probe can ask.
All 10 checks passed.
`);
    expect(exitCode).toBe(0);
    expect(application.received.map(({ method, url }) => `${method} ${url}`)).toEqual(['GET /ready']);
  } finally {
    await application.stop();
  }
});

test('what fails stands with how to mend it, and is counted', async () => {
  const { env, at } = createSite();
  const { text, exitCode } = await checkWith({ ...env, SOURCE: at('gone.json'), ALLOW_EMPTY: 'true' }, false);
  expect(text).toContain(
    `FAIL source: Cannot read file "${at('gone.json')}": there is nothing; it is followed once it is there. [source.not-found]\n`,
  );
  expect(text).toContain('\n        Check the path in SOURCE, or put the configuration there.\n');
  expect(text).toMatch(/\n1 of \d+ checks failed, 2 warnings\. Fix source\.not-found first\.\n$/);
  expect(exitCode).toBe(3);
});

test.each([
  [0, {}],
  [4, { REQUIRED_KEYS: 'db/host', RELOAD_COMMAND: '/none' }],
  [5, { OUTPUT: '/not/there/app.json', RELOAD_COMMAND: '/none' }],
  [6, { RELOAD_COMMAND: '/none' }],
])('the exit code is %i, by the first area that fails', async (wanted, more) => {
  const { exitCode } = await examine({ ...createSite().env, ...more });
  expect(exitCode).toBe(wanted);
});

test('nothing is left behind, and nothing is notified', async (context) => {
  const site = createSite();
  const stage = createStage(context);
  const { name } = stage;
  const record = stage.at('record');
  stage.start([stage.called(name, process.execPath), fixture('takes-hup.mjs'), record]);
  await until('it listens', () => readFileSync(record, 'utf8') === 'listening\n');
  const before = site.everything();
  const told = { APP_PROCESS: name, VALIDATE_COMMAND: 'test -e {path}' };
  const file = await examine({ ...site.env, ...told });
  expect(file.findings.filter(({ level }) => level !== 'ok')).toEqual([]);
  expect(site.everything()).toEqual(before);
  mkdirSync(site.at('templates'));
  site.write('templates/app.conf.liquid', 'port {{ port }}');
  const templated = site.everything();
  const tree = { OUTPUT: `${site.at('volume')}/`, TEMPLATE: site.at('templates') };
  const directory = await examine({ ...site.env, ...told, ...tree });
  expect(directory.findings.filter(({ level }) => level !== 'ok')).toEqual([]);
  expect(site.everything()).toEqual(templated);
  expect(readFileSync(record, 'utf8')).toBe('listening\n');
});
