import fc from 'fast-check';
import { expect, test } from 'vitest';
import { distance, nearest } from '../../../src/settings/nearest.ts';

const DISTANCES: ReadonlyArray<readonly [a: string, b: string, letters: number]> = [
  ['signal', 'signal', 0],
  ['sginal', 'signal', 1],
  ['signa', 'signal', 1],
  ['signall', 'signal', 1],
  ['singel', 'signal', 2],
  ['', 'ab', 2],
];

test.each(DISTANCES)('"%s" and "%s" are %i letters apart', (a, b, letters) => {
  expect(distance(a, b, 2)).toBe(letters);
  expect(distance(a, b, letters - 1)).toBe(Number.POSITIVE_INFINITY);
});

test('the way back is as long, and one more letter is at most one more step', () => {
  const word = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 8 });
  fc.assert(
    fc.property(word, word, (a, b) => {
      expect(distance(a, b, 3)).toBe(distance(b, a, 3));
      expect(distance(`${a}c`, b, 4)).toBeLessThanOrEqual(distance(a, b, 3) + 1);
      expect(distance(a, b, 3) === 0).toBe(a === b);
    }),
  );
});

test('the nearest word is found whatever its case and punctuation, and nothing that is far', () => {
  expect(nearest('ReloadSginal', ['reload_url', 'reload_signal'])).toBe('reload_signal');
  expect(nearest('usr', ['json', 'yaml'])).toBeUndefined();
  expect(nearest('abc', ['ade'])).toBeUndefined();
});
