// A crash at each step of a publication of two outputs, the one between the two swaps first of all: the next start makes one
// release of it, with the source and without, and the application is never notified of a half.
import { readdirSync, rmSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, type TestContext, test } from 'vitest';
import { buildWithFaults, type FaultBuild } from '../../support/e2e/fault-build.ts';
import { type SeveralOutputs, severalOutputs } from '../../support/e2e/outputs.ts';
import { createPlace, type Place } from '../../support/e2e/place.ts';
import type { Sidecar } from '../../support/e2e/sidecar.ts';
import { until } from '../../support/e2e/until.ts';

let build: FaultBuild;

beforeAll(async () => {
  build = await buildWithFaults();
});
afterAll(() => rmSync(build.directory, { recursive: true, force: true }));

interface Fault {
  /** `point:n`, counted from the change on, in the order in which they are passed. */
  readonly at: string;
  /** What the two outputs show when it has ended. */
  readonly leaves: readonly [string, string];
  /** What they show after a start without the source. */
  readonly becomes: 'old' | 'new';
}

const FAULTS: readonly Fault[] = [
  { at: 'stage:1', leaves: ['old', 'old'], becomes: 'old' },
  { at: 'flush:1', leaves: ['old', 'old'], becomes: 'old' },
  { at: 'stage:2', leaves: ['old', 'old'], becomes: 'old' },
  { at: 'flush:2', leaves: ['old', 'old'], becomes: 'old' },
  { at: 'intended:1', leaves: ['old', 'old'], becomes: 'old' },
  { at: 'swap:1', leaves: ['new', 'old'], becomes: 'new' },
  { at: 'swap:2', leaves: ['new', 'new'], becomes: 'new' },
  { at: 'names:1', leaves: ['new', 'new'], becomes: 'new' },
  { at: 'published:1', leaves: ['new', 'new'], becomes: 'new' },
];

/** With the directory first, whose names are added after its swap. */
const FAULTS_OF_DIRECTORY_FIRST: readonly Fault[] = [
  { at: 'swap:1', leaves: ['old', 'new'], becomes: 'new' },
  { at: 'names:1', leaves: ['old', 'new'], becomes: 'new' },
];

interface Crashed extends SeveralOutputs {
  readonly place: Place;
  readonly both: () => readonly string[];
  readonly told: () => readonly string[];
}

/** Both outputs are "old" and confirmed, then the change to "new" ends at the fault. */
async function crash(
  context: TestContext,
  { at, leaves }: Fault,
  isDirectoryFirst = false,
): Promise<Crashed> {
  const place = createPlace(context);
  const hook = place.write('hook.sh', 'echo $(cat out/one.conf dir/two.conf) >> told\n');
  const job = severalOutputs(place, { isDirectoryFirst, variables: { RELOAD_COMMAND: `sh ${hook}` } });
  const { variables, set, shown } = job;
  const both = () =>
    [shown('out/one.conf'), shown('dir/two.conf')].map((text) => text?.trim().split(' ')[1] ?? 'nothing');
  const told = () => shown('told')?.trim().split('\n') ?? [];
  // A name that only the change has; it comes with the data, since a template of its own would be a second change.
  if (isDirectoryFirst) place.write('templates/two/{extra}.conf.liquid', '{{ entry.key }} {{ one }}\n');
  set({ one: 'old', two: 'old', extra: {} });
  const faults = { FAULT: at, FAULT_ARMED: place.at('armed') };
  const sidecar = await place.start({ ...variables, ...faults }, { main: build.main });
  await isGood(sidecar, 1);
  place.write('armed', '');
  set({ one: 'new', two: 'new', extra: { three: {} } });
  await until(`it ends at ${at}`, () => !sidecar.isRunning());
  expect(both()).toEqual(leaves);
  expect(told()).toEqual(['one old two old']);
  return { ...job, place, both, told };
}

/** Nothing is under way, and this many generations are known to work. */
async function isGood(sidecar: Sidecar, generations: number): Promise<void> {
  await until(`${generations} are good`, async () => {
    const target = await sidecar.target();
    return target.generations.length === generations && !target.reloadOwed && target.generations[0]?.onVolume;
  });
}

function expectNothingLeft(place: Place): void {
  expect(readdirSync(place.at('out'))).toEqual(['one.conf']);
  const names = readdirSync(place.at('dir')).filter((name) => !name.startsWith('..gen-'));
  expect(names.sort()).toEqual(['..data', 'sub', 'two.conf']);
  expect(readdirSync(place.at('state'))).toEqual(['one.conf']);
}

describe.concurrent('a crash of two outputs', () => {
  test.for(FAULTS.map((fault) => [fault.at, fault] as const))(
    'at %s: with the source, both show what it holds, notified of once',
    async ([, fault], context) => {
      const { place, variables, both, told } = await crash(context, fault);
      const second = await place.start(variables, { main: build.main });
      await isGood(second, 2);
      await second.end();
      expect(both()).toEqual(['new', 'new']);
      expect(told()).toEqual(['one old two old', 'one new two new']);
      expectNothingLeft(place);
      expect((await place.run(['once'], { ...variables, LISTEN: 'off' })).code).toBe(0);
      expect(told()).toHaveLength(2);
    },
  );

  test.for(FAULTS.map((fault) => [fault.at, fault] as const))(
    'at %s: without the source, both show the one or the other',
    async ([, fault], context) => {
      const { place, variables, both, told } = await crash(context, fault);
      rmSync(place.at('source.json'));
      const second = await place.start({ ...variables, FETCH_TIMEOUT: '500ms' }, { main: build.main });
      await isGood(second, fault.becomes === 'new' ? 2 : 1);
      await second.end();
      expect(both()).toEqual([fault.becomes, fault.becomes]);
      const all = ['one old two old', ...(fault.becomes === 'new' ? ['one new two new'] : [])];
      expect(told()).toEqual(all);
      expectNothingLeft(place);
    },
  );
});

test.for(FAULTS_OF_DIRECTORY_FIRST.map((fault) => [fault.at, fault] as const))(
  'a crash at %s, with the directory first: without the source both show the new release, and every name of it',
  async ([, fault], context) => {
    const { place, variables, both, told, shown } = await crash(context, fault, true);
    rmSync(place.at('source.json'));
    const second = await place.start({ ...variables, FETCH_TIMEOUT: '500ms' }, { main: build.main });
    await isGood(second, 2);
    await second.end();
    expect(both()).toEqual(['new', 'new']);
    expect(shown('dir/three.conf')).toBe('three new\n');
    expect(told()).toEqual(['one old two old', 'one new two new']);
  },
);

test('when the staged files are gone and the source is down, both outputs show the earlier release', async (context) => {
  const fault: Fault = { at: 'swap:1', leaves: ['new', 'old'], becomes: 'old' };
  const { place, variables, both, told } = await crash(context, fault);
  rmSync(place.at('source.json'));
  rmSync(place.at('dir'), { recursive: true });
  place.directory('dir');
  const second = await place.start({ ...variables, FETCH_TIMEOUT: '500ms' }, { main: build.main });
  await isGood(second, 1);
  await until('both are old', () => both().join() === 'old,old');
  // Its process may have read the half meanwhile.
  await until('it is notified', () => told().length === 2);
  expect(told().at(-1)).toBe('one old two old');
});

test('settings with other outputs complete nothing', async (context) => {
  const fault: Fault = { at: 'swap:1', leaves: ['new', 'old'], becomes: 'old' };
  const { place, variables, both } = await crash(context, fault);
  place.directory('else');
  const settings = place.read('settings.yaml').replace(`${place.at('dir')}/`, `${place.at('else')}/`);
  place.write('settings.yaml', settings);
  const second = await place.start(variables, { main: build.main });
  await second.outcome('applied');
  expect(both()).toEqual(['new', 'old']);
  expect(place.read('else/two.conf')).toBe('two new\n');
});
