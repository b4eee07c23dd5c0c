// What is wrong with a volume, found without publishing: real mounts, users and disks.
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  codesOf,
  createSite,
  type Examined,
  examine,
  type Site,
  withCode,
} from '../../support/check/examining.ts';
import type { Env } from '../../support/check/run-check.ts';
import { compile, type Program, runProgram, type Where } from '../../support/publish/programs.ts';

const NOBODY = 65_534;

let program: Program;
beforeAll(() => {
  program = compile('check/checking-program.ts');
});
afterAll(() => program.remove());

const run = (env: Env, where?: Where): Promise<Examined> => runProgram<Examined>(program, env, where);

/** The settings of a file output, or of a directory output made by a template. */
function outputOf(kind: 'file' | 'directory', site: Site): Env {
  if (kind === 'file') return site.env;
  mkdirSync(site.at('templates'), { recursive: true });
  site.write('templates/app.conf.liquid', 'port {{ port }}\n');
  return { ...site.env, OUTPUT: `${site.at('volume')}/`, TEMPLATE: site.at('templates') };
}

const shown = (kind: 'file' | 'directory', site: Site): string =>
  kind === 'file' ? site.at('volume/app.json') : `${site.at('volume')}/`;

describe.each(['file', 'directory'] as const)('the volume of a %s output', (kind) => {
  test('that is missing is reported once, with what to do', async () => {
    const site = createSite();
    const env = outputOf(kind, site);
    rmSync(site.at('volume'), { recursive: true });
    const examined = await examine(env);
    expect(withCode(examined, 'publish.no-directory')).toMatchObject({ area: 'output', level: 'fail' });
    expect(codesOf(examined, 'fail')).toEqual(['publish.no-directory']);
    expect(withCode(examined, 'publish.no-directory').mend).toMatch(
      /^Create it, or mount the volume there\.$/,
    );
    expect(examined.exitCode).toBe(5);
  });

  test('that is a file is reported', async () => {
    const site = createSite();
    const env = outputOf(kind, site);
    rmSync(site.at('volume'), { recursive: true });
    site.write('volume', '');
    expect(withCode(await examine(env), 'publish.not-a-directory')).toMatchObject({ level: 'fail' });
  });

  test('that is read-only is reported', async () => {
    const site = createSite();
    const volume = site.at('volume');
    const mounts = `mount --bind '${volume}' '${volume}'; mount -o remount,ro,bind '${volume}'`;
    const examined = await run(outputOf(kind, site), { mounts });
    expect(withCode(examined, 'publish.read-only')).toMatchObject({
      area: 'output',
      level: 'fail',
      message: `Cannot publish "${shown(kind, site)}": the file system is read-only.`,
      mend: "Mount the volume writable in the sidecar; only the application's mount may be read-only.",
    });
    expect(examined.exitCode).toBe(5);
  });

  test('that another user may not write to is reported with both users', async () => {
    const site = createSite();
    const examined = await run(outputOf(kind, site), { uid: NOBODY });
    const finding = withCode(examined, 'publish.not-permitted');
    expect(finding).toMatchObject({ area: 'output', level: 'fail' });
    expect(finding.message).toBe(
      `Cannot publish "${shown(kind, site)}": uid ${NOBODY} may not write in "${site.at('volume')}" (it belongs to uid 0, gid 0, mode 755).`,
    );
    expect(finding.mend).toBe('Give both containers the same runAsUser or fsGroup.');
  });

  test('that is sticky and holds a file of another user is reported', async () => {
    const site = createSite();
    const env = outputOf(kind, site);
    chmodSync(site.at('volume'), 0o1777);
    if (kind === 'file') writeFileSync(site.at('volume/app.json'), 'old');
    else symlinkSync('..gen-0123456789ab', site.at('volume/..data'));
    const examined = await run(env, { uid: NOBODY });
    expect(withCode(examined, 'publish.not-permitted').message).toBe(
      `Cannot publish "${shown(kind, site)}": the directory is sticky and the file in place belongs to uid 0, the sidecar is uid ${NOBODY}.`,
    );
  });

  test('that is too small is reported with what is needed', async () => {
    const site = createSite();
    const env = outputOf(kind, site);
    site.write('config.json', JSON.stringify({ port: 'x'.repeat(200_000) }));
    const volume = site.at('volume');
    const examined = await run(env, { mounts: `mount -t tmpfs -o size=128k,mode=777 none '${volume}'` });
    const finding = withCode(examined, 'publish.no-space');
    expect(finding.message).toMatch(
      new RegExp(`^On the volume of "${volume}" \\d+ bytes are free, and 20\\d{4} are needed\\.$`),
    );
    expect(finding.mend).toBe(
      'Make the volume larger (sizeLimit of an emptyDir), or the configuration smaller.',
    );
  });

  test('that holds one version but not two is a warning', async () => {
    const site = createSite();
    const env = outputOf(kind, site);
    site.write('config.json', JSON.stringify({ port: 'x'.repeat(80_000) }));
    const volume = site.at('volume');
    const examined = await run(env, { mounts: `mount -t tmpfs -o size=128k,mode=777 none '${volume}'` });
    expect(withCode(examined, 'publish.little-space')).toMatchObject({ area: 'output', level: 'warn' });
    expect(examined.exitCode).toBe(0);
  });

  test('that has no more inodes is reported', async () => {
    const site = createSite();
    const volume = site.at('volume');
    const mounts = `mount -t tmpfs -o nr_inodes=5,mode=777 none '${volume}'; mkdir -p '${volume}/f/g'`;
    const examined = await run({ ...outputOf(kind, site), STATE_DIR: site.at('state') }, { mounts });
    expect(withCode(examined, 'publish.no-space').message).toBe(
      `On the volume of "${volume}" 2 more files can be made, and 3 are needed.`,
    );
  });

  test('is left as it is when OUTPUT_OWNER is not permitted, which is reported', async () => {
    const site = createSite();
    const env = outputOf(kind, site);
    chmodSync(site.at('volume'), 0o777);
    const examined = await run({ ...env, OUTPUT_OWNER: '1234:1234' }, { uid: NOBODY });
    expect(withCode(examined, 'publish.owner')).toMatchObject({
      area: 'output',
      level: 'fail',
      message: `Cannot give the file to "1234:1234": uid ${NOBODY} is not permitted to.`,
    });
    expect(readdirSync(site.at('volume'))).toEqual([]);
  });

  test('is reported with its user and mode, and what it shows', async () => {
    const site = createSite();
    const env = { ...outputOf(kind, site), OUTPUT_OWNER: '1234', OUTPUT_MODE: '0640' };
    const { message } = withCode(await examine(env), 'output.writable');
    const where =
      kind === 'file' ? 'beside it under a hidden name' : 'in it under names that begin with ".."';
    expect(message).toBe(
      `"${shown(kind, site)}" can be written: staged ${where}, so on the same file system; mode 0640, user 1234. This sidecar has published nothing there yet.`,
    );
    expect(readdirSync(site.at('volume'))).toEqual([]);
  });
});

test('a volume that shows the newest, and one that shows something else, are distinguished', async () => {
  const site = createSite();
  site.write('volume/app.json', '{"port":80}');
  expect(withCode(await examine(site.env), 'output.writable').message).toContain(
    'It shows what the source holds.',
  );
  site.write('volume/app.json', '{"port":81}');
  expect(withCode(await examine(site.env), 'output.writable').message).toContain(
    'It shows something other than the source holds, which a publication would change.',
  );
  expect(readFileSync(site.at('volume/app.json'), 'utf8')).toBe('{"port":81}');
});

test('a single file that is mounted cannot be replaced', async () => {
  const site = createSite();
  const path = site.write('volume/app.json', 'old');
  const examined = await run(site.env, { mounts: `mount --bind '${site.at('config.json')}' '${path}'` });
  expect(withCode(examined, 'publish.single-file-mount')).toMatchObject({
    area: 'output',
    level: 'fail',
    message: `Cannot publish "${path}": it is a mount of its own, and a mounted single file cannot be replaced.`,
    mend: 'Mount its directory instead of the file (no subPath).',
  });
});

test('a symbolic link in the place of the file is reported, and stays', async () => {
  const site = createSite();
  const other = site.write('other.json', 'old');
  symlinkSync(other, site.at('volume/app.json'));
  const examined = await examine(site.env);
  expect(withCode(examined, 'output.symbolic-link')).toEqual({
    area: 'output',
    level: 'warn',
    code: 'output.symbolic-link',
    message: `"${site.at('volume/app.json')}" is a symbolic link to "${other}": it is replaced by a file, and what it points to stays as it is.`,
    mend: 'If the application reads the other file, name that in OUTPUT.',
  });
  expect(examined.exitCode).toBe(0);
});

test('a directory output that is a symbolic link is refused', async () => {
  const site = createSite();
  const env = outputOf('directory', site);
  symlinkSync('volume', site.at('link'));
  const examined = await examine({ ...env, OUTPUT: `${site.at('link')}/` });
  expect(withCode(examined, 'publish.symbolic-link').mend).toBe('Name the directory it points to.');
});

test('a foreign file with a name that is needed is reported', async () => {
  const site = createSite();
  const env = outputOf('directory', site);
  site.write('volume/app.conf', 'by hand');
  expect(withCode(await examine(env), 'publish.foreign')).toMatchObject({
    area: 'output',
    level: 'fail',
    message: `Cannot publish "${site.at('volume')}/": "app.conf" in it was not made by config-sidecar.`,
    mend: 'Move it away, or choose an OUTPUT directory of its own.',
  });
  rmSync(site.at('volume/app.conf'));
  symlinkSync('..data/app.conf', site.at('volume/app.conf'));
  expect((await examine(env)).exitCode).toBe(0);
});

describe('the state directory', () => {
  test('on a volume of its own is reported as such', async () => {
    const site = createSite();
    const examined = await examine({ ...site.env, STATE_DIR: site.at('state') });
    expect(withCode(examined, 'state.writable').message).toBe(
      `The state directory "${site.at('state/app.json')}" (apart from the output) can be locked and written; no sidecar runs.`,
    );
    expect(readdirSync(site.root)).not.toContain('state');
  });

  test('on a small volume of its own is reported', async () => {
    const site = createSite();
    mkdirSync(site.at('state'));
    site.write('config.json', JSON.stringify({ port: 'x'.repeat(30_000) }));
    const env = { ...site.env, STATE_DIR: site.at('state') };
    const mounts = `mount -t tmpfs -o size=128k,mode=777 none '${site.at('state')}'`;
    const examined = await run(env, { mounts });
    expect(withCode(examined, 'publish.little-space')).toMatchObject({
      area: 'state',
      level: 'warn',
      message: expect.stringMatching(/ are needed once there are 6 versions beside each other\.$/),
    });
  });

  test.each([
    ['that cannot be made', 'publish.no-directory', (site: Site): string => site.at('not/there/state')],
    ['that is a file', 'publish.not-a-directory', (site: Site): string => site.write('state', '')],
  ])('%s is reported', async (_what, code, place) => {
    const site = createSite();
    const examined = await examine({ ...site.env, STATE_DIR: place(site) });
    expect(withCode(examined, code)).toMatchObject({ area: 'state', level: 'fail' });
    expect(examined.exitCode).toBe(5);
  });

  test('of another user is reported with both users', async () => {
    const site = createSite();
    chmodSync(site.at('volume'), 0o777);
    mkdirSync(site.at('volume/.config-sidecar/app.json'), { recursive: true, mode: 0o755 });
    const examined = await run(site.env, { uid: NOBODY });
    expect(withCode(examined, 'publish.not-permitted')).toMatchObject({
      area: 'state',
      level: 'fail',
      message: `Cannot publish "${site.at('volume/.config-sidecar/app.json')}/": uid ${NOBODY} may not write in "${site.at('volume/.config-sidecar/app.json')}" (it belongs to uid 0, gid 0, mode 755).`,
    });
  });

  test('with a ledger of another user is reported', async () => {
    const site = createSite();
    const state = site.at('volume/.config-sidecar/app.json');
    mkdirSync(state, { recursive: true });
    writeFileSync(join(state, 'ledger.0.json'), '{}', { mode: 0o600 });
    chmodSync(site.at('volume'), 0o777);
    chownSync(state, NOBODY, NOBODY);
    const examined = await run(site.env, { uid: NOBODY });
    expect(withCode(examined, 'publish.not-permitted').area).toBe('state');
  });

  test('that others may write to is a warning', async () => {
    const site = createSite();
    const state = site.at('volume/.config-sidecar/app.json');
    mkdirSync(state, { recursive: true });
    chmodSync(state, 0o777);
    expect(withCode(await examine(site.env), 'state.writable-by-others')).toEqual({
      area: 'state',
      level: 'warn',
      code: 'state.writable-by-others',
      message: `Other users may write to "${state}" (mode 777), and so change what the sidecar rolls back to.`,
      mend: `The next start sets mode 0700. Until then: chmod 700 "${state}"`,
    });
  });

  test('with a ledger that is lost is a warning', async () => {
    const site = createSite();
    const state = site.at('volume/.config-sidecar/app.json');
    mkdirSync(state, { recursive: true });
    for (const name of ['ledger.0.json', 'ledger.1.json']) writeFileSync(join(state, name), 'garbage');
    expect(withCode(await examine(site.env), 'state.ledger-damaged').level).toBe('warn');
  });
});

describe('a directory on the way to the output', () => {
  test.each(['file', 'directory'] as const)(
    'that others may replace is reported for a %s output',
    async (kind) => {
      const site = createSite();
      const env = outputOf(kind, site);
      chmodSync(site.root, 0o777);
      const examined = await examine(env);
      expect(withCode(examined, 'output.parent-writable')).toEqual({
        area: 'output',
        level: 'fail',
        code: 'output.parent-writable',
        message: `Cannot protect "${shown(kind, site)}": user 0, group 0 or others may write in "${site.root}" (mode 777), and so put another directory in the place of "${site.at('volume')}".`,
        mend: `Mount a volume at "${site.at('volume')}" itself, or let only root and this user write in "${site.root}".`,
      });
      expect(examined.exitCode).toBe(5);
    },
  );

  test('that others may write in is no trouble where the output itself is mounted, or the directory is sticky', async () => {
    const site = createSite();
    chmodSync(site.root, 0o1777);
    expect(codesOf(await examine(site.env), 'fail')).toEqual([]);
    chmodSync(site.root, 0o777);
    const mounts = `mount -t tmpfs -o mode=777 none '${site.at('volume')}'`;
    expect(codesOf(await run(site.env, { mounts }), 'fail')).toEqual([]);
  });
});

test.each([
  ['a named pipe', 'a named pipe'],
  ['a link to standard output', 'a link to an open file of a process'],
])('an output that is %s is refused as publishing refuses it', async (what, kind) => {
  const site = createSite();
  const path = site.at('volume/app.json');
  if (what === 'a named pipe') execFileSync('mkfifo', [path]);
  else symlinkSync('/dev/stdout', path);
  const examined = await examine(site.env);
  expect(withCode(examined, 'publish.special-file')).toMatchObject({
    area: 'output',
    level: 'fail',
    message: `Cannot publish "${path}": it is ${kind}, and only a regular file can be replaced.`,
    mend: 'Name another OUTPUT; "config-sidecar diff" shows a configuration on standard output.',
  });
  expect(examined.exitCode).toBe(5);
});
