// Text broken into lines for a terminal.

/** Lines of at most `width` characters, each after `indent` blanks; a word that is longer stands alone. */
export function wrap(text: string, indent = 0, width = 100): string {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + word.length + 1 > width - indent) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line].map((each) => ' '.repeat(indent) + each).join('\n');
}
