// What a preset claims, as a suite that every preset's test calls with the real server: a good change is served, a bad
// one is rejected before it is published, one that passes the check and does not load is rolled back, and no process but the
// master is signalled.
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { Preset } from '../../../src/settings/presets/preset.ts';
import { PRESETS } from '../../../src/settings/presets/table.ts';
import type { Variables } from '../e2e/sidecar.ts';
import { until } from '../e2e/until.ts';
import type { Started } from './room.ts';
import { type Scene, type Server, type Stage, setStage } from './scene.ts';

export type { Scene } from './scene.ts';

/** One application that can reload. */
export interface Application extends Server {
  /** One that its checker refuses; where it has none, one that is broken. */
  readonly badSyntax: (scene: Scene) => string;
  /** One that passes the check and does not load; null: there is none, or it could not be noticed. */
  readonly badSemantics: ((scene: Scene) => string) | null;
  /** What the preset confirms says nothing of a broken file. */
  readonly unseen?: true;
  /** Settings that its remarks name, with which it is seen. */
  readonly seeing?: (scene: Scene) => Variables;
  /** The signal the master gets; null: there is no hook. */
  readonly signal: NodeJS.Signals | null;
  /** The number that must get it, inside of the room; default: that of the program that was started. */
  readonly master?: (scene: Scene, started: Started) => number;
}

/** Registers the tests of one application; each goes on where the one before ended. */
export function testClaims(application: Application): void {
  const stage = setStage(application);
  const { put, served } = stage;
  const { badSemantics, preset, seeing, unseen = false } = application;
  const { checker, onBadFile }: Preset = PRESETS[preset];

  test('a good change is served, and only the master is signalled', async () => {
    const [scene, server] = [stage.scene(), stage.server()];
    stage.forgetSignals();
    put(application.good('two', scene));
    await stage.sidecar().outcome('applied');
    await served('two');
    const master = application.master?.(scene, server.current()) ?? server.current().pid;
    expect(stage.signals()).toEqual(application.signal === null ? [] : [`${application.signal} ${master}`]);
    expect(server.starts()).toBe(1);
  });

  if (checker !== null) {
    test('a file that its own checker refuses never gets to it', async () => {
      await isRejected(stage, application.badSyntax(stage.scene()));
      await served('two');
    });
  }

  if (badSemantics !== null && !unseen) {
    test('one that passes the check and does not load is rolled back', async () => {
      await isTakenBack(stage, badSemantics(stage.scene()));
    });
  }

  if (unseen) {
    test('a broken file without a checker goes unseen, and affects it as the preset says', async () => {
      const { output } = stage.scene();
      await stage.restart({ VALIDATE_COMMAND: 'true' });
      const bad = application.badSyntax(stage.scene());
      put(bad);
      await until('it is published', () => readFileSync(output, 'utf8') === bad);
      await until('it counts as known to work', async () => {
        const { desired, lastKnownGood } = await stage.sidecar().target();
        return desired !== null && lastKnownGood?.rendering === desired.rendering;
      });
      await served(onBadFile === 'applies the valid part' ? 'never' : 'two');
      expect(stage.server().starts()).toBe(1);
      put(application.good('two', stage.scene()));
      await served('two');
    });
  }

  if (!unseen || seeing !== undefined) {
    test('a broken file without a checker affects it as the preset says, and is rolled back', async () => {
      await stage.restart({ VALIDATE_COMMAND: 'true', ...seeing?.(stage.scene()) });
      const starts = stage.server().starts();
      await isTakenBack(stage, application.badSyntax(stage.scene()));
      if (onBadFile === 'exits') expect(stage.server().starts()).toBeGreaterThan(starts);
      else expect(stage.server().starts()).toBe(starts);
      put(application.good('three', stage.scene()));
      await stage.sidecar().outcome('applied');
      await served('three');
    });
  }

  if (seeing !== undefined && badSemantics !== null) {
    test('with what its remarks name, one that passes the check and does not load is rolled back', async () => {
      put(application.good('two', stage.scene()));
      await served('two');
      await stage.restart(seeing(stage.scene()));
      await isTakenBack(stage, badSemantics(stage.scene()));
    });
  }
}

/** What its own checker refuses never gets to the volume, and no process is signalled. */
export async function isRejected(stage: Stage, bad: string): Promise<void> {
  const { output } = stage.scene();
  const before = readFileSync(output, 'utf8');
  stage.forgetSignals();
  stage.put(bad);
  const { code, history } = await stage.sidecar().outcome('rejected');
  expect(code).toBe('validate.command');
  expect(history[0]?.message).not.toContain('not found');
  expect(readFileSync(output, 'utf8')).toBe(before);
  expect(stage.signals()).toEqual([]);
}

/** What was published is found out, and version two is there again. */
export async function isTakenBack(stage: Stage, bad: string): Promise<void> {
  const { output } = stage.scene();
  const before = readFileSync(output, 'utf8');
  stage.put(bad);
  const { blocked } = await stage.sidecar().outcome('rolled-back');
  expect(blocked).not.toEqual([]);
  expect(readFileSync(output, 'utf8')).toBe(before);
  await stage.served('two');
}
