// Settings that are legal and yet likely to hurt: what looks misspelt, and combinations that switch a promise off.

import { hookKind } from '../application/reload/settings.ts';
import { namesProcess } from '../settings/checks.ts';
import type { Preset } from '../settings/presets/preset.ts';
import { PRESETS } from '../settings/presets/table.ts';
import type { Loaded } from '../settings/settings.ts';
import { type Finding, ok, warn } from './finding.ts';

const AREA = 'settings';

export function checkSettings(loaded: Loaded): readonly Finding[] {
  const suspicious = loaded.warnings.map((message) =>
    warn(AREA, 'settings.suspicious', message, 'Change it, unless it is meant.'),
  );
  const found = [
    ...suspicious,
    ...presetInUse(loaded),
    ...[shadowedSource, openGate, blindPeriod, nothingConfirms, noWayBack].flatMap(
      (look) => look(loaded) ?? [],
    ),
  ];
  if (found.length > 0) return found;
  return [ok(AREA, 'settings.accepted', `${loaded.raw.size} settings are given, and all are accepted.`)];
}

/** What is worth knowing, shown where people look when a reload does not happen. */
function presetInUse({ settings: { PRESET } }: Loaded): readonly Finding[] {
  if (PRESET === undefined) return [];
  const { application, remarks }: Preset = PRESETS[PRESET];
  const message = `PRESET "${PRESET}" is for ${application}. ${remarks.join(' ')}`.trim();
  return [ok(AREA, 'settings.preset', message.replaceAll('`', ''))];
}

function shadowedSource({ raw }: Loaded): Finding | null {
  if (!raw.has('CONFIG_FILE') || !raw.has('SOURCE')) return null;
  return warn(
    AREA,
    'settings.shadowed-source',
    'CONFIG_FILE is followed, so SOURCE is not: changes in the store change nothing here.',
    'Leave CONFIG_FILE out, unless this is local development.',
  );
}

function openGate({ settings }: Loaded): Finding | null {
  const { RELOAD_GATE, RELOAD_SIGNAL } = settings;
  if (RELOAD_GATE !== 'off' || hookKind(settings) !== 'signal' || RELOAD_SIGNAL === 'SIGTERM') return null;
  return warn(
    AREA,
    'settings.gate-off',
    `RELOAD_GATE is off: ${RELOAD_SIGNAL} is also sent to a process that has no handler for it yet, which kills it.`,
    'Leave RELOAD_GATE out, unless the application waits with sigwait, which shows no handler (BIND).',
  );
}

function blindPeriod({ settings, raw }: Loaded): Finding | null {
  const { CONFIRM_PERIOD, ROLLBACK } = settings;
  if (CONFIRM_PERIOD !== 0 || !ROLLBACK || !namesProcess(raw)) return null;
  return warn(
    AREA,
    'settings.period-off',
    'CONFIRM_PERIOD is 0: a configuration that kills the application is not noticed, so ROLLBACK does not undo it.',
    'Leave CONFIRM_PERIOD out, or set it to as long as the application takes to die of a bad file.',
  );
}

function nothingConfirms({ settings, raw }: Loaded): Finding | null {
  const { CONFIRM_PERIOD, CONFIRM_URL, CONFIRM_WORKERS } = settings;
  const lives = namesProcess(raw) && CONFIRM_PERIOD > 0;
  const answers = ['http', 'command'].includes(hookKind(settings));
  if (lives || answers || CONFIRM_URL !== undefined || CONFIRM_WORKERS) return null;
  return warn(
    AREA,
    'settings.unconfirmed',
    'Nothing confirms that the application works with a new configuration: every published configuration counts as working.',
    'Name its process (APP_PROCESS), or set CONFIRM_URL to what only answers when it works.',
  );
}

function noWayBack({ settings }: Loaded): Finding | null {
  if (settings.ROLLBACK) return null;
  return warn(
    AREA,
    'settings.rollback-off',
    'ROLLBACK is false: a configuration that does not work stays on the volume, and a restart of the application reads it again.',
    'Leave ROLLBACK out, so that the last known good configuration is restored.',
  );
}
