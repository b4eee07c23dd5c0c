// Which kinds of tests the commands of CONTRIBUTING.md run, as vitest understands them.
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { PROJECT } from '../../support/servers/cache.ts';

const run = promisify(execFile);
const { scripts } = JSON.parse(readFileSync(join(PROJECT, 'package.json'), 'utf8')) as {
  readonly scripts: Readonly<Record<string, string>>;
};

/** The folders of `test` that hold the files which a script runs. */
async function kindsOf(script: string): Promise<readonly string[]> {
  const words = scripts[script]?.split('vitest run ')[1]?.split(' ') ?? [];
  const list = ['list', '--filesOnly', '--json', ...words.filter((word) => word !== '--changed')];
  const { stdout } = await run('node_modules/.bin/vitest', list, { cwd: PROJECT });
  const files = JSON.parse(stdout) as readonly { readonly file: string }[];
  return [...new Set(files.map(({ file }) => relative(PROJECT, file).split('/')[1] ?? ''))].sort();
}

test.each([
  ['test', ['pods', 'presets', 'real', 'unit']],
  ['test:changed', ['pods', 'presets', 'real', 'unit']],
  ['test:unit', ['unit']],
  ['test:kubernetes', ['kubernetes']],
  ['campaigns', ['campaigns']],
])('"npm run %s" runs the tests in %j', async (script, kinds) => {
  expect(await kindsOf(script)).toEqual(kinds);
});
