// What only a terminal gets: colours and a counter.
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { colorDiff, colorFindings, counting, wantsColors } from '../../../src/cli/terminal.ts';

test.each([
  [true, {}, true],
  [true, { NO_COLOR: '' }, true],
  [true, { NO_COLOR: '1' }, false],
  [true, { NO_COLOR: '0' }, false],
  [true, { TERM: 'dumb' }, false],
  [false, { TERM: 'xterm' }, false],
])('terminal %s with %j: colours %s', (isTerminal, env, wanted) => {
  expect(wantsColors(isTerminal, env)).toBe(wanted);
});

test('findings have their mark in colour, and nothing else', () => {
  expect(colorFindings('ok   a: x\nwarn b: y\nFAIL c: z\n        okay\nwarning\n')).toBe(
    '\x1b[32mok  \x1b[0m a: x\n\x1b[33mwarn\x1b[0m b: y\n\x1b[31mFAIL\x1b[0m c: z\n        okay\nwarning\n',
  );
});

test('a diff has what goes in red and what comes in green', () => {
  expect(colorDiff('--- a/x\n+++ b/x\n@@ -1 +1 @@\n-old\n+new\n same\n')).toBe(
    '\x1b[1m--- a/x\x1b[0m\n\x1b[1m+++ b/x\x1b[0m\n\x1b[36m@@ -1 +1 @@\x1b[0m\n\x1b[31m-old\x1b[0m\n\x1b[32m+new\x1b[0m\n same\n',
  );
});

test('a counter is shown only for what takes longer than a second, on a terminal, and goes away', async () => {
  const printed: string[] = [];
  const options = { isTerminal: true, print: (text: string) => printed.push(text) };
  expect(await counting('Reading', Promise.resolve(1), options)).toBe(1);
  expect(printed).toEqual([]);
  await expect(
    counting(
      'Reading',
      sleep(1_300).then(() => Promise.reject(new Error('no'))),
      options,
    ),
  ).rejects.toThrow('no');
  expect(printed).toEqual(['\rReading … 1 s\x1b[K', '\r\x1b[K']);
  printed.length = 0;
  await counting('Reading', sleep(1_300), { ...options, isTerminal: false });
  expect(printed).toEqual([]);
});
