// Parses the text of a copy. Its form is looked at first: a JSON text of the same size can make a hundred times as many values.

/** Longer than what describes a generation can be. */
const MAX_HEAD = 65_536;
const FILES = '"files":[';
const NAME = '{"name":"';
const CONTENTS = ['","text":"', '","base64":"'] as const;
/** Fewer bytes than a file has in the middle, so that their number has a bound. */
const LEAST_FILE_BYTES = 128;
const ALWAYS_ALLOWED = 10_000;

/**
 * The value of a text as `CopyFolder` writes it, in which `files` is a list of names with text or base64.
 * @throws SyntaxError for anything else.
 */
export function parseCopy(text: string, maxBytes: number): unknown {
  const start = text.indexOf(FILES);
  if (start === -1 || start > MAX_HEAD) throw new SyntaxError('no list of files');
  const head: unknown = JSON.parse(`${text.slice(0, start)}${FILES}]}`);
  const most = Math.max(ALWAYS_ALLOWED, Math.floor(maxBytes / LEAST_FILE_BYTES));
  const files: unknown[] = [];
  let at = start + FILES.length;
  while (!text.startsWith(']}', at)) {
    const end = endOfFile(text, files.length === 0 ? at : after(text, ',', at));
    if (files.length >= most) throw new SyntaxError('too many files');
    files.push(JSON.parse(text.slice(text.indexOf('{', at), end)));
    at = end;
  }
  if (text.slice(at).trim() !== ']}') throw new SyntaxError('something follows');
  return { ...(head as object), files };
}

function endOfFile(text: string, start: number): number {
  const name = endOfString(text, after(text, NAME, start));
  const content = CONTENTS.find((one) => text.startsWith(one, name));
  if (content === undefined) throw new SyntaxError('no content');
  return after(text, '"}', endOfString(text, name + content.length));
}

function after(text: string, word: string, at: number): number {
  if (!text.startsWith(word, at)) throw new SyntaxError(`no ${word}`);
  return at + word.length;
}

/** Where the quote stands that ends the string: one before which there is an even number of backslashes. */
function endOfString(text: string, start: number): number {
  for (let quote = text.indexOf('"', start); quote !== -1; quote = text.indexOf('"', quote + 1)) {
    let escapes = quote;
    while (escapes > start && text[escapes - 1] === '\\') escapes -= 1;
    if ((quote - escapes) % 2 === 0) return quote;
  }
  throw new SyntaxError('no end');
}
