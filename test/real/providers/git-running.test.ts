// The built program with a git source: executable files, what status says of a commit, and the repository below STATE_DIR.
import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { openTerminal } from '../../support/cli/terminal.ts';
import { createPlace, type Place } from '../../support/e2e/place.ts';
import { DIST } from '../../support/e2e/sidecar.ts';
import { until } from '../../support/e2e/until.ts';
import { findOnPath } from '../../support/servers/find-program.ts';
import { createRepository, startGitHttp, startSshd, type TestRepository } from '../../support/servers/git.ts';
import { freePorts } from '../../support/servers/ports.ts';

function makeRepository(): TestRepository {
  const repository = createRepository();
  onTestFinished(() => repository.remove());
  return repository;
}

const settings = (place: Place, { bare }: TestRepository) => ({
  SOURCE: `git+file://${bare}?ref=main&path=/`,
  OUTPUT: `${place.directory('live')}/`,
  STATE_DIR: place.directory('state'),
  UPDATE_FREQUENCY: '100ms',
});

/** The permission bits of a published file, in octal. */
const modeOf = (place: Place, name: string): string =>
  (statSync(place.at(`live/${name}`)).mode & 0o777).toString(8);

/** Commits what git alone can change: the bit that makes a file executable. */
function setExecutable(repository: TestRepository, name: string, isExecutable: boolean): void {
  repository.git('update-index', `--chmod=${isExecutable ? '+' : '-'}x`, name);
  repository.git('commit', '-qm', 'another mode');
  repository.git('push', '-q', 'origin', 'main');
}

test('a file is executable as long as it is in the commit, and a glob of modes goes before that', async (context) => {
  const place = createPlace(context);
  const repository = makeRepository();
  repository.commit({ run: '#!/bin/sh\n', 'secret.key': 'K', plain: 'P' });
  setExecutable(repository, 'run', true);
  setExecutable(repository, 'secret.key', true);
  const more = { OUTPUT_MODE: '0640', MODES: '*.key=0600' };
  const sidecar = await place.start({ ...settings(place, repository), ...more });
  await sidecar.outcome('applied');
  expect(['run', 'secret.key', 'plain'].map((name) => modeOf(place, name))).toEqual(['750', '600', '640']);
  setExecutable(repository, 'run', false);
  await until('the file is not executable', () => modeOf(place, 'run') === '640');
});

test('status names author, time and subject of the commit, and shows no control character of them', async (context) => {
  const place = createPlace(context);
  const repository = makeRepository();
  repository.commit({ a: '1' });
  const { SOURCE, ...rest } = settings(place, repository);
  const sidecar = await place.start({ SOURCE, ...rest });
  await sidecar.outcome('applied');
  repository.git(
    'commit',
    '--allow-empty',
    '-qm',
    'Raise \u001b[31mthe limit\n\nbody',
    '--author',
    'Jane Doe <j@example.com>',
    '--date',
    '2026-11-28T10:00:00Z',
  );
  repository.git('push', '-q', 'origin', 'main');
  const note = 'Jane Doe, 2026-11-28T10:00:00Z: Raise \\u001b[31mthe limit';
  await until('the commit is named', async () => (await sidecar.get('/status')).body.includes('the limit'));
  expect((await sidecar.target()).sources).toMatchObject([{ up: true, note }]);
  const { stdout } = await place.run(['status'], { OUTPUT: rest.OUTPUT, STATE_DIR: rest.STATE_DIR });
  expect(stdout).toContain(`(${note})`);
});

test('the repository lies below STATE_DIR, survives a restart, and is made again when it is damaged', async (context) => {
  const place = createPlace(context);
  const repository = makeRepository();
  repository.commit({ a: '1' });
  const variables = settings(place, repository);
  const first = await place.start(variables);
  await first.outcome('applied');
  const sources = place.at('state/live/sources');
  const local = join(sources, readdirSync(sources)[0] ?? '');
  expect(existsSync(join(local, 'HEAD'))).toBe(true);
  expect((statSync(sources).mode & 0o777).toString(8)).toBe('700');
  await first.end();
  const mark = join(local, 'made-by-the-first-process');
  writeFileSync(mark, '');
  const next = await place.start(variables);
  repository.commit({ a: '2' });
  await until('the next process follows', () => place.read('live/a') === '2');
  expect(readdirSync(sources)).toHaveLength(1);
  expect(existsSync(mark)).toBe(true);
  rmSync(join(local, 'objects'), { recursive: true });
  repository.commit({ a: '3' });
  await until('the damage is mended', () => place.read('live/a') === '3');
  expect(existsSync(mark)).toBe(false);
  expect((await next.target()).sources[0]?.up).toBe(true);
});

test('a process that does not hold the lock leaves the repository alone', async (context) => {
  const place = createPlace(context);
  const repository = makeRepository();
  repository.commit({ a: '1' });
  const variables = settings(place, repository);
  await (await place.start(variables)).outcome('applied');
  const sources = place.at('state/live/sources');
  const before = readdirSync(sources).map((name) => statSync(join(sources, name, 'objects')).mtimeMs);
  const second = await place.start(variables);
  await until('the lock is missed', async () => (await second.target()).code === 'state.locked');
  await until('the source was read', async () => (await second.target()).sources[0]?.up === true);
  expect(readdirSync(sources).map((name) => statSync(join(sources, name, 'objects')).mtimeMs)).toEqual(
    before,
  );
});

/** A git on PATH that notes each of its starts, and the commands so far: `ls-remote`, or a longer line of the others. */
function countingGit(place: Place): { readonly PATH: string; readonly starts: () => readonly string[] } {
  const log = place.write('starts', '');
  const real = findOnPath('git') ?? 'git';
  const program = place.write('bin/git', `#!/bin/sh\necho "$*" >> '${log}'\nexec '${real}' "$@"\n`);
  chmodSync(program, 0o755);
  return {
    PATH: `${place.at('bin')}:${process.env['PATH']}`,
    starts: () => readFileSync(log, 'utf8').split('\n').slice(0, -1),
  };
}

const isQuestion = (line: string): boolean => line.startsWith('ls-remote ');

test('an unchanged repository costs one ls-remote per UPDATE_FREQUENCY, and no other start of git', async (context) => {
  const place = createPlace(context);
  const repository = makeRepository();
  repository.commit({ a: '1' });
  const { PATH, starts } = countingGit(place);
  const frequencyMs = 400;
  const sidecar = await place.start({
    ...settings(place, repository),
    PATH,
    UPDATE_FREQUENCY: `${frequencyMs}ms`,
  });
  await sidecar.outcome('applied');
  const [before, startedMs] = [starts().length, performance.now()];
  await until('it was asked for five more times', () => starts().length >= before + 5);
  const after = starts().slice(before);
  const elapsedMs = performance.now() - startedMs;
  expect(after.filter((line) => !isQuestion(line))).toEqual([]);
  // An interval is up to a tenth shorter, and the first may have begun before.
  expect(after.length).toBeLessThanOrEqual(1 + Math.ceil(elapsedMs / (0.9 * frequencyMs)));
  repository.commit({ a: '2' });
  await until('the change is there', () => place.read('live/a') === '2');
  expect(starts().filter((line) => / fetch /.test(line))).toHaveLength(2);
});

test('POST /sync has a push published at once, by one question', async (context) => {
  const place = createPlace(context);
  const repository = makeRepository();
  repository.commit({ a: '1' });
  const { PATH, starts } = countingGit(place);
  const CONTROL_TOKEN = 'correct-horse';
  const more = { PATH, UPDATE_FREQUENCY: '1h', CONTROL_TOKEN };
  const sidecar = await place.start({ ...settings(place, repository), ...more });
  await sidecar.outcome('applied');
  const before = starts().filter(isQuestion).length;
  repository.commit({ a: '2' });
  const headers = { Authorization: `Bearer ${CONTROL_TOKEN}` };
  const asked = request({ port: sidecar.port, path: '/sync', method: 'POST', headers }).end();
  asked.on('response', (answer) => answer.resume());
  await until('the push is published', () => place.read('live/a') === '2');
  expect(starts().filter(isQuestion)).toHaveLength(before + 1);
});

/** Random bytes, which no compression makes fewer. */
const kilobytes = (count: number): Buffer => randomBytes(count * 1_024);

test('a disk that fills during the fetch keeps the last state, and needs no help once there is room', async (context) => {
  const place = createPlace(context);
  const repository = makeRepository();
  repository.commit({ a: '1' });
  const variables = settings(place, repository);
  // A view of the file system in which STATE_DIR is small.
  const mount = `mount -t tmpfs -o size=640k none '${variables.STATE_DIR}' && exec "$@"`;
  const asUser = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user'];
  const sidecar = await place.start(variables, {
    node: 'unshare',
    nodeWords: [...asUser, '--mount', 'sh', '-c', mount, 'sh', process.execPath],
  });
  await sidecar.outcome('applied');
  for (const size of [900, 2_000]) {
    repository.commit({ a: 'too large', b: kilobytes(size) });
    await until('the full disk is an outage', async () => {
      const [source] = (await sidecar.target()).sources;
      return source?.up === false && source.error?.code === 'source.no-space';
    });
    expect(place.read('live/a')).toBe('1');
  }
  repository.commit({ a: '2' });
  await until('the next commit is published', () => place.read('live/a') === '2');
});

test('a key file that others may read is used all the same: ssh sees a private copy', async (context) => {
  const place = createPlace(context);
  const repository = makeRepository();
  repository.commit({ a: '1' });
  const [port = 0] = await freePorts(1);
  const ssh = await startSshd(repository.root, port);
  context.onTestFinished(ssh.stop);
  const user = process.getuid?.() === 0 ? 'root' : (process.env['USER'] ?? '');
  const key = place.write('key', ssh.key.trimEnd());
  chmodSync(key, 0o664);
  const sidecar = await place.start({
    ...settings(place, repository),
    SOURCE: `git+ssh://${user}@127.0.0.1:${port}${repository.bare}?ref=main&path=/`,
    GIT_SSH_KEY_FILE: key,
    GIT_KNOWN_HOSTS: ssh.knownHosts,
  });
  await sidecar.outcome('applied');
  expect(place.read('live/a')).toBe('1');
  expect((statSync(key).mode & 0o777).toString(8)).toBe('664');
});

test('in a terminal, too, nothing is asked: neither for a password nor for a host key or a passphrase', async (context) => {
  const place = createPlace(context);
  const repository = makeRepository();
  repository.commit({ a: '1' });
  const server = await startGitHttp(repository.root, { credentials: 'me:right-3' });
  const [port = 0] = await freePorts(1);
  const ssh = await startSshd(repository.root, port);
  context.onTestFinished(async () => {
    await server.stop();
    await ssh.stop();
  });
  const user = process.getuid?.() === 0 ? 'root' : (process.env['USER'] ?? '');
  const locked = place.at('locked');
  place.spawn('ssh-keygen', ['-q', '-t', 'ed25519', '-N', 'secret', '-f', locked]);
  await until('the key is there', () => existsSync(`${locked}.pub`));
  const overSsh = `git+ssh://${user}@127.0.0.1:${port}${repository.bare}?path=/`;
  const noHosts = place.write('no-hosts', '');
  for (const [variables, code] of [
    [{ SOURCE: `git+http://127.0.0.1:${server.port}/app.git?path=/` }, 'source.denied'],
    [{ SOURCE: overSsh, GIT_SSH_KEY: ssh.key, GIT_KNOWN_HOSTS: noHosts }, 'source.host-key'],
    [{ SOURCE: overSsh, GIT_SSH_KEY_FILE: locked, GIT_KNOWN_HOSTS: ssh.knownHosts }, 'source.denied'],
  ] as const) {
    const { SOURCE: _source, ...rest } = settings(place, repository);
    const env = { ...rest, ...variables, ONCE_TIMEOUT: '2s', LOG_FORMAT: 'json' };
    const terminal = openTerminal(`'${process.execPath}' '${DIST}/main.js' once`, env, place.root);
    expect(await terminal.ended).not.toBe(0);
    expect(terminal.screen()).toContain(code);
    expect(terminal.screen()).not.toMatch(/Username for|[Pp]assword for|passphrase|\(yes\/no/);
  }
});
