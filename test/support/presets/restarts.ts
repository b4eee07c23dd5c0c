// For applications that read their configuration at their start only: refused as a preset alone, and with SIGTERM and a
// supervisor restarted with the new file, which is rolled back where they do not start with it.
import { expect, test } from 'vitest';
import type { Preset } from '../../../src/settings/presets/preset.ts';
import { PRESETS } from '../../../src/settings/presets/table.ts';
import type { Variables } from '../e2e/sidecar.ts';
import { until } from '../e2e/until.ts';
import { isRejected, isTakenBack } from './claims.ts';
import { type Scene, type Server, setStage } from './scene.ts';

/** One application that has to be restarted. */
export interface Restarted extends Server {
  /** One with which it does not start. */
  readonly bad: (scene: Scene) => string;
  /** It reads another file again on a signal. */
  readonly reloads?: true;
  /** Whether the preset, or a setting that its remarks name, has it checked. */
  readonly checked: boolean;
}

/** Registers the tests of one application; each goes on where the one before ended. */
export function testRestarts(application: Restarted): void {
  const settings = (scene: Scene): Variables => ({
    ...application.settings?.(scene),
    RELOAD_SIGNAL: 'SIGTERM',
  });
  const stage = setStage({ ...application, settings });
  const { remarks, application: name }: Preset = PRESETS[application.preset];

  if (application.reloads !== true) {
    test('the preset alone is refused, with what can be done', async () => {
      const { place, output } = stage.scene();
      const variables = { SOURCE: place.at('source/config'), OUTPUT: output, PRESET: application.preset };
      const { code, stderr } = await place.run([], variables);
      expect(code).toBe(2);
      expect(stderr).toContain(
        `Cannot use PRESET "${application.preset}" alone: ${name} cannot reload its configuration. ${remarks[0]} ` +
          'Set RELOAD_SIGNAL to SIGTERM to have its supervisor restart it',
      );
    });
  }

  test('a good change is served after one restart', async () => {
    const [scene, server] = [stage.scene(), stage.server()];
    const [starts, { pid }] = [server.starts(), server.current()];
    stage.forgetSignals();
    stage.put(application.good('two', scene));
    await stage.sidecar().outcome('applied');
    await stage.served('two');
    expect(stage.signals()).toEqual([`SIGTERM ${pid}`]);
    await until('it was started once more', () => server.starts() === starts + 1);
  });

  if (application.checked) {
    test('a file that its own checker refuses never gets to it', async () => {
      const starts = stage.server().starts();
      await isRejected(stage, application.bad(stage.scene()));
      await stage.served('two');
      expect(stage.server().starts()).toBe(starts);
    });
  }

  test('a file without a checker with which it does not start is rolled back', async () => {
    await stage.restart({ VALIDATE_COMMAND: 'true' });
    await isTakenBack(stage, application.bad(stage.scene()));
    stage.put(application.good('three', stage.scene()));
    await stage.sidecar().outcome('applied');
    await stage.served('three');
  });
}
