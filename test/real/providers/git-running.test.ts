// The built program with a git source: executable files, what status says of a commit, and the repository below STATE_DIR.
import { existsSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { createPlace, type Place } from '../../support/e2e/place.ts';
import { until } from '../../support/e2e/until.ts';
import { createRepository, type TestRepository } from '../../support/servers/git.ts';

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

test('the repository lies below STATE_DIR, survives a restart, and is made anew when it is damaged', async (context) => {
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
