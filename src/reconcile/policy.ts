// What the settings say to the policy of one target, as plain numbers and flags.

import type { Proof } from '../application/confirm/evidence.ts';
import { hookKind } from '../application/reload/settings.ts';
import { splayOf } from '../lib/schedule.ts';
import { sha256 } from '../lib/sha256.ts';
import { tellsVersion } from '../settings/answer-match.ts';
import type { Loaded } from '../settings/settings.ts';
import { NAMES, rowOf, VERDICT_SECTIONS } from '../settings/table.ts';

/** Times are milliseconds. */
export interface Policy {
  /** The application has to be notified of a publication. */
  readonly notifies: boolean;
  /** The application's process is named. */
  readonly isNamed: boolean;
  readonly validates: boolean;
  /** ROLLBACK. */
  readonly rollsBack: boolean;
  /** The notification asks for a restart, which is watched. */
  readonly restarts: boolean;
  /** What shows that the application took a version, though the hook did not answer. */
  readonly proof: Proof;
  readonly confirmTimeoutMs: number;
  /** UPDATE_FREQUENCY: how often the volume is looked at. */
  readonly lookEveryMs: number;
  /** RELOAD_WAIT. */
  readonly reloadWaitMs: number;
  /** KEEP_GENERATIONS. */
  readonly keeps: number;
  /** Until this moment of the loop's clock the source is given its chance. */
  readonly askUntil: number;
  readonly limits: {
    readonly debounceMs: number;
    readonly debounceMaxMs: number;
    readonly minIntervalMs: number;
    /** This instance's share of SPLAY. */
    readonly splayMs: number;
  };
  /** Digest of the reload and confirm settings: a verdict holds under them only. */
  readonly under: string;
}

export interface PolicyOptions {
  readonly loaded: Loaded;
  /** Who we are. */
  readonly instance: string;
  readonly askUntil: number;
}

export function policyOf({ loaded, instance, askUntil }: PolicyOptions): Policy {
  const { settings } = loaded;
  const { APP_PROCESS, APP_CONTAINER, APP_PID_FILE, CONFIRM_MATCH, CONFIRM_WORKERS } = settings;
  const match = CONFIRM_MATCH === undefined ? { byName: false, byTime: false } : tellsVersion(CONFIRM_MATCH);
  return {
    ...{ notifies: hookKind(settings) !== 'none', askUntil, under: digestOfSettings(loaded) },
    isNamed: [APP_PROCESS, APP_CONTAINER, APP_PID_FILE].some((one) => one !== undefined),
    validates: settings.OUTPUTS.some(({ validateCommand }) => validateCommand !== undefined),
    rollsBack: settings.ROLLBACK,
    restarts: settings.RELOAD_SIGNAL === 'SIGTERM' && settings.CONFIRM_PERIOD > 0,
    proof: { workers: CONFIRM_WORKERS, ...match },
    lookEveryMs: settings.UPDATE_FREQUENCY,
    confirmTimeoutMs: settings.CONFIRM_TIMEOUT,
    reloadWaitMs: settings.RELOAD_WAIT,
    keeps: settings.KEEP_GENERATIONS,
    limits: {
      debounceMs: settings.DEBOUNCE,
      debounceMaxMs: settings.DEBOUNCE_MAX,
      minIntervalMs: settings.RELOAD_MIN_INTERVAL,
      splayMs: splayOf(`${instance}/${settings.OUTPUT.path}`, settings.SPLAY),
    },
  };
}

function digestOfSettings({ raw }: Loaded): string {
  // Without what is not set: a release that knows more settings would forget every verdict.
  const texts = NAMES.filter((name) => raw.has(name) && VERDICT_SECTIONS.includes(rowOf(name).section)).map(
    (name) => [name, raw.get(name)?.text],
  );
  return `sha256:${sha256(JSON.stringify(texts))}`;
}
