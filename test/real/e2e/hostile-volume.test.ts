// What an application that was taken over may plant on the volume: the built program starts all the same, within its bounds.
import { execFileSync } from 'node:child_process';
import {
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fileJob, publishedValue } from '../../support/e2e/backing.ts';
import { createPlace } from '../../support/e2e/place.ts';
import { until } from '../../support/e2e/until.ts';
import type { ForgeryOrder } from '../../support/ledger/forging-program.ts';
import { compile, type Program, startProgram } from '../../support/publish/programs.ts';

let forger: Program;
beforeAll(() => {
  forger = compile('ledger/forging-program.ts');
});
afterAll(() => forger.remove());

const STATE = 'out/.config-sidecar/app.json';

/** Nothing that is planted may cost more memory than this, beside what the program takes. */
const MIB = 2 ** 20;

function residentOf(pid: number): number {
  const [, kib = ''] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1')) ?? [];
  return Number(kib) * 1024;
}

describe.concurrent('a sidecar beside a hostile application', () => {
  test.for<[string, (state: string) => void]>([
    ['ledgers of half a gigabyte', (state) => slots(state, (path) => sparse(path, 512 * MIB))],
    ['pipes in place of ledgers', (state) => slots(state, (path) => void execFileSync('mkfifo', [path]))],
    [
      'directories in place of ledgers',
      (state) => slots(state, (path) => mkdirSync(join(path, 'sub'), { recursive: true })),
    ],
    ['kept generations of half a gigabyte', (state) => copies(state, (path) => sparse(path, 512 * MIB))],
    [
      'kept generations that are nothing but empty values',
      (state) => copies(state, (path) => writeFileSync(path, BOMB), 10),
    ],
    ['a file of 1.8 GB in place of its own', (state) => sparse(join(state, '../../app.json'), 1_800 * MIB)],
  ])('starts, publishes and ends in spite of %s', async ([, plant], context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    mkdirSync(place.at(STATE), { recursive: true });
    plant(place.at(STATE));
    const sidecar = await place.start(job.variables);
    await sidecar.outcome('applied');
    expect(publishedValue(place.read('out/app.json'))).toBe('one');
    job.set('two');
    await until('changes arrive', () => publishedValue(place.read('out/app.json')) === 'two');
    expect(residentOf(sidecar.pid)).toBeLessThan(256 * MIB);
    expect((await sidecar.end()).code).toBe(0);
  });

  test.for<ForgeryOrder['answers']>(['without end', 'drop by drop'])(
    'waits, alive, for a lock socket that answers %s, and goes on when that has gone',
    async (answers, context) => {
      const place = createPlace(context);
      const job = fileJob(place);
      const directory = place.at(STATE);
      mkdirSync(directory, { recursive: true });
      const order: ForgeryOrder = { directory, answers, sockets: 3 };
      const child = await new Promise<ReturnType<typeof startProgram>>((resolve) => {
        const started = startProgram(forger, order, () => resolve(started));
      });
      context.onTestFinished(() => void child.kill('SIGKILL'));
      const sidecar = await place.start(job.variables);
      const failed = await sidecar.outcome('failed');
      expect(failed.code).toBe('state.locked');
      expect(failed.message.length).toBeLessThan(600);
      expect((await sidecar.get('/healthz')).status).toBe(200);
      child.kill('SIGKILL');
      await sidecar.outcome('applied');
      expect(residentOf(sidecar.pid)).toBeLessThan(256 * MIB);
    },
  );

  test.for<['file' | 'directory', boolean]>([
    ['file', true],
    ['file', false],
    ['directory', true],
    ['directory', false],
  ])(
    'publishes nothing in another directory at the place of a %s output (a link: %s)',
    async ([kind, byLink], context) => {
      const place = createPlace(context);
      const job = fileJob(place);
      const template = place.write('templates/name.liquid', '{{ value }}');
      const variables =
        kind === 'file'
          ? job.variables
          : { ...job.variables, OUTPUT: `${place.at('out')}/`, TEMPLATE: dirname(template) };
      const sidecar = await place.start({ ...variables, UPDATE_FREQUENCY: '300ms' });
      await sidecar.outcome('applied');
      const other = place.directory('other');
      renameSync(place.at('out'), place.at('away'));
      if (byLink) symlinkSync(other, place.at('out'));
      else renameSync(other, place.at('out'));
      job.set('two');
      const failed = await sidecar.outcome('failed');
      expect(failed).toMatchObject({
        code: 'publish.replaced',
        message: `Cannot publish in "${place.at('out')}": since the start another directory has taken its place, and nothing is written there. Put the first one back, or restart the sidecar to use the new one.`,
      });
      expect((await sidecar.get('/readyz')).status).toBe(503);
      expect(execFileSync('ls', ['-A', `${place.at('out')}/`]).toString()).toBe('');
      rmSync(place.at('out'), { recursive: true });
      renameSync(place.at('away'), place.at('out'));
      const published = kind === 'file' ? 'out/app.json' : 'out/name';
      await until('it goes on', () => place.read(published).includes('two'));
      await until('it is ready', async () => (await sidecar.get('/readyz')).status === 200);
    },
  );
});

/** Eight megabytes that would become hundreds. */
const BOMB = `{"format":1,"kept":{},"mode":420,"owner":null,"files":[${'{},'.repeat(2_700_000)}{}]}`;

function slots(state: string, plant: (path: string) => void): void {
  for (const slot of [0, 1]) plant(join(state, `ledger.${slot}.json`));
}

function copies(state: string, plant: (path: string) => void, count = 3): void {
  mkdirSync(join(state, 'generations'));
  for (let number = 1; number <= count; number += 1) plant(join(state, 'generations', `${number}.json`));
}

function sparse(path: string, size: number): void {
  writeFileSync(path, '');
  truncateSync(path, size);
}
