// Modes by globs: as the library that reads globs matches them, but in linear time, since names come from the store.
import picomatch from 'picomatch';
import { describe, expect, it } from 'vitest';
import { withModes } from '../../../src/render/modes.ts';
import { threadTimeMs } from '../../support/thread-time.ts';

const file = (name: string) => ({ name, bytes: new Uint8Array() });

async function matched(glob: string, names: readonly string[]): Promise<readonly string[]> {
  const files = await withModes(names.map(file), [{ glob, mode: 0o600 }], 0o644);
  return files.filter(({ mode }) => mode === 0o600).map(({ name }) => name);
}

const NAMES = [
  'a.key',
  '.key',
  'tls/a.key',
  'tls/.b.key',
  'tls/x/y/c-d.key',
  'a',
  'a/b',
  'a?b',
  '+(a|b)',
  'aab',
];
NAMES.push('[ab]', 'b', 'public/a', 'public/x/b', 'a.keyy', 'A.KEY', 'ü.key', '{a,b}', 'b/c/z.x', 'z');
const GLOBS = [
  '*.key',
  '**/*-*.key',
  'a/**',
  '**',
  '*',
  'tls/**/*.key',
  '**/*.key',
  '[ab]',
  '?',
  '{a,b/c}/*.x',
  '.*',
  'a?b',
];
GLOBS.push(
  '+(a|b)',
  '@(a|b)*',
  '!(a).key',
  '!*.key',
  '**/tls/**/*.key',
  'tls/*.key',
  '[!a]',
  '{a,b}',
  'a.key',
  '*.ke[x-z]*',
);

describe('a glob', () => {
  it.each(GLOBS)('takes what the library takes: %s', async (glob) => {
    const isMatch = picomatch(glob, { dot: true, matchBase: !glob.includes('/') });
    expect(await matched(glob, NAMES)).toEqual(NAMES.filter((name) => isMatch(name)));
  });

  it.each(['x\ny.key', 'x\n/y', 'a\u2028.key'])('takes a name with a line break: %j', async (name) => {
    expect(await matched('**', [name])).toEqual([name]);
  });

  it.each([
    ['*-*-*-*.key', '-'.repeat(255)],
    ['**/tls/**/tls/**/*.key', 'tls/'.repeat(900)],
    ['+(a|aa|aaa)x', 'a'.repeat(255)],
  ])('takes no time for a name that is made for it: %s', async (glob, name) => {
    await matched(glob, ['warm']);
    const before = threadTimeMs();
    expect(await matched(glob, [name])).toEqual([]);
    expect(threadTimeMs() - before).toBeLessThan(200);
  });
});
