// What comes from the data, a checker or a source reaches no terminal as a character that it obeys, whatever the command.
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openTerminal } from '../../support/cli/terminal.ts';
import { createPlace, type Place } from '../../support/e2e/place.ts';
import { DIST } from '../../support/e2e/sidecar.ts';

const PROGRAM = `${process.execPath} ${join(DIST, 'main.js')}`;
/** Clears the screen, sets the title, turns the direction: C0, C1 and beyond. */
const EVIL = '\u001b[2J\u001b]0;owned\u0007\u009b2J\u009d0;owned\u009c\u202eeht';
/** All that a terminal may get: our own colours, and the lines themselves. */
const OWN = /\u001b\[(?:0|1|2|3[1-6])m|\r\n|[\n\t]/g;
const OBEYED = /[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/;

function variablesOf(place: Place): Readonly<Record<string, string>> {
  place.write('app.json', JSON.stringify({ good: 1, [EVIL]: EVIL }));
  place.write('app.liquid', `{% for one in sidecar.entries %}{{ one.key }}={{ one.value }}\n{% endfor %}`);
  place.write('check.mjs', `console.log(${JSON.stringify(EVIL)}); process.exit(1)`);
  return {
    ...{ SOURCE: place.at('app.json'), TEMPLATE: place.at('app.liquid'), OUTPUT: place.at('out.conf') },
    VALIDATE_COMMAND: `${process.execPath} ${place.at('check.mjs')} {path}`,
  };
}

test('every command shows them by their numbers on a terminal', async (context) => {
  const place = createPlace(context);
  const variables = { ...variablesOf(place), LISTEN: 'off' };
  const run = async (words: string, more: Readonly<Record<string, string>> = {}): Promise<string> => {
    const terminal = openTerminal(`${PROGRAM} ${words}`, { ...variables, ...more }, place.root);
    await terminal.ended;
    return terminal.screen();
  };
  const screens = new Map<string, string>();
  for (const words of ['check', 'diff', 'once', 'settings']) screens.set(words, await run(words));
  screens.set('a wrong setting', await run('check', { RELOAD_SIGNAL: EVIL }));
  const { LISTEN: _none, ...others } = variables;
  const sidecar = await place.start(others);
  await sidecar.outcome('rejected');
  for (const words of ['status', 'status --json', 'history', 'history --json', 'sync', 'rollback 7'])
    screens.set(words, await run(words));
  for (const [words, screen] of screens) {
    expect([words, OBEYED.exec(screen.replaceAll(OWN, ''))?.[0]]).toEqual([words, undefined]);
  }
  for (const words of ['check', 'diff', 'once', 'status'])
    expect([words, screens.get(words)]).toEqual([words, expect.stringContaining('\\u009b2J')]);
});

test('a pipe gets every byte of a diff', async (context) => {
  const place = createPlace(context);
  const { stdout } = await place.run(['diff'], { ...variablesOf(place), VALIDATE_COMMAND: 'true' });
  expect(stdout).toContain(EVIL);
});
