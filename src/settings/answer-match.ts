// CONFIRM_MATCH: a regular expression with places for what the application should report back.
import { InvalidValue } from '../lib/invalid-value.ts';
import { findUnsupported } from '../lib/linear-regexp.ts';
import type { Kind } from './kind.ts';

/** What can be filled in, written `{name}`. */
const PLACES = ['revision', 'digest'] as const;

/** The expression as written; `fillIn` makes it one that can be matched. */
export interface AnswerMatch {
  readonly text: string;
}

/** A regular expression in which `{revision}` and `{digest}` stand for those of the data. */
export const answerMatch: Kind<AnswerMatch> = {
  type: 'regular expression',
  verbatim: true,
  parse: (text) => {
    if (text === '') throw new InvalidValue('it is empty, which matches everything');
    const filled = fillIn({ text }, { revision: '1', digest: 'sha256:0' });
    try {
      new RegExp(filled, 'm');
    } catch (error) {
      const reason = error instanceof Error ? error.message.split(': ').at(-1) : String(error);
      throw new InvalidValue(`the regular expression is broken: ${reason}`);
    }
    const unsupported = findUnsupported(filled);
    if (unsupported !== null)
      throw new InvalidValue(`${unsupported}, which a search in linear time cannot do`);
    return { text };
  },
};

/** What in an answer distinguishes one version from another: its name, or the time of the reload. */
export function tellsVersion({ text }: AnswerMatch): { readonly byName: boolean; readonly byTime: boolean } {
  return { byName: PLACES.some((place) => text.includes(`{${place}}`)), byTime: text.includes('(?<time>') };
}

/** The expression for one version of the data: what is filled in stands for itself, whatever characters it has. */
export function fillIn(
  { text }: AnswerMatch,
  version: Readonly<Record<(typeof PLACES)[number], string>>,
): string {
  return PLACES.reduce((rest, place) => {
    const escaped = version[place].replaceAll(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');
    return rest.replaceAll(`{${place}}`, () => escaped);
  }, text);
}
