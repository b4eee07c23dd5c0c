// The URLs of a preset, led to the port on which a test's server listens.
import type { Preset } from '../../../src/settings/presets/preset.ts';
import { PRESETS, type PresetName } from '../../../src/settings/presets/table.ts';
import type { Variables } from '../e2e/sidecar.ts';

/** `RELOAD_URL` as the record has it, but for the port. */
export function hookOn(name: PresetName, port: number): Variables {
  const { hook }: Preset = PRESETS[name];
  return { RELOAD_URL: ledTo(port, hook?.RELOAD_URL ?? '') };
}

/** `CONFIRM_URL` as the record has it, but for the port. */
export function confirmOn(name: PresetName, port: number): Variables {
  const { confirm }: Preset = PRESETS[name];
  return { CONFIRM_URL: ledTo(port, confirm.CONFIRM_URL ?? '') };
}

function ledTo(port: number, url: string): string {
  return url.replace(/:\d+\//, `:${port}/`);
}
