// Splits a command into words as a POSIX shell would. Nothing is expanded: commands run without a shell.

/** Thrown for a command that cannot be split; the message is a reason, without the command. */
export class WordsError extends Error {}

const OPERATOR = /[|&;<>`]|\$[A-Za-z_({]/y;

interface Reader {
  readonly text: string;
  position: number;
}

/**
 * Quotes and backslashes mean what they mean in a shell. What only a shell could do (pipes, redirection, `&&`,
 * unquoted `$NAME`) is refused where it stands unquoted, since it would reach the command as a plain word.
 */
export function splitWords(text: string): readonly string[] {
  const reader: Reader = { text, position: 0 };
  const words: string[] = [];
  skipBlanks(reader);
  while (reader.position < text.length) {
    words.push(readWord(reader));
    skipBlanks(reader);
  }
  return words;
}

function skipBlanks(reader: Reader): void {
  while (/\s/.test(reader.text.charAt(reader.position))) reader.position += 1;
}

function readWord(reader: Reader): string {
  let word = '';
  while (reader.position < reader.text.length) {
    const character = reader.text.charAt(reader.position);
    if (/\s/.test(character)) break;
    if (character === "'") word += readSingle(reader);
    else if (character === '"') word += readDouble(reader);
    else if (character === '\\') word += readEscape(reader);
    else word += readPlain(reader);
  }
  return word;
}

function readPlain(reader: Reader): string {
  OPERATOR.lastIndex = reader.position;
  const operator = OPERATOR.exec(reader.text)?.[0];
  if (operator !== undefined) {
    const shown = operator.startsWith('$') ? '$' : operator;
    throw new WordsError(
      `it is run without a shell, so ${shown} must be quoted; write sh -c '…' to use a shell`,
    );
  }
  reader.position += 1;
  return reader.text.charAt(reader.position - 1);
}

function readSingle(reader: Reader): string {
  const end = reader.text.indexOf("'", reader.position + 1);
  if (end < 0) throw new WordsError("a ' is not closed");
  const inside = reader.text.slice(reader.position + 1, end);
  reader.position = end + 1;
  return inside;
}

function readDouble(reader: Reader): string {
  let inside = '';
  for (let index = reader.position + 1; index < reader.text.length; index += 1) {
    const character = reader.text.charAt(index);
    if (character === '"') {
      reader.position = index + 1;
      return inside;
    }
    const next = reader.text.charAt(index + 1);
    if (character === '\\' && next !== '' && '"\\$`\n'.includes(next)) {
      inside += next === '\n' ? '' : next;
      index += 1;
    } else {
      inside += character;
    }
  }
  throw new WordsError('a " is not closed');
}

function readEscape(reader: Reader): string {
  const next = reader.text.charAt(reader.position + 1);
  if (next === '') throw new WordsError('it ends with a backslash');
  reader.position += 2;
  return next === '\n' ? '' : next;
}

/** One word as `splitWords` reads it back. */
export function quoteWord(word: string): string {
  return /^[\w@%+=:,./{}-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
