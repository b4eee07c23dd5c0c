// The presets in words: for `--help`, for `docs/presets.md`, and as a part of the status.

import type { Preset } from './preset.ts';
import { PRESETS, type PresetName } from './table.ts';

/** The preset in use, as /status shows it. */
export interface PresetStatus {
  readonly name: PresetName;
  readonly application: string;
  /** The version it was tested with; null: unverified. */
  readonly verified: string | null;
}

export function presetStatus(name: PresetName): PresetStatus {
  const { application, verified } = PRESETS[name];
  return { name, application, verified };
}

/** `tested with 1.22.1 (Debian 12)`, or `unverified`. */
export function trustIn({ verified }: Pick<Preset, 'verified'>): string {
  return verified === null ? 'unverified' : `tested with ${verified}`;
}

/** One line for each preset: `nginx        nginx, tested with 1.22.1 (Debian 12): SIGHUP`. */
export function presetsHelp(): string {
  const entries = Object.entries<Preset>(PRESETS);
  const width = Math.max(...entries.map(([name]) => name.length));
  const lines = entries.map(([name, preset]) => {
    return `  ${name.padEnd(width)}  ${preset.application}, ${trustIn(preset)}: ${reloadedBy(preset)}`;
  });
  return `Presets, for PRESET or --preset (the documentation says more):\n${lines.join('\n')}\n`;
}

/** The table of `docs/presets.md` and the remarks on each, as they stand between two markers. */
export function presetsReference(): string {
  const entries = Object.entries<Preset>(PRESETS);
  const rows = entries.map(([name, preset]) => {
    const { application, checker, onBadFile } = preset;
    const checked =
      checker === null ? '–' : `\`${checker.programs[0]} ${checker.arguments.replaceAll('{main}', 'FILE')}\``;
    const cells = [
      application,
      trustIn(preset),
      reloadedBy(preset, '`'),
      checked,
      confirmedBy(preset),
      onBadFile,
    ];
    return `| \`${name}\` | ${cells.join(' | ')} |`;
  });
  const remarks = entries.flatMap(([name, preset]) =>
    preset.remarks.length === 0 ? [] : [`* **${name}**: ${preset.remarks.join(' ')}`],
  );
  return [
    '| `PRESET` | Application | | Reloaded by | Checked by | Confirmed by | With a bad file it |',
    '|---|---|---|---|---|---|---|',
    ...rows,
    '',
    ...remarks,
  ].join('\n');
}

function reloadedBy({ hook }: Preset, quote = ''): string {
  if (hook === null) return 'cannot reload';
  if (hook.RELOAD_SIGNAL === 'none') return 'nothing, it watches its files';
  const { RELOAD_METHOD = 'POST', RELOAD_URL, RELOAD_COMMAND, RELOAD_SIGNAL } = hook;
  const by = RELOAD_SIGNAL ?? RELOAD_COMMAND ?? `${RELOAD_METHOD} ${RELOAD_URL}`;
  return `${quote}${by}${quote}`;
}

function confirmedBy({ hook, confirm }: Preset): string {
  if (hook === null) return '–';
  if (hook.RELOAD_SIGNAL === 'none' && confirm.CONFIRM_URL === undefined) return 'what you set';
  if (confirm.CONFIRM_MATCH !== undefined) return 'its own report';
  if (confirm.CONFIRM_URL !== undefined) return 'its answer';
  return confirm.CONFIRM_WORKERS === 'true' ? 'new workers' : 'it keeps running';
}
