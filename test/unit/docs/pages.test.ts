// The pages of the documentation: short, linked, and in step with the tables in the code.
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readmeTable } from '../../../src/settings/docs.ts';
import { presetsReference } from '../../../src/settings/presets/describe.ts';
import { blocksOf, PAGES, page, ROOT } from '../../support/docs/pages.ts';

const UPDATE = 'npx vitest run --config test/vitest.config.ts --project unit test/unit/docs -u';

test.each([
  ['docs/settings.md', 'settings', readmeTable],
  ['docs/presets.md', 'presets', presetsReference],
])(`%s holds the %s as the code has them ("${UPDATE}" writes it)`, async (path, name, table) => {
  const { text } = page(path);
  const [open, close] = [`<!-- ${name} -->\n`, `\n<!-- /${name} -->`];
  const [before = '', after = ''] = [text.split(open)[0], text.split(close)[1]];
  expect(text).toContain(open);
  await expect(before + open + table() + close + after).toMatchFileSnapshot(join(ROOT, path));
});

test('the README is read in a few minutes: 12 kB at most', () => {
  expect(Buffer.byteLength(page('README.md').text)).toBeLessThanOrEqual(12_000);
});

describe.each(PAGES.map((one) => [one.path, one] as const))('%s', (path, { text }) => {
  test('links to pages and headings that exist', () => {
    const links = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = '']) => link);
    const broken = links
      .filter((link) => !/^https?:/.test(link))
      .filter((link) => {
        const [file = '', heading] = link.split('#');
        const target = file === '' ? path : join(dirname(path), file);
        if (!existsSync(join(ROOT, target))) return true;
        return heading !== undefined && !headingsOf(target).includes(heading);
      });
    expect(broken).toEqual([]);
  });

  test('names files of the project that exist', () => {
    const named = [...text.matchAll(/`((?:src|test|examples|providers)\/[\w./-]+)`/g)].map(
      ([, name = '']) => name,
    );
    expect(named.filter((name) => !existsSync(join(ROOT, name)))).toEqual([]);
  });

  test('has code blocks of kinds that are tested only', () => {
    const kinds = new Set(blocksOf({ path, text }).map(({ language }) => language));
    expect([...kinds].filter((kind) => !['sh', 'text', 'yaml'].includes(kind))).toEqual([]);
  });
});

test('every page of docs/ is linked from the README', () => {
  const { text } = page('README.md');
  const pages = PAGES.filter(({ path }) => path.startsWith('docs/')).map(({ path }) => path);
  expect(pages.filter((path) => !text.includes(`(${path}`))).toEqual([]);
});

function headingsOf(path: string): readonly string[] {
  const headings = page(path).text.matchAll(/^#+ (.*)$/gm);
  return [...headings].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\w\s.-]/g, '')
      .replaceAll('.', '')
      .trim()
      .replaceAll(' ', '-'),
  );
}
