// A state directory that others have changed: ledgers made by others, planted links. It may cost a reload, never
// more, and nothing outside is read, written or removed.
import { createHash } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { fileJob, publishedValue } from '../../support/e2e/backing.ts';
import { createPlace, type Place } from '../../support/e2e/place.ts';
import type { Sidecar, Variables } from '../../support/e2e/sidecar.ts';
import { until } from '../../support/e2e/until.ts';

const STATE = 'out/.config-sidecar/app.json';

interface Job {
  readonly variables: Variables;
  readonly set: (value: string) => void;
  /** The values on the volume whenever the application was notified. */
  readonly told: () => readonly unknown[];
}

function createJob(place: Place): Job {
  const { variables, set, config } = fileJob(place);
  const hook = place.write('hook.sh', `cat ${config} >> ${place.at('told')}\n`);
  const linesOf = (text: string): readonly string[] => text.split('\n').filter((line) => line !== '');
  return {
    variables: { ...variables, RELOAD_COMMAND: `sh ${hook}` },
    set,
    told: () => (existsSync(place.at('told')) ? linesOf(place.read('told')).map(publishedValue) : []),
  };
}

/** A start after "one" and "two" were applied and the state directory was then changed by others. */
async function startAfter(place: Place, job: Job, tamper: (state: string) => void): Promise<Sidecar> {
  const first = await place.start(job.variables);
  await isKnown(first, job, 'one');
  job.set('two');
  await isKnown(first, job, 'two');
  await first.end();
  tamper(place.at(STATE));
  return place.start(job.variables);
}

/** Waits until the application was notified of the value and it is known to work. */
async function isKnown(sidecar: Sidecar, job: Job, value: string): Promise<void> {
  await until(`"${value}" is known to work`, async () => {
    const { desired, generations, reloadOwed, outcome, message } = await sidecar.target();
    const good = generations.find(({ lastKnownGood }) => lastKnownGood);
    if (good === undefined) throw new Error(`it is ${outcome}: ${message}`);
    const isRun = good.onVolume && !reloadOwed && desired?.rendering === good.rendering;
    return isRun && job.told().includes(value);
  });
}

/** A slot as the program writes it. */
function slotOf(ledger: unknown, { version = 1, sequence = 40 } = {}): string {
  const text = JSON.stringify(ledger);
  const checksum = createHash('sha256').update(`${sequence} ${text}`).digest('hex');
  return `{"version":${version},"checksum":"${checksum}","sequence":${sequence},"ledger":${text}}\n`;
}

/** Puts a ledger in place of both slots. */
function forge(state: string, ledger: unknown, version = 1): void {
  for (const slot of [0, 1]) {
    writeFileSync(join(state, `ledger.${slot}.json`), slotOf(ledger, { version, sequence: 40 + slot }));
  }
}

/** What the newest slot holds. */
function ledgerIn(state: string): Record<string, unknown> {
  const slots = [0, 1].map((slot) => JSON.parse(readFileSync(join(state, `ledger.${slot}.json`), 'utf8')));
  return slots.sort((a, b) => b.sequence - a.sequence)[0].ledger;
}

const VERSION = { revision: 'r', digest: 'sha256:0', rendering: 'sha256:0', at: 1 };

/** Each with a checksum that is right. */
const NONSENSE: readonly (readonly [string, (ledger: Record<string, unknown>) => unknown])[] = [
  ['a number', () => 5],
  ['null', () => null],
  ['a list', () => [1, 2]],
  ['values that are not lists', (ledger) => ({ ...ledger, kept: 'many', blocked: { length: 2 } })],
  ['nulls in its lists', (ledger) => ({ ...ledger, kept: [null], blocked: [null, 7] })],
  ['a published number', (ledger) => ({ ...ledger, published: 7, told: true })],
  ['a trial without a moment', (ledger) => ({ ...ledger, trial: { how: 'told' }, verdict: 'pending' })],
  ['a verdict that does not exist', (ledger) => ({ ...ledger, verdict: 'splendid' })],
  ['an intention without a version', (ledger) => ({ ...ledger, intended: { owedBefore: 'maybe' } })],
  [
    'staged outputs that are not outputs',
    (ledger) => ({
      ...ledger,
      intended: { version: VERSION, owedBefore: false, staged: [{ output: 7 }, null] },
    }),
  ],
  ['a suspect without a block', (ledger) => ({ ...ledger, suspect: { until: 'tomorrow' } })],
  [
    'values that are not times',
    (ledger) => ({ ...ledger, appliedAt: 'today', owed: { since: {} }, running: {} }),
  ],
  ['a pin to nothing', (ledger) => ({ ...ledger, pinned: { rendering: 'sha256:0', generation: 'x' } })],
  ['a generation that is no number', (ledger) => ({ ...ledger, generation: 'NaN' })],
];

describe.concurrent('a ledger that others wrote', () => {
  test.for(NONSENSE)('with %s costs at most one reload', async ([, change], context) => {
    const place = createPlace(context);
    const job = createJob(place);
    const sidecar = await startAfter(place, job, (state) => forge(state, change(ledgerIn(state))));
    job.set('three');
    await isKnown(sidecar, job, 'three');
    expect(job.told().filter((value) => value === 'two').length).toBeLessThanOrEqual(2);
    expect(await sidecar.get('/status')).toMatchObject({ status: 200 });
    expect(await sidecar.get('/')).toMatchObject({ status: 200 });
    expect(await sidecar.get('/metrics')).toMatchObject({ status: 200 });
    expect((await sidecar.end()).code).toBe(0);
  });

  test('of another version is reported, and not used', async (context) => {
    const place = createPlace(context);
    const job = createJob(place);
    const sidecar = await startAfter(place, job, (state) => {
      const ledger = ledgerIn(state);
      forge(
        state,
        { ...ledger, owed: { since: 1 }, pinned: { generation: 1, rendering: VERSION.rendering } },
        2,
      );
    });
    await until('that is said', () => sidecar.logs('ledger damaged').length > 0);
    expect(sidecar.logs('ledger damaged')).toMatchObject([{ from: 'damaged' }]);
    job.set('three');
    await isKnown(sidecar, job, 'three');
    expect((await sidecar.target()).pinned).toBe(false);
  });

  test('and that belongs to another user is not believed, which costs one reload', async (context) => {
    const place = createPlace(context);
    const job = createJob(place);
    const sidecar = await startAfter(place, job, (state) => {
      for (const slot of [0, 1]) {
        const path = join(state, `ledger.${slot}.json`);
        chmodSync(path, 0o666);
        if (process.getuid?.() === 0) chownSync(path, 65_534, 65_534);
      }
    });
    await until('it follows', async () => (await sidecar.status()).fresh);
    await isKnown(sidecar, job, 'two');
    expect(sidecar.logs('ledger damaged')).toMatchObject([{ from: 'damaged' }]);
    expect(job.told()).toEqual(['one', 'two', 'two']);
  });

  test('with paths in place of numbers writes, reads and removes nothing outside', async (context) => {
    const path = '../../../../escaped';
    for (const counted of [false, true]) {
      const place = createPlace(context);
      const job = createJob(place);
      place.write('escaped.json', 'precious');
      const sidecar = await startAfter(place, job, (state) => {
        const { kept, ...ledger } = ledgerIn(state) as { readonly kept: readonly object[] };
        const named = kept.map((one) => ({ ...one, generation: path }));
        forge(state, { ...ledger, kept: named, ...(counted && { generation: path }) });
      });
      job.set('three');
      await isKnown(sidecar, job, 'three');
      const seen = job.told().length;
      job.set('one');
      await until('it is notified', () => job.told().slice(seen).includes('one'));
      await sidecar.end();
      expect(place.read('escaped.json')).toBe('precious');
      expect(readdirSync(place.root).filter((name) => name.startsWith('escaped'))).toEqual(['escaped.json']);
    }
  });
});

/** Something outside that must not be touched. */
function precious(place: Place): {
  readonly file: string;
  readonly folder: string;
  readonly expectIntact: () => void;
} {
  const file = place.write('precious/file', 'precious');
  const folder = place.directory('precious/folder');
  place.write('precious/folder/1.json', 'mine');
  place.write('precious/folder/ledger.0.json', 'mine');
  return {
    file,
    folder,
    expectIntact: () => {
      expect(place.read('precious/file')).toBe('precious');
      expect(readdirSync(folder).sort()).toEqual(['1.json', 'ledger.0.json']);
      for (const name of readdirSync(folder)) expect(place.read(`precious/folder/${name}`)).toBe('mine');
    },
  };
}

describe.concurrent('links that others planted', () => {
  test('under our names beside a file output lead nowhere', async (context) => {
    const place = createPlace(context);
    const job = createJob(place);
    const { file, folder, expectIntact } = precious(place);
    const prefix = `.config-sidecar.${createHash('sha256').update('app.json').digest('hex').slice(0, 16)}.`;
    mkdirSync(place.at(`${STATE}`), { recursive: true });
    for (const name of ['ledger.0.json', 'ledger.1.json', 'control.sock', 'lock.0123456789ab']) {
      symlinkSync(file, place.at(`${STATE}/${name}`));
    }
    for (const name of ['generations', 'check-abc', '.config-sidecar.0123.tmp']) {
      symlinkSync(folder, place.at(`${STATE}/${name}`));
    }
    symlinkSync(file, place.at(`out/${prefix}0123456789abcdef.tmp`));
    symlinkSync(folder, place.at(`out/${prefix}fedcba9876543210.tmp`));
    symlinkSync(file, place.at('out/app.json'));
    const sidecar = await place.start(job.variables);
    await isKnown(sidecar, job, 'one');
    job.set('two');
    await isKnown(sidecar, job, 'two');
    await sidecar.end();
    expectIntact();
    expect(lstatSync(place.at('out/app.json')).isFile()).toBe(true);
    expect(readdirSync(place.at('out')).sort()).toEqual(['.config-sidecar', 'app.json']);
    expect(readdirSync(place.at(`${STATE}/generations`)).length).toBe(2);
  });

  test('in place of copies, and under the names they are written by, are not followed', async (context) => {
    const place = createPlace(context);
    const job = createJob(place);
    const { file, folder, expectIntact } = precious(place);
    const sidecar = await startAfter(place, job, (state) => {
      for (const number of [3, 4, 7]) symlinkSync(file, join(state, `generations/${number}.json`));
      symlinkSync(folder, join(state, 'generations/.config-sidecar.0123456789abcdef.0123456789abcdef.tmp'));
    });
    for (const value of ['three', 'four']) {
      job.set(value);
      await isKnown(sidecar, job, value);
    }
    await sidecar.end();
    expectIntact();
    const copies = readdirSync(place.at(`${STATE}/generations`), { withFileTypes: true });
    expect(copies.filter((entry) => !entry.isFile())).toEqual([]);
  });

  test('in a directory output are removed or refused, and lead nowhere', async (context) => {
    const place = createPlace(context);
    const { folder, expectIntact } = precious(place);
    place.directory('out');
    place.write('source/name', 'one');
    for (const name of ['..stage-0123456789ab', '..link-0123456789ab', '..gen-0123456789ab'])
      symlinkSync(folder, place.at(`out/${name}`));
    const variables = { SOURCE: `${place.at('source')}/`, OUTPUT: `${place.at('out')}/` };
    const sidecar = await place.start(variables);
    await sidecar.outcome('applied');
    await sidecar.end();
    expectIntact();
    expect(place.read('out/name')).toBe('one');
    const left = readdirSync(place.at('out')).filter((name) => /^\.\.(stage|link)-/.test(name));
    expect(left).toEqual([]);
  });
});

describe.concurrent('a state directory that is a link', () => {
  test('is used where it leads, whether it was there first or was moved later', async (context) => {
    const place = createPlace(context);
    const job = createJob(place);
    place.write('elsewhere/app.json/other', 'not ours');
    place.directory('out');
    symlinkSync(place.at('elsewhere'), place.at('out/.config-sidecar'));
    const sidecar = await startAfter(place, job, () => {
      renameSync(place.at('elsewhere'), place.at('moved'));
      symlinkSync(place.at('moved'), place.at('elsewhere'));
    });
    await isKnown(sidecar, job, 'two');
    job.set('three');
    await isKnown(sidecar, job, 'three');
    expect(job.told()).toEqual(['one', 'two', 'three']);
    expect(place.read('moved/app.json/other')).toBe('not ours');
    expect(lstatSync(place.at('out/.config-sidecar')).isSymbolicLink()).toBe(true);
  });
});
