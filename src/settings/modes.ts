// The MODES setting: permission bits of files in a directory output, by glob.

import { InvalidValue } from '../lib/invalid-value.ts';
import type { Kind } from './kind.ts';
import { mode } from './units.ts';

/** Files whose name matches get these permission bits. */
export interface ModeRule {
  readonly glob: string;
  readonly mode: number;
}

/** `*.key=0640 public/**=0644`; in the settings file also a map. */
export const fileModes: Kind<readonly ModeRule[]> = {
  type: '`GLOB=MODE`',
  fromMap: (items) => items.map(([glob, bits]) => `${glob.replaceAll(/\s/g, '?')}=${bits.trim()}`).join(' '),
  parse: (text) =>
    text
      .split(/\s+/)
      .filter((word) => word !== '')
      .map(readRule),
};

function readRule(word: string): ModeRule {
  const [, glob, bits] = /^(.+)=([^=]*)$/.exec(word) ?? [];
  if (glob === undefined || bits === undefined)
    throw new InvalidValue(`"${word}" is not GLOB=MODE, such as *.key=0640`);
  if (glob.startsWith('/') || glob.split('/').includes('..'))
    throw new InvalidValue(`the glob "${glob}" must be relative to the output, and have no ".."`);
  return { glob, mode: mode.parse(bits, '') };
}
