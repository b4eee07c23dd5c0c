// The application's process: found or not, its handlers, its user, its mounts. Real processes, and nothing is sent.
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, renameSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, type TestContext, test } from 'vitest';
import { readStatus } from '../../../src/application/process/proc.ts';
import { checkProcess, judge } from '../../../src/check/process.ts';
import { checkMount, compareMounts } from '../../../src/check/shared-volume.ts';
import { createStage, fixture, type Stage, until } from '../../support/application/process/apart.ts';
import { createSite, type Examined, examine, type Site, withCode } from '../../support/check/examining.ts';
import type { Env } from '../../support/check/run-check.ts';
import { compile, type Program, runProgram, type Where } from '../../support/publish/programs.ts';
import { loadSettings } from '../../support/settings/only-target.ts';

const NOBODY = 65_534;
const ME = process.geteuid?.() ?? -1;

let program: Program;
beforeAll(() => {
  program = compile('check/checking-program.ts');
});
afterAll(() => program.remove());

const run = (env: Env, where?: Where): Promise<Examined> => runProgram<Examined>(program, env, where);

interface Started {
  readonly stage: Stage;
  readonly pid: number;
  readonly env: Env;
  readonly site: Site;
}

/** A Node.js program of the fixtures under a unique name, which the settings contain. */
async function withApplication(
  context: TestContext,
  words: (stage: Stage) => readonly string[],
): Promise<Started> {
  const site = createSite();
  const stage = createStage(context);
  const path = stage.called(stage.name, process.execPath);
  const { pid } = stage.start([path, ...words(stage)]);
  return { stage, pid, site, env: { ...site.env, APP_PROCESS: stage.name } };
}

const takesHup = (stage: Stage): readonly string[] => [fixture('takes-hup.mjs'), stage.at('record')];
const listens = (stage: Stage): Promise<unknown> =>
  until('it listens', () => stage.read('record').includes('listening'));

describe('the process', () => {
  test('that catches the signal is ready, and both users are named', async (context) => {
    const { stage, pid, env } = await withApplication(context, takesHup);
    await listens(stage);
    const examined = await examine(env);
    expect(withCode(examined, 'process.ready').message).toBe(
      `The application is process ${pid} (${stage.name}); it catches SIGHUP, and this sidecar may send it (it runs as user ${ME}, this sidecar as user ${ME}).`,
    );
    expect(examined.exitCode).toBe(0);
    expect(stage.read('record')).toBe('listening\n');
  });

  test('that is still starting is waited for until it has settled', async (context) => {
    const { env } = await withApplication(context, (stage) => [...takesHup(stage), '700']);
    expect((await examine(env)).exitCode).toBe(0);
  });

  test('without a handler would be killed', async (context) => {
    const { stage, pid, env } = await withApplication(context, () => [fixture('dies-on-hup.mjs')]);
    const examined = await examine(env);
    expect(withCode(examined, 'reload.held-back')).toEqual({
      area: 'process',
      level: 'fail',
      code: 'reload.held-back',
      message: `Cannot notify the application: process ${pid} (${stage.name}) has no handler for SIGHUP, which would kill it (it runs as user ${ME}, this sidecar as user ${ME}).`,
      mend: 'Correct RELOAD_SIGNAL, make the application install a handler, or use RELOAD_URL or RELOAD_COMMAND. RELOAD_GATE=off is only for a program that waits with sigwait (BIND): any other is killed by it.',
    });
    expect(examined.exitCode).toBe(6);
    const forced = await examine({ ...env, RELOAD_GATE: 'off' });
    expect(withCode(forced, 'reload.no-handler')).toMatchObject({ area: 'process', level: 'warn' });
    expect(forced.exitCode).toBe(0);
    const restarted = await examine({ ...env, RELOAD_SIGNAL: 'SIGTERM' });
    expect(withCode(restarted, 'process.found').message).toMatch(/its supervisor has to start it again/);
    const watched = await examine({ ...env, RELOAD_SIGNAL: 'none' });
    expect(withCode(watched, 'process.found').message).toBe(
      `The application is process ${pid} (${stage.name}) (it runs as user ${ME}, this sidecar as user ${ME}).`,
    );
    expect(existsSync(`/proc/${pid}`)).toBe(true);
  });

  test('that ignores the signal is reported', async (context) => {
    const site = createSite();
    const stage = createStage(context);
    const sleep = stage.called(stage.name, '/bin/sleep');
    const { pid } = stage.start(['sh', fixture('ignores-hup.sh'), sleep, '600']);
    await until('it became the program', () =>
      execFileSync('cat', [`/proc/${pid}/comm`]).includes(stage.name),
    );
    const examined = await examine({ ...site.env, APP_PROCESS: stage.name });
    expect(withCode(examined, 'reload.ignored')).toMatchObject({
      area: 'process',
      level: 'fail',
      message: `Cannot notify the application: process ${pid} (${stage.name}) ignores SIGHUP (it runs as user ${ME}, this sidecar as user ${ME}).`,
    });
  });

  test('that blocks the signal waits for it', async (context) => {
    const site = createSite();
    const stage = createStage(context);
    stage.start(['python3', fixture('waits-for-hup.py'), 'blocked', stage.at('record')]);
    await listens(stage);
    const pattern = `/waits-for-hup.py blocked ${stage.at('record')}/`;
    const examined = await examine({ ...site.env, APP_PROCESS: pattern });
    expect(withCode(examined, 'process.ready').message).toContain(
      'waits for SIGHUP with sigwait or signalfd',
    );
  });

  test('of another user may not be signalled, and both users are named', async (context) => {
    const { stage, pid, env, site } = await withApplication(context, takesHup);
    await listens(stage);
    chmodSync(site.at('volume'), 0o777);
    const examined = await run(env, { uid: NOBODY });
    const finding = withCode(examined, 'reload.not-permitted');
    expect(finding).toMatchObject({ area: 'process', level: 'fail' });
    expect(finding.message).toBe(
      `Cannot notify the application: process ${pid} (${stage.name}) belongs to user 0, and this sidecar runs as user ${NOBODY} without CAP_KILL (it runs as user 0, this sidecar as user ${NOBODY}).`,
    );
    expect(finding.mend).toMatch(/^Give both containers the same runAsUser/);
    expect(examined.exitCode).toBe(6);
  });

  test('that is still starting when the time is up is reported as such', async (context) => {
    const { env } = await withApplication(context, takesHup);
    const loaded = await loadSettings({ flags: [], env, cwd: '/' });
    const { findings } = await checkProcess({ loaded, env, signal: AbortSignal.abort() });
    expect(findings).toEqual([
      {
        area: 'process',
        level: 'warn',
        code: 'reload.settling',
        message: expect.stringMatching(/^Process \d+ \(.*\) was found, but is still starting: /),
        mend: 'Check again in a few seconds.',
      },
    ]);
  });

  test('on a system that does not show handlers is reported as such', async () => {
    const { settings } = await loadSettings({
      flags: [],
      env: { ...createSite().env, APP_PROCESS: 'web' },
      cwd: '/',
    });
    const id = { pid: 2 ** 31 - 1, startTicks: 1 };
    const readiness = { kind: 'unknown-handler', reason: 'may have no handler for SIGHUP' } as const;
    const seenAt = { bootId: null, ticks: null };
    expect(judge({ kind: 'found', id, name: '7 (web)', readiness, seenAt }, settings)).toEqual({
      area: 'process',
      level: 'fail',
      code: 'reload.held-back',
      message: 'Cannot notify the application: process 7 (web) may have no handler for SIGHUP.',
      mend: 'Use RELOAD_URL or RELOAD_COMMAND. Set RELOAD_GATE=off only if you know that the application has a handler: without one, the signal kills it.',
    });
  });

  test('that is not there is reported with those that are', async () => {
    const examined = await examine({ ...createSite().env, APP_PROCESS: 'no-such-name' });
    const finding = withCode(examined, 'reload.no-target');
    expect(finding).toMatchObject({ area: 'process', level: 'fail' });
    expect(finding.message).toBe('Cannot find the application: no process is named "no-such-name".');
    expect(finding.mend).toMatch(
      /^Start the application, or correct APP_PROCESS, APP_CONTAINER or APP_PID_FILE\. Visible are \d+ \(.*\)(, \d+ more)?\.$/,
    );
  });

  test('that matches several processes is reported with all of them', async (context) => {
    const { stage, pid, env } = await withApplication(context, () => [fixture('dies-on-hup.mjs')]);
    const other = stage.start([stage.at(stage.name), fixture('dies-on-hup.mjs')]);
    const examined = await examine(env);
    expect(withCode(examined, 'reload.ambiguous')).toEqual({
      area: 'process',
      level: 'fail',
      code: 'reload.ambiguous',
      message: `Cannot say which process is the application: several unrelated processes match: ${pid} (${stage.name}), ${other.pid} (${stage.name}).`,
      mend: 'Make APP_PROCESS match one of them, or add APP_CONTAINER or APP_PID_FILE.',
    });
  });

  test('named by a PID file that is not there is reported with that file', async () => {
    const site = createSite();
    const examined = await examine({ ...site.env, APP_PID_FILE: site.at('app.pid') });
    expect(withCode(examined, 'reload.no-target').message).toBe(
      `Cannot find the application: the PID file "${site.at('app.pid')}" is not there.`,
    );
  });

  test('cannot be seen where the process namespace is not shared', async () => {
    const site = createSite();
    const output = execFileSync(
      'unshare',
      [
        '--pid',
        '--fork',
        '--mount-proc',
        process.execPath,
        program.path,
        JSON.stringify({ ...site.env, APP_PROCESS: 'nginx' }),
      ],
      { encoding: 'utf8' },
    );
    const finding = withCode(JSON.parse(output) as Examined, 'reload.not-shared');
    expect(finding).toMatchObject({ area: 'process', level: 'fail' });
    expect(finding.message).toMatch(
      /^Cannot find the application: no process is named "nginx".*\. Only processes of this container are visible, so the process namespace is not shared\.$/,
    );
    expect(finding.mend).toBe(
      'Use RELOAD_URL, which needs no shared namespace. Or set shareProcessNamespace: true in the pod (Compose: see examples/haproxy-compose): each container then sees the processes of all, and with the same user also their files.',
    );
  });

  test('may be hidden by how /proc is mounted', async () => {
    const site = createSite();
    chmodSync(site.at('volume'), 0o777);
    const words = [
      '--reuid',
      `${NOBODY}`,
      '--regid',
      `${NOBODY}`,
      '--clear-groups',
      process.execPath,
      program.path,
    ];
    const output = execFileSync(
      'unshare',
      [
        '-m',
        'sh',
        '-c',
        'mount -t proc -o hidepid=2 proc /proc && exec setpriv "$@"',
        'sh',
        ...words,
        JSON.stringify({ ...site.env, APP_PROCESS: 'hidden-from-us' }),
      ],
      { encoding: 'utf8', cwd: '/' },
    );
    const finding = withCode(JSON.parse(output) as Examined, 'reload.hidden');
    expect(finding).toMatchObject({
      area: 'process',
      level: 'fail',
      mend: 'Mount /proc in the sidecar without hidepid, or run both as the same user and group.',
    });
  });
});

/** An application with mounts of its own, made by a shell text. Needs root, or user namespaces. */
async function mounted(context: TestContext, site: Site, mounts: string): Promise<Env> {
  const stage = createStage(context);
  const path = stage.called(stage.name, process.execPath);
  const script = `set -e; ${mounts}\nexec "$@"`;
  const own = process.getuid?.() === 0 ? '-m' : '-rm';
  const words = [path, ...takesHup(stage)];
  stage.start(['unshare', own, '--propagation', 'private', 'sh', '-c', script, 'sh', ...words]);
  await listens(stage);
  return { ...site.env, APP_PROCESS: stage.name, RELOAD_SIGNAL: 'none' };
}

const mountFindings = ({ findings }: Examined): readonly unknown[] =>
  findings.filter(({ area }) => area === 'mount').map(({ level, code }) => `${level} ${code}`);

describe('what the application reads', () => {
  test('cannot be compared when it is gone', async () => {
    const { settings } = await loadSettings({ flags: [], env: createSite().env, cwd: '/' });
    const gone = { id: { pid: 2 ** 31 - 1, startTicks: 1 }, name: '7 (web)' };
    expect(checkMount(settings, gone)).toEqual([
      {
        area: 'mount',
        level: 'warn',
        code: 'mount.unknown',
        message: 'Whether process 7 (web) reads from the same volume is not visible from here.',
        mend: 'Look at the volume mounts of both containers.',
      },
    ]);
  });

  test('may be another mount of one network volume, so that its absence is a warning', async () => {
    const { settings } = await loadSettings({ flags: [], env: createSite().env, cwd: '/' });
    const mount = { device: '0:50', root: '/', point: '/live', options: 'rw', kind: 'nfs4' };
    const place = { mount, inside: '/' };
    const its = [{ ...mount, device: '0:51' }];
    expect(compareMounts({ settings, name: '7 (web)', place, its })).toMatchObject({
      level: 'warn',
      code: 'mount.absent',
    });
    const local = { ...place, mount: { ...mount, kind: 'ext4' } };
    expect(compareMounts({ settings, name: '7 (web)', place: local, its }).level).toBe('fail');
    expect(compareMounts({ settings, name: '7 (web)', place: local, its: [mount] }).level).toBe('ok');
  });

  test('is the same where both share their mounts', async (context) => {
    const { stage, pid, env } = await withApplication(context, takesHup);
    await listens(stage);
    expect(withCode(await examine(env), 'mount.same').message).toBe(
      `Process ${pid} (${stage.name}) sees the same files as this sidecar.`,
    );
  });

  test('is the same volume elsewhere, mounted read-only', async (context) => {
    const site = createSite();
    mkdirSync(site.at('etc'));
    const [volume, etc] = [site.at('volume'), site.at('etc')];
    // The volume is the only way to these files, as in a container.
    const env = await mounted(
      context,
      site,
      `mount --bind '${volume}' '${etc}'; mount -o remount,ro,bind '${etc}'; mount -t tmpfs none '${volume}'`,
    );
    const examined = await examine(env);
    expect(withCode(examined, 'mount.shared').message).toMatch(
      new RegExp(`^Process \\d+ \\(.*\\) has the same volume, as "${etc}", read-only\\.$`),
    );
    expect(examined.exitCode).toBe(0);
  });

  test('is a single file that is mounted, now and after it was replaced', async (context) => {
    const site = createSite();
    const output = site.write('volume/app.json', 'old');
    const point = site.write('point', '');
    const env = await mounted(context, site, `mount --bind '${output}' '${point}'`);
    const examined = await examine(env);
    const finding = withCode(examined, 'mount.single-file');
    expect(finding).toMatchObject({ area: 'mount', level: 'fail' });
    expect(finding.message).toMatch(
      new RegExp(
        `^Process \\d+ \\(.*\\) has a single file of the output mounted at "${point}": what replaces it never arrives there\\.$`,
      ),
    );
    expect(finding.mend).toBe(
      'Mount the whole directory in the application (no subPath, no single file), and restart it.',
    );
    expect(examined.exitCode).toBe(6);
    renameSync(site.write('volume/new', 'new'), output);
    expect(withCode(await examine(env), 'reload.stale-mount').message).toMatch(
      new RegExp(`would keep reading the old file: its mount at "${point}" still shows`),
    );
  });

  test('is no volume of ours at all', async (context) => {
    const site = createSite();
    const stage = createStage(context);
    // The check runs with a file system that the application has not.
    const path = stage.called(stage.name, process.execPath);
    stage.start([path, ...takesHup(stage)]);
    await listens(stage);
    const env = { ...site.env, APP_PROCESS: stage.name, RELOAD_SIGNAL: 'none' };
    const examined = await run(env, { mounts: `mount -t tmpfs -o mode=777 none '${site.at('volume')}'` });
    const finding = withCode(examined, 'mount.absent');
    expect(finding).toMatchObject({ area: 'mount', level: 'fail' });
    expect(finding.message).toMatch(
      new RegExp(
        `^Process \\d+ \\(${stage.name}\\) has no mount of the volume that "${site.at('volume')}" lies on\\.$`,
      ),
    );
  });

  test('lies in the own container of the sidecar, on no volume', async (context) => {
    const site = createSite();
    const stage = createStage(context);
    const path = stage.called(stage.name, process.execPath);
    stage.start([path, ...takesHup(stage)]);
    await listens(stage);
    const env = { ...site.env, APP_PROCESS: stage.name, RELOAD_SIGNAL: 'none', OUTPUT: '/srv/own/app.json' };
    const programs = dirname(program.path);
    const folders = ['bin', 'lib', 'lib64', 'usr', 'dev', 'proc', site.root, programs].map((name) =>
      join('/', name),
    );
    // A root of its own, made of layers, with what the program needs mounted into it.
    const script = `set -e; mount -t tmpfs none "$1"; cd "$1"; mkdir lower upper work all
mount -t overlay -o lowerdir=lower,upperdir=upper,workdir=work none all; cd all; mkdir -p srv/own
for d in ${folders.join(' ')}; do
  if [ -L $d ]; then cp -a $d .$d; elif [ -e $d ]; then mkdir -p .$d; mount --rbind $d .$d; fi
done
exec chroot . "$2" "$3" "$4"`;
    mkdirSync(site.at('container'));
    const words = [site.at('container'), process.execPath, program.path, JSON.stringify(env)];
    const output = execFileSync('unshare', ['-m', 'sh', '-c', script, 'sh', ...words], { encoding: 'utf8' });
    const finding = withCode(JSON.parse(output) as Examined, 'mount.no-volume');
    expect(finding.message).toMatch(
      /^"\/srv\/own" lies in the sidecar's own container, on no volume: process \d+ \(.*\) never sees it\.$/,
    );
  });

  test('may not be readable for its user', async (context) => {
    const site = createSite();
    const stage = createStage(context);
    chmodSync(stage.at('.'), 0o777);
    const path = stage.called(stage.name, process.execPath);
    const user = ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'];
    const { pid } = stage.start([...user, path, ...takesHup(stage)]);
    await listens(stage);
    expect(readStatus(`/proc/${pid}`)?.effectiveUid).toBe(NOBODY);
    const env = { ...site.env, APP_PROCESS: stage.name };
    expect(mountFindings(await examine(env))).toEqual(['ok mount.same']);
    const closed = await examine({ ...env, OUTPUT_MODE: '0640' });
    expect(withCode(closed, 'mount.not-readable')).toMatchObject({
      area: 'mount',
      level: 'fail',
      message: `Process ${pid} (${stage.name}) runs as user ${NOBODY}, who may not read files of user 0, group ${process.getegid?.()}, mode 0640.`,
    });
    expect(
      mountFindings(await examine({ ...env, OUTPUT_MODE: '0640', OUTPUT_OWNER: `0:${NOBODY}` })),
    ).toEqual(['ok mount.same']);
    chmodSync(site.at('volume'), 0o700);
    expect(withCode(await examine(env), 'mount.not-readable').message).toMatch(/who may not enter /);
  });

  test('lets the application reach the state directory', async (context) => {
    const site = createSite();
    const env = await mounted(context, site, 'true');
    const examined = await examine(env);
    expect(withCode(examined, 'mount.state-in-reach')).toMatchObject({
      area: 'mount',
      level: 'warn',
      mend: 'Mount the volume read-only in the application, or let STATE_DIR name a volume of its own.',
    });
    expect(examined.exitCode).toBe(0);
  });
});
