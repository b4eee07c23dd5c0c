// Regular expressions whose search takes time in proportion to the text, whatever the text: for text that others write.

/** What is known of a match: each named group with what it matched, undefined when it took no part. */
interface Match {
  readonly groups: Readonly<Record<string, string | undefined>>;
}

export interface LinearRegExp {
  /** The first match, or null. */
  readonly exec: (text: string) => Match | null;
  readonly test: (text: string) => boolean;
}

/** Makes one. `multiline`: `^` and `$` match at every line. */
export type CompileRegExp = (source: string, options?: { readonly multiline?: boolean }) => LinearRegExp;

/**
 * Loads the engine (RE2), which the program does not carry until it is needed. The compiler it gives throws an Error
 * with a reason on what the engine cannot do; `findUnsupported` knows the usual ones without it.
 */
export async function loadRegExps(): Promise<CompileRegExp> {
  const { RE2JS } = await import('re2js');
  return (source, { multiline = false } = {}) => {
    const compiled = RE2JS.compile(RE2JS.translateRegExp(source), multiline ? RE2JS.MULTILINE : 0);
    const names = Object.keys(compiled.namedGroups());
    return {
      test: (text) => compiled.test(text),
      exec: (text) => {
        const matcher = compiled.matcher(text);
        if (!matcher.find()) return null;
        return { groups: Object.fromEntries(names.map((name) => [name, matcher.group(name) ?? undefined])) };
      },
    };
  };
}

/** One that is only asked whether a text matches. A `RegExp` is one too, where the text can be trusted. */
export interface TextPattern {
  /** As it was written. */
  readonly source: string;
  readonly test: (text: string) => boolean;
}

/**
 * Makes one. The engine is loaded only for an expression that repeats something or has groups: without those, that of JavaScript
 * takes linear time as well. @throws Error with a reason on what the engine cannot do.
 */
export async function loadPattern(source: string): Promise<TextPattern> {
  const engine = hasOnlyCharacters(source) ? new RegExp(source) : (await loadRegExps())(source);
  return { source, test: (text) => engine.test(text) };
}

function hasOnlyCharacters(source: string): boolean {
  return !/[()*+?{}]/.test(source.replaceAll(/\\.|\[(?:\\.|[^\]\\])*\]/gs, ''));
}

/** Counted repetitions above this are refused by the engine. */
const MAX_REPEAT = 1000;

/** What a linear search cannot do, as half a sentence; null: nothing. The source is valid for JavaScript. */
export function findUnsupported(source: string): string | null {
  let inClass = false;
  for (const [token] of source.matchAll(TOKEN)) {
    if (inClass) {
      if (token === ']') inClass = false;
      if (token === '\\b') return 'it has a backspace in brackets ("[\\b]"; "\\x08" is one too)';
    } else if (token === '[') inClass = true;
    else if (/^\(\?<?[=!]$/.test(token)) return 'it looks ahead or behind ("(?=", "(?!", "(?<=", "(?<!")';
    else if (/^\\(?:[1-9]|k)$/.test(token)) return 'it refers back to a group ("\\1", "\\k<name>")';
    else if (token.startsWith('{') && token.match(/\d+/g)?.some((digits) => Number(digits) > MAX_REPEAT)) {
      return `it repeats something more than ${MAX_REPEAT} times ("${token}")`;
    }
  }
  return null;
}

const TOKEN = /\\.|\(\?<?[=!]|\{\d+(?:,\d*)?\}|[[\]]/gs;
