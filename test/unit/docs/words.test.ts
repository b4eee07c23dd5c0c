// Words that make people read a sentence twice: none of them is in a page, a message, a comment or the name of a test.
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

/** In comments and names of tests more words are out: there they stand for a process, a user or a server that has a name. */
const VAGUE = /\b(?:everybody|strangers?|own accord|told (?:of|about|again|anew)|(?:gone|went) back to)\b/gi;

/** Data of tests: a user of Linux, and what a program prints. */
const EXCEPTIONS: Readonly<Record<string, RegExp>> = {
  'test/unit/docs/words.test.ts': /.+/g,
  'test/presets/apache.test.ts': /^User nobody$/gm,
  'test/presets/php-fpm.test.ts': /^user = nobody$/gm,
  'test/real/providers/etcd.test.ts': /'nobody:wrong'/g,
  'test/support/fixtures/readers.ts': /is None/g,
  'test/support/pods/programs.ts': /nobody:x:65534:65534:nobody/g,
};

function sources(): readonly string[] {
  const folders = ['src', 'providers', 'test', 'bench', 'examples', '.ci'].flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' }).map((name) => join(folder, name)),
  );
  return [...folders, 'build.mjs'].filter((name) => /\.(?:ts|mjs|sh)$/.test(name));
}

test('no comment and no name of a test has one', () => {
  const files = sources();
  const all = files.flatMap((name) => {
    const text = readFileSync(join(ROOT, name), 'utf8')
      .replaceAll(/control[.-]nobody|\bNOBODY\b/g, '')
      .replaceAll(EXCEPTIONS[name] ?? /(?!)/g, '');
    return text
      .split('\n')
      .flatMap((line, at) =>
        [...line.replaceAll(/\bthere is none\b/g, '').matchAll(WORST), ...line.matchAll(VAGUE)].map(
          ([word]) => `${name}:${at + 1}: ${word}`,
        ),
      );
  });
  expect(files.length).toBeGreaterThan(500);
  expect(all).toEqual([]);
});
