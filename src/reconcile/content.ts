// What goes on the volume for each goal that `decide` names: the version it is published as, and its bytes.

import { isBad, type KeptGeneration, type Published, type PublishedAs, versionOf } from '../ledger/ledger.ts';
import type { Release } from '../render/release.ts';
import type { Goal } from './decide.ts';
import { blocksOf, type State } from './state.ts';
import type { Steps } from './steps.ts';

export interface GoalContent {
  readonly version: Published;
  readonly generation: Release;
}

/**
 * The bytes from memory, or else from the copy.
 * @throws SidecarError `state.generation-damaged`.
 */
export function contentOf(goal: Goal, state: State, readCopy: Steps['readCopy']): GoalContent {
  const {
    ledger,
    session: { candidate, held },
  } = state;
  const { rendering } = goal;
  const kept = ledger.kept.find((one) => one.rendering === rendering);
  const version = versionFor(goal, state, kept);
  const known = goal.from === 'candidate' ? (candidate?.generation ?? null) : held;
  if (known?.rendering === rendering) return { version, generation: known };
  if (kept === undefined) throw new Error(`nothing has the bytes of ${rendering}`);
  return { version, generation: readCopy(kept) };
}

function versionFor({ rendering, from }: Goal, state: State, kept: KeptGeneration | undefined): Published {
  const { candidate } = state.session;
  const { published } = state.ledger;
  if (from === 'candidate' && candidate !== null)
    return { ...candidate.version, rendering, input: candidate.input.id, moment: null, as: 'desired' };
  // It is put back because what is wanted cannot be had: else that would be.
  if (from === 'published' && published !== null)
    return published.as === 'desired' ? { ...published, as: 'fallback' } : published;
  if (kept === undefined) throw new Error(`nothing is known of ${rendering}`);
  const as = from === 'pin' ? 'pinned' : whyLastKnownGood(state);
  return { ...versionOf(kept), input: kept.input, moment: null, as };
}

/** Whether the last known good serves because something did not work, or because nothing else can be had. */
function whyLastKnownGood(state: State): PublishedAs {
  const { published, verdict } = state.ledger;
  const wanted = state.session.candidate?.generation?.rendering;
  const isWantedBad = wanted !== undefined && blocksOf(state).some(({ rendering }) => rendering === wanted);
  return isWantedBad || (published !== null && isBad(verdict)) ? 'rolled-back' : 'fallback';
}
