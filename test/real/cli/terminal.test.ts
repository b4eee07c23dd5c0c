// What a terminal shows that a pipe does not: colours, off with NO_COLOR, and a counter while a command waits.
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openTerminal } from '../../support/cli/terminal.ts';
import { createPlace } from '../../support/e2e/place.ts';
import { DIST } from '../../support/e2e/sidecar.ts';
import { startHttpSource } from '../../support/servers/http-source.ts';

const PROGRAM = `${process.execPath} ${join(DIST, 'main.js')}`;

test('check has coloured marks on a terminal, and none with NO_COLOR or in a pipe', async (context) => {
  const place = createPlace(context);
  place.write('app.yaml', 'a: 1\n');
  const words = ['check', '--source', './app.yaml', '--output', './app.json', '--listen', 'off'];
  const run = async (env: Readonly<Record<string, string>>): Promise<string> => {
    const terminal = openTerminal(`${PROGRAM} ${words.join(' ')}`, env, place.root);
    expect(await terminal.ended).toBe(0);
    return terminal.screen();
  };
  expect(await run({})).toContain('\x1b[32mok  \x1b[0m source: ');
  for (const plain of [
    await run({ NO_COLOR: '1' }),
    await run({ TERM: 'dumb' }),
    (await place.run(words)).stdout,
  ]) {
    expect(plain).toMatch(/^ok {3}source: /m);
    expect(plain).not.toContain('\x1b');
  }
});

test('a diff is coloured on a terminal', async (context) => {
  const place = createPlace(context);
  place.write('app.yaml', 'a: 1\n');
  const terminal = openTerminal(`${PROGRAM} diff --source ./app.yaml --output ./app.json`, {}, place.root);
  await terminal.ended;
  expect(terminal.screen()).toContain('\x1b[32m+  "a": 1\x1b[0m');
});

test('a counter runs while the source does not answer, and its line is empty afterwards', async (context) => {
  const place = createPlace(context);
  const silent = await startHttpSource();
  context.onTestFinished(() => silent.stop());
  silent.answer(() => {});
  const words = [
    'diff',
    '--source',
    `${silent.origin}/a.json`,
    '--output',
    './app.json',
    '--fetch-timeout',
    '3s',
  ];
  const terminal = openTerminal(`${PROGRAM} ${words.join(' ')}`, {}, place.root);
  await terminal.shows(/^Reading the source … 1 s/m);
  expect(await terminal.ended).toBe(3);
  expect(terminal.screen()).toMatch(/ s\x1b\[K\r\x1b\[KCannot /);
  const piped = await place.run(words);
  expect(piped.stdout + piped.stderr).not.toContain('…');
});
