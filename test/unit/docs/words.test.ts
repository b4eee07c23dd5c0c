// Words that make people read a sentence twice: none of them stands in a page or in a text of the program.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { PAGES, ROOT } from '../../support/docs/pages.ts';

const WORST =
  /\b(?:nobody|somebody|whoever|anybody)\b|\b(?:is|are|was|were|be|been|being|gets?) told\b|\bis none\b|\blives on\b|\btelling\b|\b(?:taken|takes?|took|taking) (?:it |them |that )?back\b/gi;

/** The names of codes are part of the contract. */
const withoutCodes = (text: string): string => text.replaceAll(/control[.-]nobody/g, '');

const found = (text: string): readonly string[] =>
  [...withoutCodes(text).matchAll(WORST)].map(({ 0: word, index }) => {
    const line = withoutCodes(text).slice(0, index).split('\n').at(-1) ?? '';
    return `${line.slice(-40)}${word}`;
  });

const pages = [
  ...PAGES,
  ...['CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md', 'examples/README.md'].map((path) => ({
    path,
    text: readFileSync(join(ROOT, path), 'utf8'),
  })),
];

test.each(pages.map(({ path, text }) => [path, text] as const))(
  '%s has none of the worst words',
  (_path, text) => {
    expect(found(text)).toEqual([]);
  },
);

test('no text of the program has one', () => {
  const files = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => [name, readFileSync(join(ROOT, 'src', name), 'utf8')] as const);
  const texts = files.flatMap(([name, code]) => {
    const lines = code.replaceAll(/\/\*[\s\S]*?\*\/|(^|\s)\/\/.*$/gm, '').replaceAll(/^import .*$/gm, '');
    const literals = lines.matchAll(/'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`|"(?:[^"\\\n]|\\.)*"/g);
    return [...literals].flatMap(([literal]) => found(literal).map((word) => `${name}: ${word}`));
  });
  expect(files.length).toBeGreaterThan(100);
  expect(texts).toEqual([]);
});
