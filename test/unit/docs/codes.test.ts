// Every error code of the program stands in the troubleshooting page, with an anchor; and the page names no other.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { page, ROOT } from '../../support/docs/pages.ts';

const AREAS =
  'confirm|content|control|git|guard|hook|http|internal|kept|kubernetes|ledger|listen|mount|output|process|publish|reload|render|settings|source|state|validate|validation';

/** Written like codes, but names of files and the like. */
const OTHERS = new Set(['control.sock', 'http.ts', 'process.env', 'process.title']);

const source = ['src', 'providers']
  .flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' }).map((name) =>
      join(ROOT, folder, name),
    ),
  )
  .filter((path) => path.endsWith('.ts'))
  .map((path) => readFileSync(path, 'utf8'))
  .join('\n');

const inCode = new Set(
  [...source.matchAll(new RegExp(`['\`]((?:${AREAS})\\.[a-z][a-z0-9-]*)['\`]`, 'g'))]
    .map(([, code = '']) => code)
    .filter((code) => !OTHERS.has(code)),
);
const { text } = page('docs/troubleshooting.md');
const inPage = new Set(
  [...text.matchAll(new RegExp(`\`((?:${AREAS})\\.[a-z][a-z0-9-]*)\``, 'g'))].map(([, code = '']) => code),
);

test('every code of the program is explained in docs/troubleshooting.md', () => {
  expect(inCode.size).toBeGreaterThan(100);
  expect([...inCode].filter((code) => !inPage.has(code))).toEqual([]);
});

test('the page explains no code that the program does not have', () => {
  expect([...inPage].filter((code) => !inCode.has(code))).toEqual([]);
});

test('every row has an anchor of its own', () => {
  const rows = [...text.matchAll(/^\| <a id="([\w-]+)"><\/a>`([\w.-]+)` \| .+ \| .+ \|$/gm)];
  expect(rows.length).toBeGreaterThan(90);
  for (const [, anchor, code = ''] of rows) expect(anchor).toBe(code.replaceAll('.', '-'));
});
