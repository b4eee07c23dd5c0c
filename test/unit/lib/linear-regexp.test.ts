// Searching text that others wrote: the time it takes follows the length of the text, whatever text and expression are.
import { expect, test } from 'vitest';
import { loadPattern } from '../../../src/lib/linear-regexp.ts';

test.each([
  ['app\\.jar', 'java -jar /srv/app.jar', true],
  ['app\\.jar', 'java -jar /srv/app-jar', false],
  ['^nginx: m[a-z(*]ster', 'nginx: master process', true],
  ['mail$|web$', 'worker web', true],
  ['worker --queue=\\w+$', 'node worker --queue=mail', true],
  ['worker --queue=\\w+$', 'node worker --queue=', false],
])('%s in "%s": %s', async (source, text, isFound) => {
  const pattern = await loadPattern(source);
  expect(pattern.source).toBe(source);
  expect([pattern.test(text), pattern.test(text)]).toEqual([isFound, isFound]);
});

test.each(['^(a+)+$', '(a|a)*b', '(a|aa)+x(b|c)*$', 'a.*a.*a.*b', '^(?:a?){60}a{60}b', '[a(]b'])(
  'the longest command line that is read is searched for %s in a moment',
  async (source) => {
    const pattern = await loadPattern(source);
    const before = process.cpuUsage();
    expect(pattern.test(`${'a'.repeat(131_072)}!`)).toBe(false);
    const { user, system } = process.cpuUsage(before);
    expect((user + system) / 1000).toBeLessThan(2_000);
  },
);

test('what cannot be searched in linear time is refused', async () => {
  await expect(loadPattern('(?=a)b')).rejects.toThrow('invalid');
});
