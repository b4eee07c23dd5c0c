// The whole step in real time: a real application that reloads, refuses, dies late or is restarted, looked at as the
// loop does.

import { writeFileSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { describe, expect, type TestContext, test } from 'vitest';
import {
  Confirmation,
  type ConfirmResult,
  type ConfirmSettings,
} from '../../../../src/application/confirm/confirm.ts';
import { bootStamp, bootTicks } from '../../../../src/application/process/boot-clock.ts';
import { childrenOf, isLiving } from '../../../../src/application/process/liveness.ts';
import { processFolder, readRow } from '../../../../src/application/process/proc.ts';
import type { Trial, Version } from '../../../../src/ledger/ledger.ts';
import type { ProcessId } from '../../../../src/ledger/types.ts';
import { createStage, fixture, until } from '../../../support/application/process/apart.ts';

interface App {
  /** The running process; null while there is none. */
  readonly current: () => ProcessId | null;
  /** Writes the configuration and sends the signal. */
  readonly notify: (signal: 'SIGHUP' | 'SIGTERM', config: Config) => Trial;
  readonly url: () => string;
}

interface Config {
  readonly revision: string;
  readonly bad?: boolean;
  readonly diesAfterMs?: number;
}

/** The application, started again by a supervisor whenever it ends. */
async function supervised(context: TestContext): Promise<App> {
  const stage = createStage(context);
  const current = (): ProcessId | null => {
    const row = readRow(processFolder(Number(stage.read('pid'))));
    return row !== null && isLiving(row) ? { pid: row.pid, startTicks: row.startTicks } : null;
  };
  const write = (config: Config): void => writeFileSync(stage.at('config'), JSON.stringify(config));
  write({ revision: '6' });
  const script = 'while :; do "$@" & echo $! > "$pid"; wait; sleep 0.2; done';
  const argv = [process.execPath, fixture('reports-reload.mjs'), stage.at('config'), stage.at('port')];
  const supervisor = stage.start(['sh', '-c', script, 'sh', ...argv], { pid: stage.at('pid') });
  context.onTestFinished(() => {
    process.kill(supervisor.pid, 'SIGKILL');
    const left = current();
    if (left !== null) process.kill(left.pid, 'SIGKILL');
  });
  await until('it listens', () => stage.read('port') !== '');
  return {
    current,
    url: () => `http://127.0.0.1:${stage.read('port')}/metrics`,
    notify: (signal, config) => {
      const id = current();
      if (id === null) throw new Error('it is not there');
      const children = childrenOf(id);
      write(config);
      // As the program does it: a pause of ours after the signal must not make the new workers older.
      const [at, toldFrom] = [Date.now(), bootTicks()];
      process.kill(id.pid, signal);
      const restarts = signal === 'SIGTERM';
      const trial = {
        process: id,
        how: 'told',
        restarts,
        children,
        at,
        notBefore: at,
        toldFrom,
        evidence: [],
      } as const;
      return { ...trial, moment: bootStamp() };
    },
  };
}

const VERSION: Version = { revision: '7', digest: 'sha256:d', rendering: 'sha256:r', at: 1 };

const SETTINGS: Omit<ConfirmSettings, 'url'> = {
  periodMs: 1_000,
  timeoutMs: 6_000,
  workers: true,
  successes: 2,
  match: { text: '^app_revision\\{revision="{revision}"\\} 1\\napp_last_reload_seconds (?<time>\\S+)$' },
};

async function verdict(one: Confirmation, app: App, trial: Trial): Promise<ConfirmResult> {
  for (;;) {
    const sightings = { nowMs: Date.now(), ticks: bootTicks(), current: app.current() };
    const result = await one.look(trial, VERSION, sightings, new AbortController().signal);
    if (result.kind !== 'pending') return result;
    await wait(result.inMs);
  }
}

function confirmationOf({ url }: App): Confirmation {
  return new Confirmation({ settings: () => ({ ...SETTINGS, url }), resumed: false });
}

describe('an application that is notified of a configuration', () => {
  test('and takes it is confirmed by all that it shows', async (context) => {
    const app = await supervised(context);
    const trial = app.notify('SIGHUP', { revision: '7' });
    expect(await verdict(confirmationOf(app), app, trial)).toEqual({
      kind: 'confirmed',
      evidence: ['alive', 'workers', 'probed'],
    });
  });

  test('and refuses it keeps running with its old workers and reports its old revision', async (context) => {
    const app = await supervised(context);
    const trial = app.notify('SIGHUP', { revision: '7', bad: true });
    const result = await verdict(confirmationOf(app), app, trial);
    expect(result).toMatchObject({ kind: 'unconfirmed', code: 'confirm.no-workers' });
    expect(result).toHaveProperty('output', expect.stringMatching(/^app_revision\{revision="6"\} 1\n/));
  });

  test('and shows the same revision from a reload before is not confirmed by that', async (context) => {
    const app = await supervised(context);
    expect((await verdict(confirmationOf(app), app, app.notify('SIGHUP', { revision: '7' }))).kind).toBe(
      'confirmed',
    );
    const trial = app.notify('SIGHUP', { revision: '7', bad: true });
    const one = new Confirmation({
      settings: () => ({ ...SETTINGS, workers: false, url: app.url }),
      resumed: false,
    });
    expect(await verdict(one, app, trial)).toMatchObject({ kind: 'unconfirmed', code: 'confirm.too-old' });
  });

  test('and dies of it a moment later counts as dead, even if it was started again', async (context) => {
    const app = await supervised(context);
    const trial = app.notify('SIGHUP', { revision: '7', diesAfterMs: 300 });
    expect(await verdict(confirmationOf(app), app, trial)).toMatchObject({
      kind: 'died',
      code: 'confirm.died',
    });
  });

  test('and is to be restarted is confirmed in its next process', async (context) => {
    const app = await supervised(context);
    const one = confirmationOf(app);
    const trial = app.notify('SIGTERM', { revision: '7' });
    const restarted = await verdict(one, app, trial);
    if (restarted.kind !== 'restarted') throw new Error(`it was ${restarted.kind}`);
    expect(restarted.process).not.toEqual(trial.process);
    const next: Trial = {
      ...trial,
      process: restarted.process,
      how: 'picked-up',
      restarts: false,
      children: [],
      at: Date.now(),
      moment: bootStamp(),
    };
    expect(await verdict(one, app, next)).toEqual({
      kind: 'confirmed',
      evidence: ['alive', 'workers', 'probed', 'started'],
    });
  });
});
