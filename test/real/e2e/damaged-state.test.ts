// What still works when the state directory is damaged.
import {
  existsSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { describe, expect, test } from 'vitest';
import { createPlace, type Place } from '../../support/e2e/place.ts';
import { applyAll, applyAndEnd, createJob, emptyVolume } from '../../support/e2e/source-job.ts';
import { until } from '../../support/e2e/until.ts';

describe.concurrent('a copy that is damaged', () => {
  const damages: readonly (readonly [string, (path: string, place: Place) => void])[] = [
    ['cut', (path) => truncateSync(path, 200)],
    ['empty', (path) => truncateSync(path, 0)],
    [
      'changed',
      (path) => writeFileSync(path, readFileSync(path, 'utf8').replace('\\":\\"two', '\\":\\"odd')),
    ],
    [
      'a link',
      (path, place) => {
        renameSync(path, place.at('elsewhere'));
        symlinkSync(place.at('elsewhere'), path);
      },
    ],
    ['gone', (path) => rmSync(path)],
  ];

  test.for(damages)('(%s) is not used: the one before it is', async ([, damage], context) => {
    const place = createPlace(context);
    const job = await createJob(place);
    await applyAndEnd(place, job, ['one', 'two']);
    const copy = place.at(`${job.state}/generations/2.json`);
    const intact = readFileSync(copy, 'utf8');
    damage(copy, place);
    emptyVolume(place);
    await job.sourceEnds();
    const sidecar = await place.start(job.variables);
    await sidecar.outcome('applied');
    expect(job.shown()).toBe('one');
    expect(intact).toContain('two');
    expect(sidecar.logs('failed')).toMatchObject([{ code: 'state.generation-damaged' }]);
    expect(job.told().at(-1)).toBe('one');
    if (existsSync(place.at('elsewhere'))) expect(place.read('elsewhere')).toBe(intact);
  });
});

/** Damages one or both of the slots a ledger is written to. */
const LEDGER_DAMAGES: readonly (readonly [string, (path: string) => void])[] = [
  ['cut', (path) => truncateSync(path, 120)],
  ['empty', (path) => truncateSync(path, 0)],
  ['garbage', (path) => writeFileSync(path, '\u0000\u0001{"version":1}}}')],
  ['gone', (path) => rmSync(path)],
];

describe.concurrent('a ledger', () => {
  test.for(LEDGER_DAMAGES)('with one slot that is %s costs nothing', async ([what, damage], context) => {
    for (const slot of [0, 1]) {
      const place = createPlace(context);
      const job = await createJob(place);
      await applyAndEnd(place, job, ['one', 'two']);
      damage(place.at(`${job.state}/ledger.${slot}.json`));
      const sidecar = await place.start(job.variables);
      await until('it follows', async () => (await sidecar.status()).fresh);
      job.set('three');
      await until('it is notified of the next change', () => job.told().includes('three'));
      // Whether the debt of a moment ago was paid is in the newest slot only.
      expect(job.told().filter((value) => value === 'two').length).toBeLessThanOrEqual(2);
      expect((await sidecar.target()).generations.length).toBeGreaterThan(1);
      if (what !== 'gone') expect(sidecar.logs('ledger damaged')).toMatchObject([{ from: 'before' }]);
      await sidecar.end();
      await job.sourceEnds();
    }
  });

  test.for(LEDGER_DAMAGES)(
    'of which both slots are %s costs at most one reload; what worked is still known',
    async ([what, damage], context) => {
      const place = createPlace(context);
      const job = await createJob(place);
      await applyAndEnd(place, job, ['one', 'two']);
      for (const slot of [0, 1]) damage(place.at(`${job.state}/ledger.${slot}.json`));
      const sidecar = await place.start(job.variables);
      await until('it knows what works', async () => {
        const { generations, reloadOwed, outcome } = await sidecar.target();
        return !reloadOwed && outcome !== null && generations[0]?.onVolume;
      });
      expect(job.shown()).toBe('two');
      expect(job.told().slice(0, 2)).toEqual(['one', 'two']);
      expect(job.told().length).toBeLessThanOrEqual(3);
      if (what !== 'gone') expect(sidecar.logs('ledger damaged')).toMatchObject([{ from: 'damaged' }]);
      const { generations } = await sidecar.target();
      expect(generations.map(({ generation }) => generation)).toEqual(expect.arrayContaining([1, 2]));
      await sidecar.end();
      emptyVolume(place);
      await job.sourceEnds();
      const later = await place.start(job.variables);
      await later.outcome('applied');
      expect(job.shown()).toBe('two');
    },
  );

  test('that is lost forgets what was blocked: it is tried again and rolled back again', async (context) => {
    const place = createPlace(context);
    const job = await createJob(place);
    const first = await place.start(job.variables);
    await applyAll(job, first, ['one']);
    job.set('bad');
    await first.outcome('rolled-back');
    await first.end();
    const told = job.told().length;
    for (const slot of [0, 1]) truncateSync(place.at(`${job.state}/ledger.${slot}.json`), 100);
    const second = await place.start(job.variables);
    const back = await second.outcome('rolled-back');
    expect(back.blocked).toMatchObject([{ outcome: 'refused' }]);
    expect(job.shown()).toBe('one');
    const again = job.told().slice(told);
    expect(again.filter((value) => value === 'bad').length).toBeGreaterThanOrEqual(3);
    expect(again.at(-1)).toBe('one');
    await job.sourceEnds();
  });

  test('that is lost altogether with its copies costs at most one reload', async (context) => {
    const place = createPlace(context);
    const job = await createJob(place);
    await applyAndEnd(place, job, ['one']);
    rmSync(place.at('state'), { recursive: true });
    place.directory('state');
    const sidecar = await place.start(job.variables);
    const seen = await sidecar.outcome('applied').catch(() => sidecar.target());
    expect(seen).toMatchObject({ reloadOwed: false, generations: [{ onVolume: true }] });
    expect(job.told()).toEqual(['one', 'one']);
    expect(sidecar.logs('published')).toEqual([]);
    await job.sourceEnds();
  });
});
