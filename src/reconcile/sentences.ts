// The sentences about configurations that did not work, and about those that serve in their place.

import {
  type Block,
  confirmedSecondsAgo,
  type KeptGeneration,
  type Ledger,
  type Published,
} from '../ledger/ledger.ts';
import { SidecarError } from '../lib/errors.ts';
import { isoTime } from '../lib/iso-time.ts';
import type { State } from './state.ts';

/** What is blocked is wanted again. */
export function blockedError({ code, message, at, outcome }: Block): SidecarError {
  const when = isoTime(at);
  return new SidecarError(
    `It is known not to work (${outcome}, ${when}) and is not tried again by itself; "config-sidecar sync --retry" tries it: ${message}`,
    { code, stage: 'reload' },
  );
}

/** The last known good configuration serves because nothing else can be had. `now`: Unix milliseconds. */
export function fallbackError(published: Published, ledger: Ledger, now: number): SidecarError {
  const { revision } = published;
  const ageSeconds = confirmedSecondsAgo(ledger, published, now);
  const what =
    ageSeconds === null
      ? `What was published before (revision ${revision})`
      : `The last known good configuration (revision ${revision}, confirmed ${ageSeconds} s ago)`;
  return new SidecarError(`${what} serves while nothing newer can be had.`, {
    code: 'source.fallback',
    stage: 'source',
  });
}

/** The last known good configuration took the place of what did not work. */
export function rolledBackError(
  { revision }: Published,
  block: Block | undefined,
  output: string | undefined,
): SidecarError {
  const why = block?.message ?? 'what came after it did not work.';
  return new SidecarError(`Rolled back to the last known good configuration (revision ${revision}): ${why}`, {
    code: block?.code ?? 'confirm.failed',
    stage: 'reload',
    ...(output !== undefined && { output }),
  });
}

/** The verdict on what is published, with what follows from it. */
export function failedTrialError({ code, message, output }: SidecarError, state: State): SidecarError {
  const text = `${message.replace(/[^.!?]$/, '$&.')} ${whatNow(state)}`;
  return new SidecarError(text, { code, stage: 'reload', ...(output !== undefined && { output }) });
}

function whatNow({ ledger: { kept, pinned, published }, policy }: State): string {
  const [good] = kept;
  if (pinned !== null)
    return 'It was chosen by hand and stays; "config-sidecar resume" follows the source again.';
  if (good !== undefined && good.rendering === published?.rendering)
    return 'It worked before, so it stays, and the application is notified again.';
  if (!policy.rollsBack) return 'It stays, since ROLLBACK is off.';
  if (good === undefined) return 'It stays: there is no earlier confirmed configuration to roll back to.';
  return `The last known good configuration (generation ${good.generation}, revision ${good.revision}) takes its place, unless something newer is tried first.`;
}

/**
 * The kept generation to roll back to; null: the newest that is not on the volume.
 * @throws SidecarError `control.unknown-generation` or `control.nothing-to-go-back-to`.
 */
export function chooseGeneration(
  { kept }: Ledger,
  wanted: { readonly generation: number | null; readonly onVolume: string | null },
): KeptGeneration {
  const { generation, onVolume } = wanted;
  const chosen = kept.find((one) => {
    return generation === null ? one.rendering !== onVolume : one.generation === generation;
  });
  if (chosen !== undefined) return chosen;
  const known = kept.map((one) => one.generation).join(', ');
  if (generation !== null && known !== '') {
    throw new SidecarError(
      `Cannot roll back to generation "${generation}": it is not kept; there are ${known}. See "config-sidecar history".`,
      { code: 'control.unknown-generation', stage: 'control' },
    );
  }
  const what = generation === null ? 'an earlier generation' : `generation "${generation}"`;
  throw new SidecarError(
    `Cannot roll back to ${what}: none was confirmed${known === '' ? '' : ' but the one on the volume'} yet.`,
    { code: 'control.nothing-to-go-back-to', stage: 'control' },
  );
}

/** The lock is not ours: another sidecar has it, or this one is still starting. */
export function notInControl(): SidecarError {
  return new SidecarError(
    'Cannot control this target: another sidecar holds the lock, or this one is still starting. Run "config-sidecar status".',
    { code: 'control.not-keeping', stage: 'control' },
  );
}
