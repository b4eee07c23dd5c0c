import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { quoteWord, splitWords } from '../../../src/settings/words.ts';

const COMMANDS = [
  'nginx -t -c {path}',
  `nginx -g "daemon off;" -c '{path}'`,
  `sh -c 'test -s "$1" && echo ok' _ {path}`,
  `echo "a \\"b\\" \\$c \\\\ \\n"`,
  'echo a\\ b \\"c',
  `echo '' "" ''""x`,
  'echo a"b c"d\'e f\'',
  '  echo\ttabs\nand lines  ',
  'echo a\\\nb "c\\\nd"',
];

test.each(COMMANDS)('%s is split as a shell splits it', (command) => {
  const script = `set -f; print() { for word in "$@"; do printf '%s\\0' "$word"; done; }; print ${command.trim().replaceAll('\n', command.includes('\\\n') ? '\n' : ' ')}`;
  const printed = execFileSync('sh', ['-c', script], { encoding: 'utf8' });
  expect(splitWords(command)).toEqual(printed.split('\0').slice(0, -1));
});

test('any words that are quoted are read back equal', () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: 'grapheme' })), (words) => {
      expect(splitWords(words.map(quoteWord).join(' '))).toEqual(words);
    }),
  );
});

const REFUSED: ReadonlyArray<readonly [command: string, reason: string]> = [
  [`echo 'a`, "a ' is not closed"],
  ['echo "a', 'a " is not closed'],
  ['echo "a\\', 'a " is not closed'],
  ['echo a\\', 'it ends with a backslash'],
  ['a && b', "it is run without a shell, so & must be quoted; write sh -c '…' to use a shell"],
  ['a | b', "it is run without a shell, so | must be quoted; write sh -c '…' to use a shell"],
  ['a > b', "it is run without a shell, so > must be quoted; write sh -c '…' to use a shell"],
  ['kill $(cat x)', "it is run without a shell, so $ must be quoted; write sh -c '…' to use a shell"],
  ['echo $HOME', "it is run without a shell, so $ must be quoted; write sh -c '…' to use a shell"],
];

test.each(REFUSED)('%s is refused with the reason', (command, reason) => {
  expect(() => splitWords(command)).toThrow(new Error(reason));
});
