// CONFIRM_MATCH on answers: what is filled in, which reload time counts, and what a broken expression costs.
import { describe, expect, test } from 'vitest';
import { findFlaw } from '../../../../src/application/confirm/answer.ts';

const TOLD_MS = 1_700_000_100_640;

function flawIn(
  body: string,
  text: string,
  { revision = '7', digest = 'sha256:d1', notBeforeMs = TOLD_MS } = {},
) {
  return findFlaw(body, { match: { text }, version: { revision, digest }, notBeforeMs });
}

describe('an answer', () => {
  test('has to show the revision or the digest that was published', async () => {
    expect(await flawIn('a 1\nrevision="7"\nb 2', '^revision="{revision}"$')).toBeNull();
    expect(await flawIn('sha256:d1', '^{digest}$')).toBeNull();
    expect(await flawIn('revision="6"', '^revision="{revision}"$')).toEqual({
      code: 'confirm.no-match',
      reason: 'the answer does not match CONFIRM_MATCH "^revision="{revision}"$"',
    });
  });

  test('is compared with a revision as it is written, whatever characters it has', async () => {
    const revision = '"W/.*+$1"';
    expect(await flawIn(`rev ${revision}.`, 'rev {revision}', { revision })).toBeNull();
    expect(await flawIn('rev "W/xyz+$1".', 'rev {revision}', { revision })).toMatchObject({
      code: 'confirm.no-match',
    });
  });
});

describe('a reload time', () => {
  const MATCH = '^last_reload (?<time>\\S*)$';

  test.each([
    ['1700000100.64', 'the very millisecond'],
    ['1700000100.65', 'a moment later'],
    ['1.7000001007e+09', 'in the notation of Go'],
    ['1700000100', 'the second, the finest it shows'],
    ['1700000100.6', 'the tenth of a second, the finest it shows'],
    ['1700000101', 'a later second'],
  ])('of %s counts: %s', async (time) => {
    expect(await flawIn(`last_reload ${time}\n`, MATCH)).toBeNull();
  });

  test.each([
    ['1700000100.63', '0.0'],
    ['1700000100.5', '0.1'],
    ['1700000099', '1.6'],
    ['1.7e+09', '100.6'],
    ['0', '1700000100.6'],
  ])('of %s is that of an earlier reload', async (time, apart) => {
    expect(await flawIn(`last_reload ${time}\n`, MATCH)).toEqual({
      code: 'confirm.too-old',
      reason: `the reload time it reports is ${apart} s before the reload`,
    });
  });

  test.each(['', 'soon', '-1', 'NaN', 'Infinity', '1700000100640'])('of "%s" is not a time', async (time) => {
    expect(await flawIn(`last_reload ${time}\n`, MATCH)).toEqual({
      code: 'confirm.no-time',
      reason: `what the group "time" of CONFIRM_MATCH "${MATCH}" finds is not a number of Unix seconds`,
    });
  });

  test('that an alternative leaves out is not a time either', async () => {
    expect(await flawIn('never', '(?<time>\\d+)|never')).toMatchObject({ code: 'confirm.no-time' });
  });
});

describe('the end of a line', () => {
  test.each(['a\nready\nb', 'a\r\nready\r\nb', 'ready', 'ready\r\n'])('in %j is seen', async (body) => {
    expect(await flawIn(body, '^ready$')).toBeNull();
  });

  test('may be looked for as a carriage return', async () => {
    expect(await flawIn('a\r\nb', 'a\\r\\nb')).toBeNull();
    expect(await flawIn('a\nb', 'a\\r\\nb')).toMatchObject({ code: 'confirm.no-match' });
  });
});

describe('an expression that backtracking engines choke on', () => {
  test.each([
    ['(a+)+$', `${'a'.repeat(4_000_000)}b`, true],
    ['(x+x+)+y', 'x'.repeat(4_000_000), true],
    ['(?:.*,){25}P', '1,'.repeat(100_000), true],
    ['^(?:(?:a|a)*)*c$', 'a'.repeat(4_000_000), true],
    ['^last_reload (?<time>\\S+)$', `${'# HELP x\nx 1\n'.repeat(300_000)}last_reload 1700000101\n`, false],
  ])('%s is searched for in linear time', async (text, body, isMissing) => {
    const before = process.cpuUsage();
    const flaw = await flawIn(body, text);
    const { user, system } = process.cpuUsage(before);
    expect((user + system) / 1000).toBeLessThan(3_000);
    expect(flaw?.code).toBe(isMissing ? 'confirm.no-match' : undefined);
  });

  test('and that the engine refuses for its size is reported as too large', async () => {
    const text = '((a{100}){100}){100}';
    expect(await flawIn('a', text)).toEqual({
      code: 'confirm.match-unsupported',
      reason: expect.stringContaining(`CONFIRM_MATCH "${text}" cannot be searched for: `),
    });
  });
});
