// OUTPUTS: what each entry has of its own, what it takes from the settings around it, and what is refused.
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { loadTargets, SettingsError } from '../../../src/settings/settings.ts';
import { loadSettings } from '../../support/settings/only-target.ts';

interface Place {
  readonly root: string;
  readonly load: (yaml: string, env?: Record<string, string>) => ReturnType<typeof loadSettings>;
  /** Every mistake, with the root left out. */
  readonly mistakes: (yaml: string, env?: Record<string, string>) => Promise<readonly string[]>;
}

function place(): Place {
  const root = mkdtempSync(join(tmpdir(), 'outputs-'));
  onTestFinished(() => rmSync(root, { recursive: true }));
  mkdirSync(join(root, 'templates'));
  writeFileSync(join(root, 'one.liquid'), '');
  const load: Place['load'] = (yaml, env = {}) => {
    writeFileSync(join(root, 's.yaml'), yaml);
    const all = { SOURCE: 'https://h/a.json', SETTINGS_FILE: 's.yaml', ...env };
    return loadSettings({ flags: [], env: all, cwd: root });
  };
  return {
    root,
    load,
    mistakes: async (yaml, env) => {
      try {
        await load(yaml, env);
        return [];
      } catch (error) {
        if (!(error instanceof SettingsError)) throw error;
        return error.problems.map((problem) => problem.replaceAll(root, ''));
      }
    },
  };
}

it('an entry has what it says, and else what the settings around it say', async () => {
  const { load, root } = place();
  const { settings } = await load(
    `outputs:
  - output: certs/
    modes: { "*.key": "0640", "*.crt": 0644 }
    output_owner: 7:8
    validate_command: [ls, "{path}/a b"]
  - { output: app.conf, template: one.liquid, format: raw, output_mode: 0600 }
output_mode: 0444
validate_command: check {path}
`,
    { FORMAT: 'json' },
  );
  const common = { template: undefined, format: 'json', owner: null, mode: 0o444, modes: [] };
  expect(settings.OUTPUTS).toEqual([
    {
      ...common,
      place: { kind: 'directory', path: join(root, 'certs') },
      owner: { uid: 7, gid: 8 },
      modes: [
        { glob: '*.key', mode: 0o640 },
        { glob: '*.crt', mode: 0o644 },
      ],
      validateCommand: ['ls', '{path}/a b'],
    },
    {
      ...common,
      place: { kind: 'file', path: join(root, 'app.conf') },
      template: { kind: 'file', path: join(root, 'one.liquid') },
      format: 'raw',
      mode: 0o600,
      validateCommand: ['check', '{path}'],
    },
  ]);
  expect(settings.OUTPUT).toEqual(settings.OUTPUTS[0]?.place);
  expect(settings.STATE_DIR).toBe(join(root, 'certs/..config-sidecar'));
});

it('one OUTPUT is a list of one', async () => {
  const { load, root } = place();
  const { settings } = await load('modes: { "*.key": "0600" }\n', { OUTPUT: 'certs/' });
  expect(settings.OUTPUTS).toMatchObject([
    { place: { kind: 'directory', path: join(root, 'certs') }, modes: [{ glob: '*.key', mode: 0o600 }] },
  ]);
});

it('is a list of maps as JSON in the environment', async () => {
  const { load } = place();
  const { settings } = await load('{}', { OUTPUTS: '[{"output": "a"}, {"output": "b"}]' });
  expect(settings.OUTPUTS).toHaveLength(2);
});

it('every mistake in every entry is reported at once, with its place and the nearest name', async () => {
  const { mistakes } = place();
  const accepted =
    'unknown key; accepted are output, template, format, output_mode, output_owner, modes, validate_command';
  expect(
    await mistakes(`outputs:
  - { outptu: a, format: jsn }
  - { output: b, template: nothing.liquid, modes: { "*.key": "9" }, validate_command: { a: b } }
  - { output: c, modes: { "/x": "0600" } }
`),
  ).toEqual([
    'Cannot use outputs[0] in "/s.yaml": it has no output',
    `Cannot use outputs[0].outptu in "/s.yaml": ${accepted}; did you mean output?`,
    'Cannot use outputs[0].format in "/s.yaml" "jsn": it must be json, yaml, toml, ini, env, properties or raw; did you mean json?',
    'Cannot use outputs[1].template in "/s.yaml" "nothing.liquid": the file does not exist',
    'Cannot use outputs[1].modes in "/s.yaml" "*.key=9": a mode is three octal digits, such as 0644 or 640',
    'Cannot use outputs[1].validate_command in "/s.yaml": it has a shape that is not accepted, or is empty',
    'Cannot use outputs[2].modes in "/s.yaml" "/x=0600": the glob "/x" must be relative to the output, and have no ".."',
  ]);
});

it.each([['outputs: []\n'], ['outputs: a.json\n'], ['outputs: [a.json]\n']])(
  '%j is refused as a whole',
  async (yaml) => {
    const { mistakes } = place();
    const [first] = await mistakes(yaml);
    expect(first).toMatch(/^Cannot use outputs in "\/s\.yaml"/);
    expect(first).toMatch(/it must be a list of maps, each with output, and not empty$/);
  },
);

it('goes not with OUTPUT, which is no default of anything', async () => {
  const { mistakes } = place();
  expect(await mistakes('outputs: [{ output: a }]\n', { OUTPUT: 'b' })).toEqual([
    'Cannot use OUTPUT "b" with outputs in "/s.yaml": every entry has an output of its own; keep one of the two',
  ]);
});

it('two outputs that are one place, or inside each other, are refused, however they are reached', async () => {
  const { mistakes, root } = place();
  mkdirSync(join(root, 'real/sub'), { recursive: true });
  symlinkSync('real', join(root, 'link'));
  const list = (...outputs: string[]): string =>
    `outputs: [${outputs.map((output) => `{ output: "${output}" }`).join(', ')}]\n`;
  const between = (at: number, path: string) => `outputs[${at}].output in "/s.yaml" "${path}"`;
  expect(await mistakes(list('a', 'b', './x/../a'))).toEqual([
    `Cannot use ${between(2, '/a')} with ${between(0, '/a')}: both are the same place`,
  ]);
  expect(await mistakes(list('real/a', 'link/a'))).toEqual([
    `Cannot use ${between(1, '/link/a')} with ${between(0, '/real/a')}: both are the same place`,
  ]);
  expect(await mistakes(list('link/', 'real/sub/x'))).toEqual([
    `Cannot use ${between(1, '/real/sub/x')} with ${between(0, '/link/')}: the first lies inside the second`,
  ]);
  expect(await mistakes(list('new/deep/', 'new/'))).toEqual([
    `Cannot use ${between(1, '/new/')} with ${between(0, '/new/deep/')}: the second lies inside the first`,
  ]);
  expect(await mistakes(list('real/a', 'real/b', 'real/sub/', 'real-not/'))).toEqual([]);
});

it('two targets share no output, and none lies in that of another', async () => {
  const { root } = place();
  const load = (web: string, api: string) => {
    writeFileSync(join(root, 't.yaml'), `targets: { web: { outputs: ${web} }, api: { outputs: ${api} } }\n`);
    const env = { SOURCE: 'https://h/a.json', SETTINGS_FILE: 't.yaml', OUTPUT: 'stray' };
    return loadTargets({ flags: [], env, cwd: root });
  };
  const both = '[{ output: a/x }, { output: b/ }]';
  await expect(load(both, '[{ output: c }, { output: ./a/../a/x }]')).rejects.toThrow(
    `Cannot run targets "web" and "api": both write OUTPUT "${root}/a/x"; give each an output of its own`,
  );
  await expect(load(both, '{ output: b/deep/y }')).rejects.toThrow(
    `Cannot run targets "web" and "api": the output of one is inside that of the other ("${root}/b", "${root}/b/deep/y"); give each a place of its own`,
  );
  const loaded = await load(both, '{ output: c }');
  expect([...loaded.values()].map(({ settings }) => settings.OUTPUTS.length)).toEqual([2, 1]);
});

it('what does not go with the kind of an output is refused', async () => {
  const { mistakes } = place();
  expect(
    await mistakes(`outputs:
  - { output: a, template: templates }
  - { output: b, modes: { "*": "0600" } }
  - { output: one.liquid }
  - { output: c/, template: one.liquid }
state_dir: c
`),
  ).toEqual([
    'Cannot use TEMPLATE "/templates" with outputs[0].output in "/s.yaml" "/a": a directory of templates needs an OUTPUT that is a directory and ends with a slash',
    'Cannot use modes with outputs[1].output in "/s.yaml" "/b": modes are for a directory; set OUTPUT_MODE for a file',
    'Cannot use outputs[2].output in "/s.yaml" "/one.liquid" with TEMPLATE "/one.liquid": the output would be read again as input',
    'Cannot use state_dir in "/s.yaml" "c" with outputs[3].output in "/s.yaml" "/c/": the state needs a directory of its own',
  ]);
  expect(await mistakes('modes: { "*": "0600" }\n', { OUTPUT: 'a' })).toEqual([
    'Cannot use modes in "/s.yaml" "*=0600" with OUTPUT "a": modes are for a directory; set OUTPUT_MODE for a file',
  ]);
});
