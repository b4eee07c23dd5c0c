// Permission bits of single files in a directory output, by glob.

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
  const { default: picomatch } = await import('picomatch');
  // `*` takes a name that begins with a dot as well: it may be the one that must not be read by all.
  const matchers = rules.map(({ glob, mode: bits }) => {
    return { bits, matches: picomatch(glob, { dot: true, matchBase: !glob.includes('/') }) };
  });
  return inSlices(choosing(files, matchers, mode));
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
