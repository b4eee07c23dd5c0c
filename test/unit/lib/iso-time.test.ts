import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isoTime } from '../../../src/lib/iso-time.ts';

test('a moment is written as the language writes it', () => {
  fc.assert(
    fc.property(fc.date({ noInvalidDate: true }), (at) => isoTime(at.getTime()) === at.toISOString()),
  );
  expect(isoTime(0)).toBe('1970-01-01T00:00:00.000Z');
  expect(isoTime(-1)).toBe('1969-12-31T23:59:59.999Z');
});
