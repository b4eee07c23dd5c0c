// What the loop learns about the application's process.

import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { LookedUp } from '../../../../src/application/process/lookup.ts';
import { createMountMemory } from '../../../../src/application/process/mount-memory.ts';
import { observeProcess } from '../../../../src/application/process/observe-process.ts';
import type { SignalReadiness } from '../../../../src/application/process/readiness.ts';
import type { BootStamp } from '../../../../src/ledger/types.ts';
import { createStage, until } from '../../../support/application/process/apart.ts';

const NOW: BootStamp = { bootId: 'this', ticks: 2000 };
const BEFORE: BootStamp = { bootId: 'this', ticks: 500 };
const AFTER: BootStamp = { bootId: 'this', ticks: 1500 };

function found(readiness: SignalReadiness, pid = 2 ** 31 - 1): LookedUp {
  return { kind: 'found', id: { pid, startTicks: 1000 }, name: `${pid} (app)`, readiness, seenAt: NOW };
}

function see(sight: LookedUp, moment: BootStamp | null = AFTER, outputPath = '/no/output') {
  const mounts = createMountMemory([{ kind: 'file', path: outputPath }]);
  return observeProcess({ lookup: { look: () => sight }, moment, mounts, nowMs: 10_000 });
}

describe('a process', () => {
  const id = { pid: 2 ** 31 - 1, startTicks: 1000 };
  const unready: SignalReadiness = {
    kind: 'no-handler',
    reason: 'has no handler for SIGHUP, which would kill it',
  };

  test('that can be signalled is ready', () => {
    expect(see(found({ kind: 'ready' }))).toEqual({ fact: { kind: 'ready' }, id });
    expect(see(found({ kind: 'ready' }), null)).toEqual({ fact: { kind: 'ready' }, id });
  });

  test('that started after the publication needs no handler', () => {
    expect(see(found(unready), BEFORE)).toEqual({ fact: { kind: 'started-after' }, id });
  });

  test('that is too young is asked again in time', () => {
    expect(see(found({ kind: 'settling', waitMs: 40 }))).toEqual({
      fact: { kind: 'settling', until: 10_040 },
      id,
    });
  });

  test('without a handler is held back, with the remedy', () => {
    const message = `Cannot notify the application: process ${id.pid} (app) has no handler for SIGHUP, which would kill it. It is notified as soon as it has one. If it never installs one, correct RELOAD_SIGNAL, or use RELOAD_URL or RELOAD_COMMAND.`;
    expect(see(found(unready))).toEqual({
      fact: { kind: 'obstacle', obstacle: { outcome: 'held-back', code: 'reload.held-back', message } },
      id,
    });
  });

  test.each([
    [
      'unknown-handler',
      'held-back',
      'may have no handler for SIGHUP, which would kill it: this system does not show handlers',
      'Use RELOAD_URL or RELOAD_COMMAND. Set RELOAD_GATE=off only if you know that it has one: without one, the signal kills it.',
    ],
    [
      'stopped',
      'held-back',
      'is stopped (SIGSTOP), so it can take nothing',
      'It is notified once it runs again; SIGCONT continues it (kill -CONT).',
    ],
    [
      'ignored',
      'ignored',
      'ignores SIGHUP',
      'It is notified once it no longer ignores it. Check RELOAD_SIGNAL, and how the application is started: nohup makes it ignore SIGHUP.',
    ],
    [
      'not-permitted',
      'not-permitted',
      'belongs to user 7, and this sidecar runs as user 8 without CAP_KILL',
      'Give both containers the same runAsUser, or use RELOAD_URL.',
    ],
  ] as const)('whose readiness is %s is reported as %s, with the remedy', (kind, outcome, reason, advice) => {
    const message = `Cannot notify the application: process ${id.pid} (app) ${reason}. ${advice}`;
    expect(see(found({ kind, reason })).fact).toEqual({
      kind: 'obstacle',
      obstacle: { outcome, code: `reload.${kind === 'stopped' ? kind : outcome}`, message },
    });
  });

  test('that cannot be seen, or is one of several, is not signalled', () => {
    expect(see({ kind: 'none', reason: 'no process is named "app"' })).toEqual({
      fact: {
        kind: 'obstacle',
        obstacle: {
          outcome: 'no-target',
          code: 'reload.no-target',
          message:
            'Cannot notify the application: no process is named "app". It is notified as soon as it is there.',
        },
      },
      id: null,
    });
    expect(
      see({ kind: 'ambiguous', pids: [7, 8], reason: 'several unrelated processes match: 7 (a), 8 (a)' }),
    ).toEqual({
      fact: {
        kind: 'obstacle',
        obstacle: {
          outcome: 'ambiguous',
          code: 'reload.ambiguous',
          message:
            'Cannot notify the application: several unrelated processes match: 7 (a), 8 (a). None was notified. Set APP_PROCESS so that it matches exactly one, or use APP_PID_FILE.',
        },
      },
      id: null,
    });
  });

  test('that looks at the old file for ever has not picked up the new one, however late it started', async (context) => {
    const stage = createStage(context);
    mkdirSync(stage.at('volume'));
    for (const path of ['volume/app.conf', 'point', 'staged']) writeFileSync(stage.at(path), path);
    const script = 'mount --bind "$1" "$2" && echo yes > "$3"; exec sleep 600';
    const own = process.getuid?.() === 0 ? '-m' : '-rm';
    const words = [stage.at('volume/app.conf'), stage.at('point'), stage.at('mounted')];
    const { pid } = stage.start(['unshare', own, 'sh', '-c', script, 'sh', ...words]);
    await until('it is mounted', () => stage.read('mounted') === 'yes\n');
    const look = (moment: BootStamp) =>
      see(found({ kind: 'ready' }, pid), moment, stage.at('volume/app.conf'));
    expect(look(BEFORE).fact.kind).toBe('started-after');
    renameSync(stage.at('staged'), stage.at('volume/app.conf'));
    for (const moment of [BEFORE, AFTER]) {
      expect(look(moment).fact).toEqual({
        kind: 'obstacle',
        obstacle: {
          outcome: 'stale-mount',
          code: 'reload.stale-mount',
          message: `Cannot notify the application: process ${pid} (app) would read the old file: its mount at "${stage.at('point')}" still shows what was there before; mount the directory, not the file, and restart it (no subPath).`,
        },
      });
    }
  });
});
