// Completion in the real shells, typed into a terminal: what a line becomes when Tab is pressed.
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openTerminal } from '../../support/cli/terminal.ts';
import { createPlace, type Place } from '../../support/e2e/place.ts';
import { libraryFolders } from '../../support/servers/prepare.ts';
import { rootOf, type SetName } from '../../support/servers/prerequisites.ts';

interface Shell {
  readonly command: string;
  /** What is typed first, so that the script in `completions` is in force. */
  readonly setUp: string;
  readonly env?: Readonly<Record<string, string>>;
}

function fetched(name: SetName, program: string): { readonly root: string; readonly command: string } {
  const root = rootOf(name);
  return { root, command: `LD_LIBRARY_PATH='${libraryFolders(root)}' '${join(root, program)}'` };
}

const zsh = fetched('zsh', 'bin/zsh');
const fish = fetched('fish', 'usr/bin/fish');

const SHELLS: Readonly<Record<string, Shell>> = {
  bash: { command: 'bash --norc --noprofile -i', setUp: 'source completions/config-sidecar.bash' },
  zsh: {
    // Its editor is a module, which it loads before the first line is typed.
    command: `echo 'module_path=(${join(zsh.root, 'usr/lib')}/*-linux-gnu/zsh/*)' > home/.zshenv; ZDOTDIR=home ${zsh.command} -d -i`,
    setUp: `fpath=($PWD/completions ${join(zsh.root, 'usr/share/zsh/functions/**/')}); autoload -Uz compinit; compinit -u -D`,
  },
  fish: {
    command: `${fish.command} --no-config -i`,
    setUp: `set fish_function_path ${join(fish.root, 'usr/share/fish/functions')}; set fish_autosuggestion_enabled 0; fish_default_key_bindings; source completions/config-sidecar.fish`,
  },
};

const FILES: Readonly<Record<string, string>> = {
  bash: 'config-sidecar.bash',
  zsh: '_config-sidecar',
  fish: 'config-sidecar.fish',
};

/** The three scripts, as `config-sidecar completion` prints them. */
async function withScripts(place: Place): Promise<void> {
  for (const [shell, file] of Object.entries(FILES)) {
    const { stdout, code } = await place.run(['completion', shell]);
    expect(code).toBe(0);
    place.write(`completions/${file}`, stdout);
  }
  place.write('my-app.yaml', 'a: 1\n');
}

const TYPED: readonly (readonly [typed: string, becomes: string])[] = [
  ['config-sidecar hist', 'config-sidecar history'],
  ['config-sidecar check --js', 'config-sidecar check --json'],
  ['config-sidecar sync --retr', 'config-sidecar sync --retry'],
  ['config-sidecar --reload-sig', 'config-sidecar --reload-signal'],
  ['config-sidecar run --preset hapr', 'config-sidecar run --preset haproxy'],
  ['config-sidecar run --preset=hapr', 'config-sidecar run --preset=haproxy'],
  ['config-sidecar --log-format pre', 'config-sidecar --log-format pretty'],
  ['config-sidecar help roll', 'config-sidecar help rollback'],
  ['config-sidecar completion fi', 'config-sidecar completion fish'],
  [
    'config-sidecar once --output /tmp/x --template my-',
    'config-sidecar once --output /tmp/x --template my-app.yaml',
  ],
  ['config-sidecar run --http-token-f', 'config-sidecar run --http-token-file'],
];

test.for(Object.keys(SHELLS))('%s completes commands, flags, values and files', async (name, context) => {
  const place = createPlace(context);
  await withScripts(place);
  const { command, setUp } = SHELLS[name] as Shell;
  const terminal = openTerminal(command, { HOME: place.directory('home') }, place.root);
  terminal.type(`${setUp}; echo rea''dy\n`);
  await terminal.shows(/^ready$/m);
  const lines: string[] = [];
  for (const [number, [typed]] of TYPED.entries()) {
    // Tab, then the whole line becomes what `echo` prints.
    terminal.type(`${typed}\t`);
    terminal.type(`\u0001echo "${number}<\u0005>${number}"\n`);
    const [, line = ''] = await terminal.shows(new RegExp(`^${number}<(.*)>${number}$`, 'm'));
    lines.push(line.replace(/[= ]*$/, ''));
  }
  expect(lines).toEqual(TYPED.map(([, becomes]) => becomes));
});

test('a script starts no program: Tab is answered at once, also where the program is not there', async (context) => {
  const place = createPlace(context);
  for (const shell of Object.keys(SHELLS)) {
    const { stdout } = await place.run(['completion', shell]);
    expect(stdout.replaceAll(/^#.*$/gm, '')).not.toMatch(/\$\(config-sidecar|`config-sidecar/);
  }
  expect((await place.run(['completion', 'tcsh'])).stderr).toBe(
    'Cannot use "tcsh": unknown shell. Known are bash, zsh or fish.\n',
  );
});
