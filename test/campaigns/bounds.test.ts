// Nothing that reads a text from outside takes longer than in proportion to it, for whole mebibytes and for pairs of characters.
import { expect, test } from 'vitest';
import { AWKWARD, filters, pairs, readers, repeated, slow } from '../support/render/awkward.ts';

const MIB = 1024 * 1024;
/** Of a mebibyte a slow but linear reader needs less than a second; a quadratic one some minutes. */
const MOST_MS = 4_000;
/** Of so much of a pair of characters a quadratic reader needs two seconds. */
const PAIR_LENGTH = 64 * 1024;
const MOST_PAIR_MS = 1_200;
/** Of all pairs, which `npm run fuzz` goes through. */
const PAIRS = 250;

test('a mebibyte of each awkward character is read, or refused, in time', { timeout: 900_000 }, async () => {
  const texts = AWKWARD.map((part) => `a = ${repeated(part, MIB)}x`);
  expect(await slow(await readers(), texts, MOST_MS)).toEqual([]);
});

test('text of pairs of awkward characters is read, or refused, in time', { timeout: 900_000 }, async () => {
  const texts = [...pairs(PAIR_LENGTH)];
  const step = Math.floor(texts.length / PAIRS);
  const some = texts.filter((_, n) => n % step === 0);
  expect(await slow(await readers(), some, MOST_PAIR_MS)).toEqual([]);
});

test('every filter takes 128 KiB of each awkward character', { timeout: 900_000 }, async () => {
  const texts = AWKWARD.map((part) => `${repeated(part, MIB / 8)}x`);
  expect(await slow(await filters(), texts, MOST_MS)).toEqual([]);
});
