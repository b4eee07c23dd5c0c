// @module-tag root
// A sidecar that joins the PID namespace of its application, without a pod: the application is PID 1, and takes the sidecar
// with it when it ends. (A Compose file says the same with `pid: "service:app"`.)
import { chmodSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type Recorded, readRecords } from '../support/e2e/app.ts';
import { until } from '../support/e2e/until.ts';
import { type Containers, containersOf } from '../support/pods/containers.ts';
import { type Images, openImages } from '../support/pods/images.ts';

const PROGRAMS = fileURLToPath(new URL('../support/fixtures/processes', import.meta.url));
const LOCKED_DOWN = ['--user', '10001:10001', '--cap-drop', 'ALL', '--security-opt', 'no-new-privileges'];
/** What the application may take to notice a signal that was sent before. */
const SLACK_MS = 300;

describe('a sidecar in the PID namespace of its application', () => runBoth());

function runBoth(): void {
  const root = mkdtempSync(join(tmpdir(), 'pid-container-'));
  const name = (container: string): string => `pid-container-${process.pid}-${container}`;
  let images: Images;
  let containers: Containers;

  const offer = (value: number): void => {
    writeFileSync(join(root, 'source/next.json'), JSON.stringify({ value }));
    renameSync(join(root, 'source/next.json'), join(root, 'source/app.json'));
  };
  const records = (): readonly Recorded[] => readRecords(join(root, 'records/app'));
  const told = (): readonly unknown[] =>
    records().flatMap((one) => (one.event === 'SIGHUP' ? [one.content] : []));
  const reads = (value: number): Promise<unknown> =>
    until(`it reads ${value}`, () => records().at(-1)?.content === value);
  const podman = (...words: string[]): Promise<string> => images.podman.must(...words);
  const volumes = ['source:/source:ro', 'live:/live', 'records:/records'].flatMap((one) => [
    '-v',
    `${root}/${one}`,
  ]);
  const variables = {
    SOURCE: '/source/app.json',
    OUTPUT: '/live/app.json',
    // By name: PID 1 is the pause process of pods, but not here.
    APP_PROCESS: '/does-as-configured/',
    LISTEN: 'off',
    DEBOUNCE: '10ms',
    RELOAD_MIN_INTERVAL: '100ms',
    CONFIRM_PERIOD: '0',
  };
  const settings = Object.entries(variables).flatMap(([key, value]) => ['-e', `${key}=${value}`]);
  const common = ['--network', 'none', '--read-only', ...LOCKED_DOWN, ...volumes];

  beforeAll(async () => {
    chmodSync(root, 0o755);
    for (const folder of ['source', 'live', 'records']) {
      mkdirSync(join(root, folder));
      chmodSync(join(root, folder), 0o777);
    }
    images = await openImages();
    containers = containersOf(images.podman, name);
    offer(1);
    // The sidecar cannot be there before the application, so a first pass of its own brings the first configuration.
    await podman('run', '--rm', ...common, ...settings, images.sidecar, 'once');
    const program = ['/programs/does-as-configured.mjs', '/records/app', '/live/app.json', 'stays'];
    const app = [
      ...common,
      '-v',
      `${PROGRAMS}:/programs:ro`,
      '--entrypoint',
      'node',
      images.sidecar,
      ...program,
    ];
    await podman('run', '-d', '--name', name('app'), ...app);
    const joined = ['--pid', `container:${name('app')}`, ...common, ...settings, images.sidecar];
    await podman('run', '-d', '--name', name('sidecar'), ...joined);
  });

  afterEach(async ({ task }) => {
    if (task.result?.state !== 'fail') return;
    for (const one of ['app', 'sidecar'])
      console.error(`--- ${one}\n${(await containers.logs(one)).slice(-3_000)}`);
  });

  afterAll(async () => {
    await images?.podman.run('rm', '-f', '-t', '0', name('sidecar'), name('app'));
    await images?.remove();
    rmSync(root, { recursive: true, force: true });
  });

  test('PID 1 is signalled, as it has a handler and is named', async () => {
    await reads(1);
    offer(2);
    await reads(2);
    expect(told()).toEqual([2]);
    expect(records().map(({ pid }) => pid)).toEqual([1, 1]);
  });

  test('when it ends the kernel kills the sidecar; both are started again, and a change meanwhile arrives once', async () => {
    await containers.kill('app');
    await until('the sidecar is gone', async () => (await containers.exits('sidecar')).length > 0);
    expect(await containers.exits('sidecar')).toEqual([137]);
    offer(3);
    await containers.startContainer('app');
    await containers.startContainer('sidecar');
    await reads(3);
    expect(records().map(({ event, content }) => [event, content])).toEqual([
      ['started', 1],
      ['SIGHUP', 2],
      ['started', 2],
      ['SIGHUP', 3],
    ]);
  });

  test('after SIGTERM nothing is signalled, however fast changes come, and it ends with 0 within its second', async () => {
    let value = 3;
    // Faster ones the file source would wait out: it takes a file when it has settled.
    const storm = setInterval(() => offer(++value), 200);
    try {
      await until('changes arrive', () => told().length >= 6);
      const termAt = Date.now();
      process.kill(await containers.pid('sidecar'), 'SIGTERM');
      await until('it has ended', async () => !(await containers.isRunning('sidecar')));
      expect(Date.now() - termAt).toBeLessThan(5_000);
      expect(await containers.exits('sidecar')).toEqual([137, 0]);
      const [, stopping = ''] =
        /"time":"([^"]+)"[^\n]*"event":"stopping"/.exec(await containers.logs('sidecar')) ?? [];
      expect(stopping).not.toBe('');
      const late = records().filter(({ at }) => at > Date.parse(stopping) + SLACK_MS);
      expect(late).toEqual([]);
    } finally {
      clearInterval(storm);
    }
  });
}
