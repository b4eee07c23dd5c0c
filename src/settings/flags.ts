// Settings given as flags: `--reload-signal SIGHUP`, `--reload-signal=SIGHUP`, `--allow-empty`.
import { parseArgs } from 'node:util';
import { nearest } from './nearest.ts';
import { didYouMean, type Layer, type RawSetting } from './raw-setting.ts';
import { flagOf, rowOf, SPELLINGS } from './table.ts';

const FLAGS = new Map([...SPELLINGS].map(([written, spelling]) => [flagOf(written).slice(2), spelling]));

/** Whether a flag, without dashes, is that of a setting. */
export function isSettingFlag(flag: string): boolean {
  return FLAGS.has(flag);
}

/** A flag that is not a setting: `--json`, `-h`. */
export interface OwnFlag {
  readonly name: string;
  /** One letter. */
  readonly short?: string;
  /** It takes a value behind it. */
  readonly takesValue?: boolean;
}

/** A command line taken apart. */
export interface Arguments {
  /** Words that belong to no flag: the command. */
  readonly positionals: readonly string[];
  /** Those of the command's own flags that were given, with their values. */
  readonly own: ReadonlyMap<string, string | true>;
  /** Every other flag, with its value: what `loadSettings` takes. */
  readonly flags: readonly string[];
  /** A sentence for each own flag that lacks its value, or has one it does not take. */
  readonly problems: readonly string[];
}

/** Takes a command line apart. `own` are the flags that are no settings. */
export function separateArguments(argv: readonly string[], own: readonly OwnFlag[]): Arguments {
  const positionals: string[] = [];
  const raw = new Map<string, string | true>();
  const flags: string[] = [];
  const problems: string[] = [];
  for (const piece of piecesOf(argv, own)) {
    const known = piece.kind === 'flag' ? own.find(({ name }) => name === piece.flag) : undefined;
    if (piece.kind === 'word') positionals.push(piece.word);
    else if (known === undefined) flags.push(...piece.words);
    else {
      const problem = valueProblem(known, piece);
      if (problem !== null) problems.push(problem);
      raw.set(known.name, piece.value ?? true);
    }
  }
  return { positionals, own: raw, flags, problems };
}

function valueProblem({ takesValue = false }: OwnFlag, { raw, value, inline }: FlagPiece): string | null {
  if (!takesValue) return value === undefined ? null : `Cannot use ${raw}=${value}: ${raw} takes no value`;
  if (value === undefined || value === '') return `Cannot use ${raw}: it needs a value: ${raw} VALUE`;
  return value.startsWith('-') && !inline
    ? `Cannot use ${raw}: it needs a value; one that begins with - is written ${raw}=VALUE`
    : null;
}

/**
 * The settings among the flags. Unknown flags, flags without a value and flags given twice are mistakes.
 * @param others flags of the command, without dashes, that an unknown one may be meant for.
 */
export function readFlags(argv: readonly string[], others: readonly string[] = []): Layer {
  const raw: RawSetting[] = [];
  const problems: string[] = [];
  for (const piece of piecesOf(argv)) {
    if (piece.kind === 'word') {
      problems.push(`Cannot use "${piece.word}": a setting is given as --name value; see --help`);
      continue;
    }
    const read = readFlag(piece, others);
    if (typeof read === 'string') problems.push(read);
    else if (raw.some(({ spelled }) => spelled === read.spelled)) {
      problems.push(`Cannot use ${read.spelled}: it is given twice; give it once`);
    } else raw.push(read);
  }
  return { raw, problems: [...new Set(problems)] };
}

function readFlag({ raw, flag, value, inline }: FlagPiece, others: readonly string[]): RawSetting | string {
  const spelling = FLAGS.get(flag);
  if (spelling === undefined || !raw.startsWith('--')) {
    const meant = nearest(flag, [...others, ...FLAGS.keys()]);
    return `Cannot use ${raw}: unknown flag${didYouMean(meant && `--${meant}`)}`;
  }
  const bare = rowOf(spelling.name).kind.bareFlag === true;
  if (value === undefined && !bare) return `Cannot use ${raw}: it needs a value: ${raw} VALUE`;
  if (value === '') return `Cannot use ${raw} "": it needs a value: ${raw} VALUE`;
  // The next flag would be swallowed as a value, and both mistakes would go unnoticed.
  if (value?.startsWith('--') && !inline) {
    return `Cannot use ${raw}: it needs a value; one that begins with -- is written ${raw}=VALUE`;
  }
  return { ...spelling, from: 'flag', spelled: raw, text: value ?? 'true' };
}

interface FlagPiece {
  readonly kind: 'flag';
  readonly flag: string;
  readonly raw: string;
  readonly value: string | undefined;
  readonly inline: boolean;
  /** The words of the command line it was made of. */
  readonly words: readonly string[];
}

type Piece = FlagPiece | { readonly kind: 'word'; readonly word: string };

function piecesOf(argv: readonly string[], own: readonly OwnFlag[] = []): readonly Piece[] {
  const typed = (takesValue: boolean) => ({ type: takesValue ? ('string' as const) : ('boolean' as const) });
  const options = Object.fromEntries([
    ...[...FLAGS].map(([flag, { name }]) => [flag, typed(rowOf(name).kind.bareFlag !== true)] as const),
    ...own.map(({ name, short, takesValue = false }) => {
      return [name, { ...typed(takesValue), ...(short !== undefined && { short }) }] as const;
    }),
  ]);
  const { tokens } = parseArgs({
    args: [...argv],
    options,
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const pieces: Piece[] = [];
  let [afterBare, afterUnknown] = [-1, -1];
  for (const token of tokens) {
    const last = pieces.at(-1);
    if (token.kind === 'option') {
      const { name: flag, rawName: raw, value, inlineValue: inline = false } = token;
      pieces.push({ kind: 'flag', flag, raw, value, inline, words: wordsOf(raw, value, inline) });
      afterBare = FLAGS.has(flag) && value === undefined ? token.index + 1 : -1;
      afterUnknown = flag in options || !raw.startsWith('--') || inline ? -1 : token.index + 1;
    } else if (token.kind === 'positional') {
      // The value of a misspelled flag: taken for a command, it would hide which word is wrong.
      if (token.index === afterUnknown) continue;
      // A flag that may stand alone takes `true` or `false` behind it all the same.
      if (token.index === afterBare && /^(?:true|false)$/.test(token.value) && last?.kind === 'flag') {
        pieces[pieces.length - 1] = { ...last, value: token.value, words: [last.raw, token.value] };
      } else pieces.push({ kind: 'word', word: token.value });
    }
  }
  return pieces;
}

function wordsOf(raw: string, value: string | undefined, inline: boolean): readonly string[] {
  if (value === undefined) return [raw];
  return inline ? [`${raw}=${value}`] : [raw, value];
}
