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
  test('has to show the revision or the digest that was published', () => {
    expect(flawIn('a 1\nrevision="7"\nb 2', '^revision="{revision}"$')).toBeNull();
    expect(flawIn('sha256:d1', '^{digest}$')).toBeNull();
    expect(flawIn('revision="6"', '^revision="{revision}"$')).toEqual({
      code: 'confirm.no-match',
      reason: 'the answer does not match CONFIRM_MATCH "^revision="{revision}"$"',
    });
  });

  test('is compared with a revision as it is written, whatever characters it has', () => {
    const revision = '"W/.*+$1"';
    expect(flawIn(`rev ${revision}.`, 'rev {revision}', { revision })).toBeNull();
    expect(flawIn('rev "W/xyz+$1".', 'rev {revision}', { revision })).toMatchObject({
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
    ['1700000100', 'the second, which is all it tells'],
    ['1700000100.6', 'the tenth of a second, which is all it tells'],
    ['1700000101', 'a later second'],
  ])('of %s counts: %s', (time) => {
    expect(flawIn(`last_reload ${time}\n`, MATCH)).toBeNull();
  });

  test.each([
    ['1700000100.63', '0.0'],
    ['1700000100.5', '0.1'],
    ['1700000099', '1.6'],
    ['1.7e+09', '100.6'],
    ['0', '1700000100.6'],
  ])('of %s is that of an earlier reload', (time, apart) => {
    expect(flawIn(`last_reload ${time}\n`, MATCH)).toEqual({
      code: 'confirm.too-old',
      reason: `the reload time it reports lies ${apart} s before the telling`,
    });
  });

  test.each(['', 'soon', '-1', 'NaN', 'Infinity', '1700000100640'])('of "%s" is none', (time) => {
    expect(flawIn(`last_reload ${time}\n`, MATCH)).toEqual({
      code: 'confirm.no-time',
      reason: `what the group "time" of CONFIRM_MATCH "${MATCH}" finds is no number of Unix seconds`,
    });
  });

  test('that an alternative leaves out is none either', () => {
    expect(flawIn('never', '(?<time>\\d+)|never')).toMatchObject({ code: 'confirm.no-time' });
  });
});

describe('a catastrophic regular expression', () => {
  test.each([
    ['(a+)+$', `${'a'.repeat(64)}b`],
    ['(x+x+)+y', 'x'.repeat(65_536)],
    ['(?:.*,){25}P', '1,'.repeat(200)],
    ['^(?:(?:a|a)*)*c$', 'a'.repeat(60)],
  ])('%s is interrupted', (text, body) => {
    const startedAt = performance.now();
    expect(flawIn(body, text)).toEqual({
      code: 'confirm.match-too-slow',
      reason: `CONFIRM_MATCH "${text}" takes longer than 50 ms on the answer; write it without a repetition of a repetition`,
    });
    expect(performance.now() - startedAt).toBeLessThan(2_000);
  });

  test('is not what a plain one is taken for on the longest answer', () => {
    const body = `${'# HELP some_metric something\nsome_metric 1\n'.repeat(1_500)}last_reload 1700000101\n`;
    expect(body.length).toBeGreaterThan(60_000);
    // The 50 ms are those of a clock, and this machine may be busy: one of five is enough.
    const flaws = Array.from({ length: 5 }, () => flawIn(body, '^last_reload (?<time>\\S+)$'));
    expect(flaws).toContain(null);
  });
});
