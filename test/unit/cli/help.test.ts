// The help texts: each fits a screen, and what they show can be used.
import { describe, expect, test } from 'vitest';
import { COMMAND_NAMES, commandOf, EXIT_MEANINGS } from '../../../src/cli/commands.ts';
import { HELP_WORDS, helpOfCommand, helpOn, usageOf } from '../../../src/cli/help.ts';
import { misuse, unknownWord } from '../../../src/cli/misuse.ts';
import { EXIT } from '../../../src/lib/exit-codes.ts';
import { separateArguments } from '../../../src/settings/flags.ts';
import { flagOf, isName } from '../../../src/settings/table.ts';
import { loadPartialSettings } from '../../support/settings/only-target.ts';

const linesOf = (text: string | undefined): readonly string[] => (text ?? '').trimEnd().split('\n');

test('the program is explained on a screen of 24 lines and 80 columns, with every command', () => {
  const lines = linesOf(helpOn(undefined));
  expect(lines.length).toBeLessThanOrEqual(24);
  expect(lines.filter((line) => line.length > 80)).toEqual([]);
  for (const name of COMMAND_NAMES) {
    expect(lines.filter((line) => line.startsWith(`  ${name} `))).toHaveLength(1);
  }
});

describe.each(COMMAND_NAMES)('help %s', (name) => {
  const command = commandOf(name);
  const text = helpOfCommand(name);
  const lines = linesOf(text);

  test('fits a screen of 40 lines and 80 columns', () => {
    expect(lines.length).toBeLessThanOrEqual(40);
    // A command line that is to be copied is not broken.
    expect(lines.filter((line) => line.length > 80 && !line.startsWith('  config-sidecar '))).toEqual([]);
  });

  test('names its flags, its settings and its exit codes', () => {
    expect(text.replace(/\n {2}(?=\[)/g, ' ').split('\n')[0]).toBe(`Usage: ${usageOf(name)}`);
    for (const flag of Object.keys(command.flags ?? {})) {
      expect(lines.some((line) => line.startsWith(`  --${flag} `))).toBe(true);
    }
    for (const setting of command.settings) {
      expect(isName(setting)).toBe(true);
      expect(lines.join(' ')).toContain(flagOf(setting));
    }
    for (const code of command.exits) expect(lines).toContain(`  ${code}  ${EXIT_MEANINGS[code]}`);
  });

  test('has an example that the program takes', async () => {
    const [program, ...argv] = command.example.split(' ');
    const own = Object.keys(command.flags ?? {}).map((flag) => ({ name: flag }));
    const { positionals, flags, problems } = separateArguments(argv, own);
    expect([program, positionals[0], problems]).toEqual(['config-sidecar', name, []]);
    const existing = flags.filter(
      (flag, at) => flag !== '--settings-file' && flags[at - 1] !== '--settings-file',
    );
    await loadPartialSettings({ flags: existing, env: {}, cwd: '/' });
  });
});

test('every exit code of the program has its meaning', () => {
  expect(Object.keys(EXIT_MEANINGS).map(Number)).toEqual(Object.values(EXIT));
});

test('a word that is not known is answered with what is meant', () => {
  expect(unknownWord('command', 'stauts', COMMAND_NAMES)).toEqual(
    misuse('Cannot use "stauts": unknown command. Did you mean "status"?'),
  );
  expect(unknownWord('shell', 'powershell', ['bash', 'zsh', 'fish'])).toEqual(
    misuse('Cannot use "powershell": unknown shell. Known are bash, zsh or fish.'),
  );
  for (const word of HELP_WORDS) expect(helpOn(word)).toBeDefined();
  expect(helpOn('stauts')).toBeUndefined();
});
