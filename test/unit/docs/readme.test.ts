// The README's references of settings and presets are the tables in the code, word for word.
import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { readmeTable } from '../../../src/settings/docs.ts';
import { presetsReference } from '../../../src/settings/presets/describe.ts';

const README = new URL('../../../README.md', import.meta.url);

/** What stands between the two markers of that name. */
function between(name: string): string | undefined {
  const text = existsSync(README) ? readFileSync(README, 'utf8') : '';
  return new RegExp(`<!-- ${name} -->\\n([\\s\\S]*?)\\n<!-- /${name} -->`).exec(text)?.[1]?.trim();
}

test('the README holds the table of settings as the code has it', () => {
  const advice =
    'README.md must hold what readmeTable() of src/settings/docs.ts gives, between "<!-- settings -->" and "<!-- /settings -->"';
  expect(between('settings'), advice).toBe(readmeTable());
});

test('the README holds the table of presets as the code has it', () => {
  const advice =
    'README.md must hold what presetsReference() of src/settings/presets/describe.ts gives, between "<!-- presets -->" and "<!-- /presets -->"';
  expect(between('presets'), advice).toBe(presetsReference());
});
