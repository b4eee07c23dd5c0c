// What a kind of source touches: its file, one line in the list, its test, its row in the docs, and an example.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { SOURCE_KINDS } from '../../../src/settings/sources.ts';
import type { SourceKind } from '../../../src/source/provider.ts';

const ROOT = join(import.meta.dirname, '../../..');
const LIST = 'src/settings/sources.ts';
const STORES = ['etcd', 'consul'];

const read = (file: string): string => readFileSync(join(ROOT, file), 'utf8');
const filesIn = (...folders: readonly string[]): readonly string[] =>
  folders.flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(ROOT.length + 1)),
  );
const withoutComments = (text: string): string => text.replaceAll(/\/\*[\s\S]*?\*\/|(^|\s)\/\/.*$/gm, '');

test('`ls providers` is the list of sources', () => {
  const names = filesIn('providers').map((file) => file.slice('providers/'.length, -'.ts'.length));
  const listed = [...read(LIST).matchAll(/providers\/([\w-]+)\.ts/g)].map(([, name]) => name);
  expect(listed).toEqual([...names].sort());
  expect(SOURCE_KINDS).toHaveLength(names.length);
});

describe.each(STORES)('%s', (name) => {
  test('is named in its own file and folder, and in one line of the list: no other code knows of it', () => {
    const isOwn = (file: string): boolean =>
      file === `providers/${name}.ts` || file.startsWith(`src/source/${name}/`);
    const word = new RegExp(name, 'i');
    const others = filesIn('src', 'providers').filter(
      (file) => !isOwn(file) && word.test(withoutComments(read(file))),
    );
    expect(others).toEqual([LIST]);
    const lines = read(LIST)
      .split('\n')
      .filter((line) => word.test(line) && !line.startsWith('import'));
    expect(lines).toHaveLength(1);
  });

  test('is the source of an example', () => {
    const examples = filesIn('examples').filter((file) => read(file).includes(`${name}://`));
    expect(examples.filter((file) => !file.endsWith('README.md'))).not.toEqual([]);
  });
});

describe.each(filesIn('providers').map((file) => file.slice('providers/'.length, -'.ts'.length)))(
  '%s',
  (name) => {
    test('has its test, which runs the common suite', () => {
      expect(read(`test/real/providers/${name}.test.ts`)).toContain('describeProviderLaw(');
    });

    test('has its row in docs/sources.md', async () => {
      const { [name]: kind }: Record<string, SourceKind> = await import(
        join(ROOT, 'providers', `${name}.ts`)
      );
      const [scheme] = kind?.schemes ?? [];
      const rows = read('docs/sources.md')
        .split('\n')
        .filter((line) => new RegExp(`^\\| \`.*(?<![\\w+])${scheme?.split('+')[0]}[:+]`).test(line));
      expect(rows).toHaveLength(1);
    });
  },
);
