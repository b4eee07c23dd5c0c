// What a kind of setting is (how its text is read and shown), and the kinds that are plain text.
import { InvalidValue } from '../lib/invalid-value.ts';
import { nearest } from './nearest.ts';

/** One kind of value. `parse` throws a InvalidValue; everything around it (name, value, masking) is added by the caller. */
export interface Kind<T> {
  /** One or two words for the reference: `duration`. */
  readonly type: string;
  readonly parse: (text: string, cwd: string) => T;
  /** The value in the setting's own spelling; without it the text as given. */
  readonly print?: (value: T) => string;
  /** How a list in the settings file becomes this setting's text; without it a list is refused. */
  readonly fromList?: (items: readonly string[]) => string;
  /** How a map in the settings file becomes this setting's text; without it a map is refused. */
  readonly fromMap?: (items: ReadonlyArray<readonly [string, string]>) => string;
  /** How a list or a map of texts and maps in the settings file becomes this setting's text; undefined: it cannot. */
  readonly fromItems?: (items: readonly unknown[]) => string | undefined;
  /** Of a list of maps: the kind of each key, for the schema of the settings file. */
  readonly itemKinds?: Readonly<Record<string, KindShape>>;
  /** The keys that no map of it may lack. */
  readonly requiredKeys?: readonly string[];
  /** The only values it takes, where it has few; for completion and the schema of the settings file. */
  readonly values?: readonly string[];
  /** The flag may stand alone and then means `true`. */
  readonly bareFlag?: boolean;
  /** White space at both ends is part of the value. */
  readonly verbatim?: boolean;
}

/** How values of a kind are written, whatever they become. */
export type KindShape = Omit<Kind<unknown>, 'parse' | 'print'>;

/** `a, b or c` */
export function alternatives(words: readonly string[]): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;
}

/** One of a few words. `synonyms` are not accepted, but lead to the word that is. */
export function choice<const T extends string>(
  values: readonly T[],
  synonyms: Readonly<Record<string, T>> = {},
): Kind<T> {
  return {
    type: values.map((value) => `\`${value}\``).join(' '),
    values,
    parse: (text) => {
      const found = values.find((value) => value === text);
      if (found !== undefined) return found;
      const meant = synonyms[text.toLowerCase()] ?? nearest(text, values);
      throw new InvalidValue(`it must be ${alternatives(values)}`, meant);
    },
  };
}

const TRUTHS: Readonly<Record<string, string>> = {
  1: 'true',
  yes: 'true',
  on: 'true',
  0: 'false',
  no: 'false',
  off: 'false',
};

/** `true` or `false`; the flag alone means `true`. */
export const boolean: Kind<boolean> = {
  type: '`true` `false`',
  values: ['true', 'false'],
  bareFlag: true,
  parse: (text) =>
    choice(['true', 'false'], TRUTHS as Record<string, 'true' | 'false'>).parse(text, '') === 'true',
};

/** A whole number within bounds. */
export function count({
  atLeast,
  atMost,
}: {
  readonly atLeast: number;
  readonly atMost: number;
}): Kind<number> {
  return {
    type: 'number',
    parse: (raw) => {
      const value = /^\d{1,9}$/.test(raw) ? Number(raw) : Number.NaN;
      if (value >= atLeast && value <= atMost) return value;
      throw new InvalidValue(`it must be a whole number from ${atLeast} to ${atMost}`);
    },
  };
}

/** Any text, white space at its ends included. */
export const text: Kind<string> = { type: 'text', verbatim: true, parse: (raw) => raw };

/** A word that travels in a header: visible ASCII, no blanks. */
export const token: Kind<string> = {
  type: 'text',
  parse: (raw) => {
    if (!/^[\x21-\x7e]+$/.test(raw)) {
      throw new InvalidValue(
        'it must be visible ASCII characters without blanks, since it is sent in a header',
      );
    }
    return raw;
  },
};

/** A name without blanks or control characters. */
export const word: Kind<string> = {
  type: 'name',
  parse: (raw) => {
    if (/[\s\x00-\x1f\x7f]/.test(raw)) throw new InvalidValue('it must be one word without blanks');
    return raw;
  },
};

/** Words separated by white space, each checked alone. */
function list(type: string, check: (item: string) => void): Kind<readonly string[]> {
  return {
    type,
    fromList: (items) => items.join(' '),
    parse: (raw) => {
      const items = raw.split(/\s+/).filter((item) => item !== '');
      items.forEach(check);
      return items;
    },
  };
}

/** Names of environment variables. */
export const variableNames = list('list of names', (name) => {
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) {
    throw new InvalidValue(
      `"${name}" is not the name of an environment variable: use letters, digits and _, and begin with no digit`,
    );
  }
});

/** Paths into the data: `db/host`. */
export const keyPaths = list('list of paths', (path) => {
  if (path.split('/').includes('')) {
    const tidy = path
      .split('/')
      .filter((part) => part !== '')
      .join('/');
    throw new InvalidValue(
      `"${path}" is not the path of a key: join names with one /, such as db/host`,
      tidy || undefined,
    );
  }
});

/** The text of a value as the settings file has it; undefined where this kind takes no such shape, or it is empty. */
export function textFrom({ fromList, fromMap, fromItems }: KindShape, value: unknown): string | undefined {
  if (typeof value === 'string') return value.trim() === '' ? undefined : value;
  if (fromItems !== undefined) return fromItems(Array.isArray(value) ? value : [value]);
  if (Array.isArray(value))
    return fromList && value.length > 0 && value.every(isText) ? fromList(value) : undefined;
  if (typeof value !== 'object' || value === null || fromMap === undefined) return undefined;
  const items = Object.entries(value).filter((item): item is [string, string] => isText(item[1]));
  return items.length > 0 && items.length === Object.keys(value).length ? fromMap(items) : undefined;
}

function isText(value: unknown): value is string {
  return typeof value === 'string';
}
