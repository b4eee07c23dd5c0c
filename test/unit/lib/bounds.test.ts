// What is shown of a text from outside: bounded, and without characters that a terminal obeys.
import { expect, it } from 'vitest';
import { cut, shownKey, visible } from '../../../src/lib/bounds.ts';
import { SidecarError } from '../../../src/lib/errors.ts';
import { compileSchema, violationsOf } from '../../../src/render/schema.ts';

const failure = (message: string): string =>
  new SidecarError(message, { code: 'source.failed', stage: 'source' }).message;

it('a message has at most 2,048 characters', () => {
  expect(failure('x'.repeat(2_048))).toBe('x'.repeat(2_048));
  expect(failure('x'.repeat(8_000_000))).toBe(`${'x'.repeat(2_047)}…`);
});

it('no half of a surrogate pair is left over', () => {
  expect(cut('ab😀cd', 4)).toBe('ab…');
  expect(cut('a😀cd', 4)).toBe('a😀…');
});

it('a key has at most 200 characters', () => {
  expect(shownKey('k'.repeat(60_000))).toBe(`${'k'.repeat(199)}…`);
});

it('control characters and those that turn the direction of text are shown as numbers', () => {
  const all = Array.from({ length: 0x3000 }, (_, code) => String.fromCharCode(code));
  const changed = all.filter((character) => visible(character) !== character);
  const codes = changed.map((character) => character.charCodeAt(0).toString(16));
  expect(codes).toEqual([
    ...Array.from({ length: 0x20 }, (_, code) => code.toString(16)),
    ...Array.from({ length: 0x21 }, (_, i) => (0x7f + i).toString(16)),
    ...[
      '200e',
      '200f',
      '2028',
      '2029',
      '202a',
      '202b',
      '202c',
      '202d',
      '202e',
      '2066',
      '2067',
      '2068',
      '2069',
    ],
  ]);
  expect(visible('a\u001b[2J\u009b2Jb\u202e')).toBe('a\\u001b[2J\\u009b2Jb\\u202e');
  expect(visible('one\n\ttwo\r', { keepsLines: true })).toBe('one\n\ttwo\\u000d');
  expect(failure('Cannot read "\u001b]0;title\u0007": no')).toBe('Cannot read "\\u001b]0;title\\u0007": no');
});

it('all violations of a schema together have at most 4,096 characters, and say how many are left out', async () => {
  const schema = await compileSchema({ additionalProperties: { type: 'number' } });
  const data = Object.fromEntries(Array.from({ length: 1_000 }, (_, i) => [`${i}${'k'.repeat(5_000)}`, 'x']));
  const violations = await violationsOf(schema, data, async ({ text }) => text);
  expect(violations.join('; ').length).toBeLessThan(4_096);
  expect(violations.at(-1)).toMatch(/^and \d+ more$/);
});
