// A crash at each named step of a change and of a rollback: the next start puts everything right, and notifies the
// application of what is on the volume as often as needed, and not once more.
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, type TestContext, test } from 'vitest';
import { FAULT_POINTS } from '../../../src/lib/fault-point.ts';
import { replaceFile } from '../../support/e2e/backing.ts';
import { buildWithFaults, type FaultBuild } from '../../support/e2e/fault-build.ts';
import { type Orders, startLiving } from '../../support/e2e/living.ts';
import { createPlace, type Place } from '../../support/e2e/place.ts';
import type { Sidecar, Variables } from '../../support/e2e/sidecar.ts';
import { until } from '../../support/e2e/until.ts';
import { respond, startHttpSource } from '../../support/servers/http-source.ts';

/** How the application is notified, and how the change ends. */
const KINDS = ['signal good', 'http good', 'signal bad', 'http bad'] as const;

type Kind = (typeof KINDS)[number];

interface Fault {
  /** `point:n`, counted from the change on. */
  readonly at: string;
  readonly kinds: readonly Kind[];
  /** Names are put beside files in a directory output only. */
  readonly isDirectory?: boolean;
}

const GOOD: readonly Kind[] = ['signal good', 'http good'];
const BAD: readonly Kind[] = ['signal bad', 'http bad'];

/** In the order in which they are passed. The second time is the copy that is kept, or the way back. */
const FAULTS: readonly Fault[] = [
  { at: 'stage:1', kinds: KINDS },
  { at: 'flush:1', kinds: KINDS },
  { at: 'intended:1', kinds: KINDS },
  { at: 'swap:1', kinds: KINDS },
  { at: 'names:1', kinds: KINDS, isDirectory: true },
  { at: 'published:1', kinds: KINDS },
  { at: 'reload:1', kinds: KINDS },
  { at: 'delivered:1', kinds: KINDS },
  { at: 'told:1', kinds: KINDS },
  { at: 'confirm:1', kinds: KINDS },
  { at: 'stage:2', kinds: GOOD },
  { at: 'flush:2', kinds: GOOD },
  { at: 'swap:2', kinds: KINDS },
  { at: 'copied:1', kinds: GOOD },
  { at: 'kept:1', kinds: GOOD },
  { at: 'condemned:1', kinds: BAD },
  { at: 'intended:2', kinds: BAD },
  { at: 'names:2', kinds: BAD, isDirectory: true },
  { at: 'published:2', kinds: BAD },
  { at: 'told:2', kinds: ['signal bad'] },
];

let build: FaultBuild;

beforeAll(async () => {
  build = await buildWithFaults();
});
afterAll(() => rmSync(build.directory, { recursive: true, force: true }));

/** The application of a run, whichever way it is notified. */
interface Listener {
  readonly variables: Variables;
  /** The values it was notified of. */
  readonly told: () => readonly unknown[];
  /** What it runs. */
  readonly runs: () => unknown;
  /** What proves that it does. */
  readonly evidence: string;
  readonly end: () => Promise<void>;
}

async function signalled(place: Place, config: string): Promise<Listener> {
  const app = await startLiving(place, { config, restartMs: 200 });
  return {
    variables: { APP_PROCESS: place.name, CONFIRM_PERIOD: '2s' },
    told: app.values,
    runs: app.reads,
    evidence: 'alive',
    end: app.end,
  };
}

async function asked(shown: () => unknown): Promise<Listener> {
  const server = await startHttpSource();
  const told: unknown[] = [];
  let runs: unknown = null;
  server.answer((_request, response) => {
    const value = shown();
    told.push(value);
    if (value !== 'bad') runs = value;
    respond(response, value === 'bad' ? 500 : 204, '');
  });
  return {
    variables: { RELOAD_URL: `${server.origin}/reload`, CONFIRM_PERIOD: '0' },
    told: () => told,
    runs: () => runs,
    evidence: 'answered',
    end: server.stop,
  };
}

interface Run {
  readonly place: Place;
  readonly variables: Variables;
  readonly set: (orders: Orders) => void;
  readonly shown: () => unknown;
  readonly listener: Listener;
}

async function prepare(place: Place, kind: Kind, isDirectory: boolean): Promise<Run> {
  place.directory('out');
  const config = place.at('out/app.json');
  const set = (orders: Orders): void => replaceFile(place.at('source.json'), `${JSON.stringify(orders)}\n`);
  set({ value: 'one' });
  place.write('templates/app.json.liquid', '{{ sidecar.data | json }}\n');
  const shown = (): unknown => (existsSync(config) ? JSON.parse(place.read('out/app.json')).value : null);
  const listener = await (kind.startsWith('signal') ? signalled(place, config) : asked(shown));
  const output = isDirectory
    ? { OUTPUT: `${place.at('out')}/`, TEMPLATE: place.at('templates') }
    : { OUTPUT: config };
  const timing = { DEBOUNCE: '0s', RELOAD_MIN_INTERVAL: '0s' };
  const variables = { SOURCE: place.at('source.json'), ...output, ...timing, ...listener.variables };
  return { place, variables, set, shown, listener };
}

/** Waits until this value is known to work, and nothing is under way. */
async function settles(
  sidecar: Sidecar,
  { shown, listener }: Run,
  value: string,
  outcomes: string,
): Promise<void> {
  await until(`${value} is on the volume and known to work`, async () => {
    // Many run at once, and would be kept busy by the questions alone.
    await sleep(150);
    // First, so that what is asked for is not older than what is seen.
    const isShown = shown() === value;
    const { outcome, message, generations, reloadOwed, running, desired } = await sidecar.target();
    if (!outcomes.split(' ').includes(outcome ?? '')) throw new Error(`it is ${outcome}: ${message}`);
    const good = generations.find(({ lastKnownGood }) => lastKnownGood);
    const isProved = running?.evidence.includes(listener.evidence) === true;
    const isGoal = value === 'one' || desired?.rendering === good?.rendering;
    return isShown && isGoal && good?.onVolume === true && !reloadOwed && isProved;
  });
}

/**
 * How often the application is notified of the changed value, at least and at most: once more where it is not known whether it
 * was. A hook is asked three times, and on until ten seconds have passed since its first refusal, with jitter in between.
 */
function timesTold(kind: Kind, at: string): readonly [number, number] {
  // A process that died of it has its place taken by one that reads the file as it starts.
  if (kind === 'signal bad') return [1, 1];
  const again = at === 'delivered:1' ? 1 : 0;
  return kind === 'http bad' ? [3 + again, 8 + again] : [1 + again, 1 + again];
}

async function crash(context: TestContext, { at, isDirectory = false }: Fault, kind: Kind): Promise<void> {
  const place = createPlace(context);
  const run = await prepare(place, kind, isDirectory);
  const { variables, listener, shown, set } = run;
  const isGood = kind.endsWith('good');
  const faults = { FAULT: at, FAULT_ARMED: place.at('armed') };
  const first = await place.start({ ...variables, ...faults }, { main: build.main });
  await settles(first, run, 'one', 'applied');
  place.write('armed', '');
  set(isGood ? { value: 'two' } : { value: 'bad', dies: 50 });
  await until(`it ends at ${at} (${kind})`, () => !first.isRunning());
  expect(['one', 'two', 'bad']).toContain(shown());

  const second = await place.start(variables, { main: build.main });
  const end = isGood ? 'two' : 'one';
  await settles(second, run, end, isGood ? 'applied unchanged picked-up' : 'rolled-back blocked');
  expect((await second.target()).blocked).toHaveLength(isGood ? 0 : 1);
  await until(`it runs ${end}`, () => listener.runs() === end);
  expect((await second.end()).code).toBe(0);
  const told = listener.told();
  const count = told.filter((value) => value === (isGood ? 'two' : 'bad')).length;
  const [least, most] = timesTold(kind, at);
  expect(count).toBeGreaterThanOrEqual(least);
  expect(count).toBeLessThanOrEqual(most);
  const { code, stdout } = await place.run(['once'], { ...variables, LISTEN: 'off' });
  expect(code, stdout).toBe(isGood ? 0 : 4);
  expect(listener.told()).toEqual(told);
  expectNothingLeft(place, isDirectory);
  await listener.end();
}

function expectNothingLeft(place: Place, isDirectory: boolean): void {
  const names = readdirSync(place.at('out'))
    .filter((name) => !name.startsWith('..gen-'))
    .sort();
  expect(names).toEqual(
    isDirectory ? ['..config-sidecar', '..data', 'app.json'] : ['.config-sidecar', 'app.json'],
  );
  const state = place.at(isDirectory ? 'out/..config-sidecar/out' : 'out/.config-sidecar/app.json');
  expect(readdirSync(state).sort()).toEqual(['generations', 'ledger.0.json', 'ledger.1.json']);
  expect(readdirSync(`${state}/generations`).filter((name) => !/^\d+\.json$/.test(name))).toEqual([]);
}

test('every named point is among those at which a crash is tried', () => {
  const points = new Set(FAULTS.map(({ at }) => at.split(':')[0]));
  expect([...points].sort()).toEqual([...FAULT_POINTS].sort());
});

describe.concurrent('a crash is made up for at the next start', () => {
  test.for(FAULTS.map((fault) => [fault.at, fault] as const))(
    'when it comes at %s',
    async ([, fault], context) => {
      await Promise.all(fault.kinds.map((kind) => crash(context, fault, kind)));
    },
  );
});
