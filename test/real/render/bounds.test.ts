// Nothing that reads a text from outside takes longer than in proportion to it: a quadratic reader would need a minute here.
// The campaigns do the same with all characters and more text.
import { expect, test } from 'vitest';
import { AWKWARD, filters, readers, repeated, slow } from '../../support/render/awkward.ts';

const KIB = 1024;
/** A quarter of them: the campaigns take all. */
const SOME = AWKWARD.filter((_, n) => n % 4 === 0);
/** Of 256 KiB a slow but linear reader needs a fifth of it. */
const MOST_MS = 1_200;

test('256 KiB of awkward characters are read, or refused, in time', async () => {
  const texts = SOME.map((part) => `a = ${repeated(part, 256 * KIB)}x`);
  expect(await slow(await readers(), texts, MOST_MS)).toEqual([]);
});

test('every filter takes 64 KiB of awkward characters', async () => {
  const texts = SOME.map((part) => `${repeated(part, 64 * KIB)}x`);
  expect(await slow(await filters(), texts, MOST_MS)).toEqual([]);
});

test('a quadratic reader would be found', async () => {
  const quadratic = { name: 'quadratic', read: (text: string) => /(^|\s+)#.*$/.exec(text) };
  expect(await slow([quadratic], [`${repeated(' ', 48 * KIB)}x`], MOST_MS)).toHaveLength(1);
});
