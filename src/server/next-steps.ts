// What a person can do about the state of a target, or has to wait for: the same on the page and in `status`.

import { ageOf, toTheSecond } from '../lib/age.ts';
import type { SeenTarget } from './status-shape.ts';

const BLOCKED =
  'A configuration did not work and is not tried again: change it in the source, or run "config-sidecar sync --retry".';
const PINNED = 'A generation was chosen by hand and stays: "config-sidecar resume" follows the source again.';

/** One sentence each, the most urgent first; none when all is well. `now`: Unix milliseconds. */
export function nextSteps(target: SeenTarget, now: number): readonly string[] {
  const { outcome, pinned, blocked = [] } = target;
  return [
    ...silences(target, now),
    ...(outcome === 'rejected'
      ? ['Correct the configuration in the source; the one before stays in use.']
      : []),
    ...(blocked.length > 0 || outcome === 'blocked' ? [BLOCKED] : []),
    ...(pinned ? [PINNED] : []),
    ...owed(target),
  ];
}

function silences({ sources }: SeenTarget, now: number): readonly string[] {
  return sources
    .filter(({ up }) => !up)
    .map(({ url, lastContactAt }) =>
      lastContactAt === null
        ? `The source ${url} has never answered.`
        : `The source ${url} has been silent for ${ageOf(lastContactAt, now)}: what changed there since then is not known here.`,
    );
}

function owed({ reloadOwed, nextAttemptAt }: SeenTarget): readonly string[] {
  if (!reloadOwed) return [];
  const next = nextAttemptAt === null ? '' : `; the next try is at ${toTheSecond(nextAttemptAt)}`;
  return [
    `The application has not been notified yet${next}. "config-sidecar check" says what is in the way.`,
  ];
}
