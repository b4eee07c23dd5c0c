// What the contents of the small world do to an application: a fixed nature for each, so that a number says it all.
import type { Policy } from '../../../src/reconcile/policy.ts';

/** How the application is notified. */
export type Hook = 'none' | 'signal' | 'http' | 'command';

/** How a world is set up, and how fast things go in it. */
export interface Setting {
  /** How many outputs are one release. */
  readonly outputs: number;
  readonly limits: Policy['limits'];
  /** UPDATE_FREQUENCY: how often the volume is looked at. */
  readonly lookEveryMs: number;
  readonly hook: Hook;
  /** The hook is a SIGTERM. */
  readonly restarts: boolean;
  /** Whether the application's process is named. */
  readonly isNamed: boolean;
  readonly validates: boolean;
  /** CONFIRM_PERIOD, CONFIRM_TIMEOUT. */
  readonly periodMs: number;
  readonly timeoutMs: number;
  /** CONFIRM_URL with CONFIRM_MATCH. */
  readonly probes: boolean;
  /** ROLLBACK. */
  readonly goesBack: boolean;
  /** KEEP_GENERATIONS. */
  readonly keeps: number;
  /** How long the supervisor takes to start the application again; doubled when it dies soon, up to 4 s. */
  readonly restartMs: number;
  /** How long the steps take, used in turn. */
  readonly durationsMs: readonly number[];
}

export type Nature =
  | 'good'
  /** Refused before publishing: by the template, by VALIDATE_COMMAND. */
  | 'unrenderable'
  | 'invalid'
  /** Kills the application when it is notified, and whenever it starts. */
  | 'deadly'
  /** Kills it when it is notified; a start goes well. */
  | 'kills when told'
  /** The hook says no. */
  | 'refused'
  /** Taken, but never shown by CONFIRM_URL. */
  | 'unconfirmed';

const NATURES: readonly Nature[] = [
  ...(['good', 'good', 'good', 'deadly', 'unrenderable', 'good'] as const),
  ...(['invalid', 'refused', 'good', 'unconfirmed', 'kills when told', 'good'] as const),
];

/** Beyond this every content is good. */
export const GOOD_FROM = 1_000;

export function natureOf(content: number): Nature {
  return content >= GOOD_FROM ? 'good' : (NATURES[content % NATURES.length] ?? 'good');
}

export function renderingOf(content: number): string {
  return `r${content}`;
}

/** What others wrote does no harm. */
export function natureOfRendering(rendering: string | null): Nature {
  const content = /^r(\d+)$/.exec(rendering ?? '')?.[1];
  return content === undefined ? 'good' : natureOf(Number(content));
}

/** Whether the target has a hook that the application answers. */
export function isAnswered({ hook }: Setting): boolean {
  return hook === 'http' || hook === 'command';
}

/** Whether a content gets past the checks before publishing. */
export function isPublishable(content: number, { validates }: Setting): boolean {
  const nature = natureOf(content);
  return nature !== 'unrenderable' && !(validates && nature === 'invalid');
}

/** Whether it is the content's own fault when it is found not to work. */
export function deserves(rendering: string, { isNamed, probes, ...setting }: Setting): boolean {
  switch (natureOfRendering(rendering)) {
    case 'deadly':
    case 'kills when told':
      return isNamed;
    case 'refused':
      return isAnswered({ isNamed, probes, ...setting });
    case 'unconfirmed':
      return probes;
    default:
      return false;
  }
}

/** The world's clock as the kernel shows it. */
export function ticksOf(ms: number): number {
  return Math.floor(ms / 10) + 1_000_000;
}

/** What the settings of a world say to the policy. */
export function policyOf(setting: Setting, { under, askUntil }: Pick<Policy, 'under' | 'askUntil'>): Policy {
  const { hook, isNamed, validates, goesBack, restarts, periodMs, probes, timeoutMs, keeps, limits } =
    setting;
  const { lookEveryMs } = setting;
  return {
    ...{
      isNamed,
      validates,
      keeps,
      limits,
      lookEveryMs,
      under,
      askUntil,
      notifies: hook !== 'none',
      rollsBack: goesBack,
    },
    ...{ restarts: restarts && periodMs > 0, confirmTimeoutMs: timeoutMs, reloadWaitMs: 60_000 },
    proof: { workers: false, byName: false, byTime: probes },
  };
}
