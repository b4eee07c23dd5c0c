// The Dockerfile lists the settings in a comment.
import { readFileSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { NAMES, rowOf, SECTIONS } from '../../../src/settings/table.ts';

const PATH = new URL('../../../Dockerfile', import.meta.url);
const DOCKERFILE = readFileSync(PATH, 'utf8');

/** The settings as the Dockerfile's comment has to list them. */
function settingsComment(): string {
  return SECTIONS.flatMap((section) => [
    `# ${section}`,
    ...NAMES.filter((name) => rowOf(name).section === section).map((name) => {
      const { fallback, fallbackShown, secret } = rowOf(name);
      const notes = [
        ...(fallbackShown === undefined ? [] : [fallbackShown.replaceAll('`', '')]),
        ...(secret === undefined ? [] : [`or ${name}_FILE`]),
      ];
      const value = fallback === undefined ? '' : `=${fallback}`;
      return `#   ${name}${value}${notes.length === 0 ? '' : ` (${notes.join('; ')})`}`;
    }),
  ]).join('\n');
}

test('the Dockerfile lists every setting with its default, as a comment', () => {
  const [, start = '', listed = ''] = /^([\s\S]* settings file\.\n#\n)([\s\S]*)$/.exec(DOCKERFILE) ?? [];
  const wanted = `${settingsComment()}\n`;
  if (process.env['UPDATE_DOCKERFILE'] && start !== '') writeFileSync(PATH, start + wanted);
  else expect(listed, 'UPDATE_DOCKERFILE=1 npm run test:unit writes it again').toBe(wanted);
  expect(DOCKERFILE).not.toMatch(/^\s*ENV\s+(?!PATH=)/m);
});
