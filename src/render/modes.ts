// Permission bits of single files in a directory output, by glob.

import { posix } from 'node:path';
import { findUnsupported, loadPattern } from '../lib/linear-regexp.ts';
import { inSlices, type Sliced } from '../lib/slices.ts';
import type { ModeRule } from '../settings/modes.ts';
import type { GenerationFile } from './generation.ts';

/** Gives a file the mode of the last glob that matches its name; a glob without a slash looks at the name in any folder. */
export async function withModes(
  files: readonly GenerationFile[],
  rules: readonly ModeRule[],
  mode: number,
): Promise<readonly GenerationFile[]> {
  if (rules.length === 0) return files;
  const matchers = await Promise.all(
    rules.map(async ({ glob, mode: bits }) => ({ bits, matches: await matcherOf(glob) })),
  );
  return inSlices(choosing(files, matchers, mode));
}

/**
 * In linear time: names come from the store, and two of the library's own `**` take seconds for one name. Only a glob with a
 * negation, `!(…)`, is left to it.
 */
async function matcherOf(glob: string): Promise<(name: string) => boolean> {
  const { default: picomatch } = await import('picomatch');
  // `*` takes a name that begins with a dot as well: it may be the one that must not be read by all.
  const options = { dot: true, matchBase: !glob.includes('/') };
  const source = withoutGuards(picomatch.makeRe(glob, options).source);
  if (findUnsupported(source) !== null) return picomatch(glob, options);
  const pattern = await loadPattern(source);
  return (name) => name === glob || pattern.test(options.matchBase ? posix.basename(name) : name);
}

/** They keep `*` from an empty name, and from the names `.` and `..`, which no file of ours has. */
const GUARDS = [String.raw`(?!(?:^|\/)\.{1,2}(?:\/|$))`, String.raw`(?!\.{1,2}(?:\/|$))`, '(?=.)'];

function withoutGuards(source: string): string {
  const bare = GUARDS.reduce((rest, guard) => rest.replaceAll(guard, ''), source);
  // The library's `**` stops at a line break, which a name may have.
  return bare.replaceAll('(?:.)*?', String.raw`[\s\S]*?`);
}

interface Matcher {
  readonly bits: number;
  readonly matches: (name: string) => boolean;
}

function* choosing(
  files: readonly GenerationFile[],
  matchers: readonly Matcher[],
  mode: number,
): Sliced<readonly GenerationFile[]> {
  const chosen: GenerationFile[] = [];
  for (const file of files) {
    const own = file.mode ?? mode;
    const bits = matchers.findLast(({ matches }) => matches(file.name))?.bits ?? own;
    chosen.push(bits === own ? file : { ...file, mode: bits });
    yield;
  }
  return chosen;
}
