// Who has to live, to be replaced, or to have new workers, with real processes and the trial's own time.

import { writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { bootId } from '../../../../src/application/process/boot-clock.ts';
import { childrenOf, isHalted, isLiving } from '../../../../src/application/process/liveness.ts';
import type { Trial } from '../../../../src/ledger/ledger.ts';
import type { ProcessId } from '../../../../src/ledger/types.ts';
import {
  atAge,
  confirmation,
  never,
  serve,
  trialOf,
  VERSION,
  verdictOn,
} from '../../../support/application/confirm/trials.ts';
import {
  createStage,
  fixture,
  makeZombie,
  type Stage,
  until,
} from '../../../support/application/process/apart.ts';

async function kill(id: ProcessId): Promise<void> {
  process.kill(id.pid, 'SIGKILL');
  await until('it is gone', () => !isLiving(id));
}

/** A process that started so much later than the trial began. */
function startedLater(trial: { moment: { ticks: number | null } }, ms: number): ProcessId {
  return { pid: 4_711, startTicks: (trial.moment.ticks ?? 0) + ms / 10 };
}

describe('with nothing to check', () => {
  test('the notification alone counts', async () => {
    const trial = trialOf(null, { evidence: ['answered'] });
    expect(await confirmation().look(trial, VERSION, atAge(trial, 0), never())).toEqual({
      kind: 'confirmed',
      evidence: ['answered'],
    });
  });

  test('no process has to survive when the period is off', async (context) => {
    const id = createStage(context).start(['sleep', '600']);
    await kill(id);
    const trial = trialOf(id, { how: 'picked-up' });
    const one = confirmation({ periodMs: 0 });
    expect(await one.look(trial, VERSION, atAge(trial, 0), never())).toEqual({
      kind: 'confirmed',
      evidence: ['started'],
    });
  });
});

describe('the process that was notified', () => {
  test('has to survive the period, in which it is looked at ever less often, and once at the end', async (context) => {
    const trial = trialOf(createStage(context).start(['sleep', '600']), { evidence: ['answered'] });
    const one = confirmation();
    const ages: number[] = [];
    for (let ms = 0; ms < 3_000; ) {
      ages.push(ms);
      const result = await one.look(trial, VERSION, atAge(trial, ms), never());
      if (result.kind !== 'pending') throw new Error(`it was ${result.kind} after ${ms} ms`);
      expect(result.inMs).toBeGreaterThanOrEqual(1);
      expect(result.inMs).toBeLessThanOrEqual(500);
      ms += result.inMs;
      expect(ms).toBeLessThanOrEqual(3_000);
    }
    expect(ages.slice(0, 5)).toEqual([0, 100, 200, 300, 400]);
    expect(ages.length).toBeLessThan(20);
    expect(await one.look(trial, VERSION, atAge(trial, 3_000), never())).toEqual({
      kind: 'confirmed',
      evidence: ['answered', 'alive'],
    });
  });

  test('proves by its start that it read what is on the volume', async (context) => {
    const trial = trialOf(createStage(context).start(['sleep', '600']), { how: 'picked-up' });
    const { result, atMs } = await verdictOn(confirmation(), trial);
    expect(result).toEqual({ kind: 'confirmed', evidence: ['alive', 'started'] });
    expect(atMs).toBe(3_000);
  });

  test('that is dead is reported at once, and whether another one replaced it', async (context) => {
    const id = createStage(context).start(['sleep', '600']);
    const trial = trialOf(id);
    const one = confirmation();
    await one.look(trial, VERSION, atAge(trial, 0), never());
    await kill(id);
    const message = `Cannot confirm revision "7": process ${id.pid} was found dead 1.2 s after it was notified`;
    expect(await one.look(trial, VERSION, atAge(trial, 1_200, null), never())).toEqual({
      kind: 'died',
      code: 'confirm.died',
      message,
      replaced: false,
    });
    const later = startedLater(trial, 800);
    expect(await one.look(trial, VERSION, atAge(trial, 1_200, later), never())).toEqual({
      kind: 'died',
      code: 'confirm.died',
      message: `${message}, and process 4711 has taken its place`,
      replaced: true,
    });
  });

  test('that is stopped does not count as alive, and does once it runs again', async (context) => {
    const id = createStage(context).start(['sleep', '600']);
    const trial = trialOf(id);
    process.kill(id.pid, 'SIGSTOP');
    await until('it is stopped', () => isHalted(id));
    expect((await verdictOn(confirmation(), trial)).result).toEqual({
      kind: 'unconfirmed',
      code: 'confirm.stopped',
      message: `Cannot confirm revision "7" within 30s (CONFIRM_TIMEOUT): process ${id.pid} is stopped (SIGSTOP or a debugger), so it cannot show that it works`,
    });
    const one = confirmation();
    expect((await one.look(trial, VERSION, atAge(trial, 3_000), never())).kind).toBe('pending');
    process.kill(id.pid, 'SIGCONT');
    await until('it runs', () => !isHalted(id));
    expect((await one.look(trial, VERSION, atAge(trial, 3_500), never())).kind).toBe('confirmed');
  });

  test('that a command replaced is tried as its successor, even while the old one continues', async (context) => {
    const stage = createStage(context);
    const id = stage.start(['sleep', '600']);
    const begun = trialOf(id, { evidence: ['answered'] });
    const ticks = begun.moment.ticks ?? 0;
    const trial = { ...begun, toldFrom: ticks - 50 };
    const during = { pid: 4_711, startTicks: ticks - 20 };
    for (const one of [confirmation(), confirmation()]) {
      expect(await one.look(trial, VERSION, atAge(trial, 0, during), never())).toEqual({
        kind: 'restarted',
        process: during,
      });
      await kill(id);
    }
    const after = startedLater(trial, 800);
    expect(await confirmation().look(trial, VERSION, atAge(trial, 1_200, after), never())).toMatchObject({
      kind: 'died',
      replaced: true,
    });
    const signalled = { ...trial, evidence: [] };
    expect(await confirmation().look(signalled, VERSION, atAge(trial, 100, during), never())).toMatchObject({
      kind: 'died',
    });
  });

  test('is not replaced by one that existed before: an orphaned worker', async (context) => {
    const id = createStage(context).start(['sleep', '600']);
    const trial = trialOf(id);
    await kill(id);
    const orphan = startedLater(trial, -10);
    expect(await confirmation().look(trial, VERSION, atAge(trial, 100, orphan), never())).toMatchObject({
      kind: 'died',
      replaced: false,
    });
  });

  test('is dead as a zombie, and when its number belongs to another one', async (context) => {
    const stage = createStage(context);
    const zombie = await makeZombie(stage, 'sleep');
    const living = stage.start(['sleep', '600']);
    for (const id of [zombie, { ...living, startTicks: living.startTicks - 1 }]) {
      const trial = trialOf(id);
      expect(await confirmation().look(trial, VERSION, atAge(trial, 0, null), never())).toMatchObject({
        kind: 'died',
      });
    }
  });

  test('may lose and change its children', async (context) => {
    const { id, child } = await withChild(createStage(context));
    const trial = trialOf(id);
    const one = confirmation();
    await one.look(trial, VERSION, atAge(trial, 0), never());
    await kill(child);
    expect((await verdictOn(one, trial)).result).toEqual({ kind: 'confirmed', evidence: ['alive'] });
  });

  test('has to survive until the verdict, even when that takes longer than the period', async (context) => {
    const id = createStage(context).start(['sleep', '600']);
    const trial = trialOf(id);
    const { url } = await serve(503);
    const one = confirmation({ url: () => url });
    expect(await one.look(trial, VERSION, atAge(trial, 3_000), never())).toMatchObject({ kind: 'pending' });
    await kill(id);
    expect(await one.look(trial, VERSION, atAge(trial, 3_500, null), never())).toMatchObject({
      kind: 'died',
    });
  });

  test('is timed by a clock that cannot be set', async (context) => {
    const trial = trialOf(createStage(context).start(['sleep', '600']));
    const one = confirmation();
    for (const steppedMs of [-3_600_000, 3_600_000]) {
      const young = { ...atAge(trial, 2_900), nowMs: trial.at + steppedMs };
      expect(await one.look(trial, VERSION, young, never())).toEqual({ kind: 'pending', inMs: 100 });
      const old = { ...atAge(trial, 3_000), nowMs: trial.at + steppedMs };
      expect(await one.look(trial, VERSION, old, never())).toMatchObject({ kind: 'confirmed' });
    }
  });

  test('is timed by Unix time where there is no other', async (context) => {
    const trial = trialOf(createStage(context).start(['sleep', '600']), {
      moment: { bootId: null, ticks: null },
    });
    const { result, atMs } = await verdictOn(confirmation(), trial);
    expect(result).toMatchObject({ kind: 'confirmed' });
    expect(atMs).toBe(3_000);
    expect(await confirmation().look(trial, VERSION, atAge(trial, -5_000), never())).toMatchObject({
      kind: 'pending',
    });
  });
});

describe('a restart that was asked for', () => {
  test('is another process that started after the notification, once the old one is gone', async (context) => {
    const id = createStage(context).start(['sleep', '600']);
    const trial = trialOf(id, { restarts: true });
    const one = confirmation();
    const later = startedLater(trial, 500);
    // Both are there: an application that starts its successor first.
    expect(await one.look(trial, VERSION, atAge(trial, 600, later), never())).toEqual({
      kind: 'pending',
      inMs: 150,
    });
    await kill(id);
    for (const current of [null, startedLater(trial, -500)]) {
      expect(await one.look(trial, VERSION, atAge(trial, 700, current), never())).toEqual({
        kind: 'pending',
        inMs: 175,
      });
    }
    expect(await one.look(trial, VERSION, atAge(trial, 800, later), never())).toEqual({
      kind: 'restarted',
      process: later,
    });
  });

  test('is waited for as long as a confirmation may take', async (context) => {
    const id = createStage(context).start(['sleep', '600']);
    const trial = trialOf(id, { restarts: true });
    const one = confirmation();
    expect(await one.look(trial, VERSION, atAge(trial, 29_900), never())).toEqual({
      kind: 'pending',
      inMs: 100,
    });
    expect(await one.look(trial, VERSION, atAge(trial, 30_000), never())).toEqual({
      kind: 'unconfirmed',
      code: 'confirm.not-restarted',
      message: `Cannot confirm revision "7" within 30s (CONFIRM_TIMEOUT): process ${id.pid} was asked to end, and is still running`,
    });
    await kill(id);
    expect(await one.look(trial, VERSION, atAge(trial, 30_000, null), never())).toEqual({
      kind: 'unconfirmed',
      code: 'confirm.not-restarted',
      message: `Cannot confirm revision "7" within 30s (CONFIRM_TIMEOUT): process ${id.pid} ended as it was asked to, and no other process has started; a supervisor has to start it again`,
    });
  });
});

describe('after a restart of the sidecar', () => {
  test('a process that keeps running continues its trial', async (context) => {
    const trial = trialOf(createStage(context).start(['sleep', '600']));
    const one = confirmation({}, true);
    expect(await one.look(trial, VERSION, atAge(trial, 1_000), never())).toMatchObject({ kind: 'pending' });
    expect(await one.look(trial, VERSION, atAge(trial, 3_000), never())).toEqual({
      kind: 'confirmed',
      evidence: ['alive'],
    });
  });

  test('a replacement is a death only if it started within the period', async (context) => {
    const id = createStage(context).start(['sleep', '600']);
    const trial = trialOf(id);
    await kill(id);
    const look = (current: ProcessId | null) =>
      confirmation({}, true).look(trial, VERSION, atAge(trial, 60_000, current), never());
    expect(await look(startedLater(trial, 3_000))).toEqual({
      kind: 'died',
      code: 'confirm.died',
      message: `Cannot confirm revision "7": process ${id.pid} was found dead 60.0 s after it was notified, and process 4711 has taken its place`,
      replaced: true,
    });
    const later = startedLater(trial, 3_010);
    expect(await look(later)).toEqual({ kind: 'restarted', process: later });
    expect(await look(null)).toEqual({ kind: 'absent' });
    expect(await look(startedLater(trial, -10))).toEqual({ kind: 'absent' });
  });

  test('a death that comes after the first look is one', async (context) => {
    const id = createStage(context).start(['sleep', '600']);
    const trial = trialOf(id);
    const one = confirmation({}, true);
    await one.look(trial, VERSION, atAge(trial, 1_000), never());
    await kill(id);
    expect(await one.look(trial, VERSION, atAge(trial, 1_100, null), never())).toMatchObject({
      kind: 'died',
      replaced: false,
    });
  });

  test('of the machine, no process counts as the one before, even with the same number and start time', async (context) => {
    const id = createStage(context).start(['sleep', '600']);
    const trial = trialOf(id, { moment: { bootId: 'another', ticks: 0 } });
    expect(bootId()).not.toBeNull();
    const look = (current: ProcessId | null) =>
      confirmation({}, true).look(
        trial,
        VERSION,
        { nowMs: trial.at + 60_000, ticks: 5_000, current },
        never(),
      );
    expect(await look(id)).toEqual({ kind: 'restarted', process: id });
    expect(await look(null)).toEqual({ kind: 'absent' });
  });

  test('of the machine, the trial goes on by Unix time', async () => {
    const { url } = await serve(503, 200);
    const trial = trialOf(null, { moment: { bootId: 'another', ticks: 900_000_000 } });
    const one = confirmation({ url: () => url, successes: 1 }, true);
    const look = (ms: number) =>
      one.look(trial, VERSION, { nowMs: trial.at + ms, ticks: 5_000, current: null }, never());
    expect(await look(60_000)).toMatchObject({ kind: 'pending' });
    expect(await look(60_250)).toEqual({ kind: 'confirmed', evidence: ['probed'] });
  });

  test('the time in which the sidecar did not look does not count', async (context) => {
    const { url, count } = await serve(200);
    const trial = trialOf(createStage(context).start(['sleep', '600']));
    const { result } = await verdictOn(confirmation({ url: () => url }, true), trial, { startMs: 3_600_000 });
    expect(result).toEqual({ kind: 'confirmed', evidence: ['alive', 'probed'] });
    expect(count()).toBe(2);
    const late = await verdictOn(confirmation({ workers: true }, true), trial, { startMs: 3_600_000 });
    expect(late.result).toMatchObject({ kind: 'unconfirmed', code: 'confirm.no-workers' });
    expect(late.atMs).toBe(3_630_000);
  });

  test('a restart that was asked for is waited for again', async (context) => {
    const id = createStage(context).start(['sleep', '600']);
    const trial = trialOf(id, { restarts: true });
    await kill(id);
    const one = confirmation({}, true);
    expect(await one.look(trial, VERSION, atAge(trial, 60_000, null), never())).toMatchObject({
      kind: 'pending',
    });
    // Time in which the sidecar does not look would not count.
    for (let age = 61_000; age < 90_000; age += 1_000)
      await one.look(trial, VERSION, atAge(trial, age, null), never());
    expect(await one.look(trial, VERSION, atAge(trial, 90_000, null), never())).toMatchObject({
      kind: 'unconfirmed',
      code: 'confirm.not-restarted',
    });
  });
});

/** An application with two workers, which SIGHUP replaces. */
async function withWorkers(stage: Stage): Promise<{ id: ProcessId; reload: () => Promise<void> }> {
  writeFileSync(stage.at('config'), '{"revision":"6"}');
  const id = stage.start([
    process.execPath,
    fixture('reports-reload.mjs'),
    stage.at('config'),
    stage.at('port'),
  ]);
  await until('it listens', () => stage.read('port') !== '' && childrenOf(id).length === 2);
  const reload = async (): Promise<void> => {
    const before = childrenOf(id).map(({ pid }) => pid);
    process.kill(id.pid, 'SIGHUP');
    await until('its workers are others', () => {
      const now = childrenOf(id).map(({ pid }) => pid);
      return now.length === 2 && !now.some((pid) => before.includes(pid));
    });
  };
  return { id, reload };
}

async function withChild(stage: Stage): Promise<{ id: ProcessId; child: ProcessId }> {
  const { id } = await withWorkers(stage);
  const [child] = childrenOf(id);
  if (child === undefined) throw new Error('it has no children');
  return { id, child };
}

describe('its workers', () => {
  test('have to be others when the period is over', async (context) => {
    const { id, reload } = await withWorkers(createStage(context));
    const trial = trialOf(id, { children: childrenOf(id) });
    await reload();
    const { result, atMs } = await verdictOn(confirmation({ workers: true }), trial);
    expect(result).toEqual({ kind: 'confirmed', evidence: ['alive', 'workers'] });
    expect(atMs).toBe(3_000);
    const period = { workers: true, periodMs: 0 };
    expect((await verdictOn(confirmation(period), trial)).atMs).toBe(0);
  });

  test('that are those of before show that the reload failed', async (context) => {
    const { id, reload } = await withWorkers(createStage(context));
    const trial = trialOf(id, { children: childrenOf(id) });
    const one = confirmation({ workers: true });
    const { result, atMs } = await verdictOn(one, trial);
    expect(result).toEqual({
      kind: 'unconfirmed',
      code: 'confirm.no-workers',
      message: `Cannot confirm revision "7" within 30s (CONFIRM_TIMEOUT): process ${id.pid} has no new children, so its workers still run the configuration of before`,
    });
    expect(atMs).toBe(30_000);
    await reload();
    expect(await one.look(trial, VERSION, atAge(trial, 29_000), never())).toMatchObject({
      kind: 'confirmed',
    });
  });

  test('are not those of a moment before, which have the same time on the clock', async (context) => {
    const { id } = await withWorkers(createStage(context));
    const children = childrenOf(id);
    const ticks = Math.min(...children.map(({ startTicks }) => startTicks));
    const moment = { ...trialOf(id).moment, ticks };
    const one = confirmation({ workers: true, periodMs: 0 });
    const look = (trial: Trial) => one.look(trial, VERSION, atAge(trial, 0), never());
    expect(await look(trialOf(id, { moment, children }))).toMatchObject({ kind: 'pending' });
    const [, ...others] = children;
    expect(await look(trialOf(id, { moment, children: others }))).toMatchObject({ kind: 'confirmed' });
  });

  test('count from the beginning of the notification, however long it took', async (context) => {
    const { id } = await withWorkers(createStage(context));
    const [child] = childrenOf(id);
    const momentAfter = (ms: number) => ({
      ...trialOf(id).moment,
      ticks: (child?.startTicks ?? 0) + ms / 10,
    });
    const options = { workers: true, periodMs: 0 };
    const told = trialOf(id, { at: 10_000, notBefore: 8_000, moment: momentAfter(2_000) });
    expect(await confirmation(options).look(told, VERSION, atAge(told, 0), never())).toMatchObject({
      kind: 'confirmed',
    });
    // Both workers are older than this notification, so an empty list only means that they were not looked up before.
    const later = trialOf(id, { at: 10_000, notBefore: 8_000, moment: momentAfter(2_500) });
    expect(await confirmation(options).look(later, VERSION, atAge(later, 0), never())).toMatchObject({
      kind: 'pending',
    });
  });
});
