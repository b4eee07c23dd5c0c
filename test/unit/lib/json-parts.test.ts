// How many values a JSON text may make: never fewer than it makes.
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { countJsonParts } from '../../../src/lib/json-parts.ts';

/** How many values a parsed JSON has, itself included. */
function valuesOf(value: unknown): number {
  const parts = typeof value === 'object' && value !== null ? Object.values(value) : [];
  return parts.reduce((sum: number, part) => sum + valuesOf(part), 1);
}

it('is at least as many as there are values, and at most twice as many and one', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const [counted, values] = [countJsonParts(Buffer.from(JSON.stringify(value))), valuesOf(value)];
      expect(counted).toBeGreaterThanOrEqual(values);
      expect(counted).toBeLessThanOrEqual(2 * values + 1);
    }),
  );
});

it.each([
  ['["a,b[{\\",,", 1]', 3],
  ['"\\\\", 1', 2],
  ['"never closed, , ,', 1],
  ['', 1],
])('does not count what stands in a text: %s', (text, parts) => {
  expect(countJsonParts(Buffer.from(text))).toBe(parts);
});
