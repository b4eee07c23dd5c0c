// The text of decimals in TOML: the parser makes numbers of them, so their text is put in quotes before it sees them.

/** A decimal, as TOML writes one; dates and integers are not decimals. */
const DECIMAL = /^[+-]?[\d_]+(?:\.[\d_]+)?(?:[eE][+-]?[\d_]+)?$/;
const BARE = /[\w+.:-]+/y;

/**
 * Replaces every decimal that stands for a value.
 * @param replace gives what stands in its place; undefined leaves it as it is.
 */
export function replaceDecimals(text: string, replace: (decimal: string) => string | undefined): string {
  const parts: string[] = [];
  const open: string[] = [];
  let done = 0;
  let expectsValue = false;
  for (let at = 0; at < text.length; ) {
    const char = text.charAt(at);
    BARE.lastIndex = at;
    const bare = BARE.exec(text)?.[0];
    if (bare !== undefined) {
      const other = expectsValue && isDecimal(bare) ? replace(bare) : undefined;
      if (other !== undefined) {
        parts.push(text.slice(done, at), other);
        done = at + bare.length;
      }
      expectsValue = false;
      at += bare.length;
    } else if (char === '"' || char === "'") {
      at = endOfString(text, at);
      expectsValue = false;
    } else if (char === '#') {
      at = endOfLine(text, at);
    } else {
      if (char === '=') expectsValue = true;
      else if (char === '[' || char === '{') {
        // A bracket where no value is expected begins the name of a table.
        open.push(char === '[' && expectsValue ? 'list' : 'names');
        expectsValue = open.at(-1) === 'list';
      } else if (char === ']' || char === '}') {
        open.pop();
        expectsValue = false;
      } else if (char === ',') expectsValue = open.at(-1) === 'list';
      at += 1;
    }
  }
  return done === 0 ? text : parts.join('') + text.slice(done);
}

function isDecimal(bare: string): boolean {
  return /[.eE]/.test(bare) && DECIMAL.test(bare);
}

function endOfLine(text: string, at: number): number {
  const end = text.indexOf('\n', at);
  return end === -1 ? text.length : end;
}

/** Behind the closing quote; a string that stays open is the parser's to complain about. */
function endOfString(text: string, start: number): number {
  const quote = text.charAt(start);
  const isLong = text.startsWith(quote.repeat(3), start);
  const closing = isLong ? quote.repeat(3) : quote;
  let at = start + closing.length;
  while (at < text.length && !text.startsWith(closing, at)) {
    if (!isLong && text[at] === '\n') return at;
    at += quote === '"' && text[at] === '\\' ? 2 : 1;
  }
  at += closing.length;
  // Two more quotes may stand before the three that close.
  while (isLong && text[at] === quote) at += 1;
  return at;
}
