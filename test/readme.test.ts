// The README's reference of settings is the table in the code, word for word.
import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { readmeTable } from '../src/settings/docs.ts';

const README = new URL('../README.md', import.meta.url);

test('the README holds the table of settings as the code has it', () => {
  const text = existsSync(README) ? readFileSync(README, 'utf8') : '';
  const [, between] = /<!-- settings -->\n([\s\S]*?)\n<!-- \/settings -->/.exec(text) ?? [];
  expect(
    between?.trim(),
    'README.md must hold what readmeTable() of src/settings-docs.ts gives, between the lines "<!-- settings -->" and "<!-- /settings -->"',
  ).toBe(readmeTable());
});
