// What goes on the volume for each goal that `decide` names: the version it is published as, and where its bytes are. Pure.

import {
  type KeptGeneration,
  lastKnownGoodOf,
  type Published,
  type PublishedAs,
  versionOf,
} from '../ledger/ledger.ts';
import type { Release } from '../render/release.ts';
import { type Goal, isBad } from './decide.ts';
import { blocksOf, type Candidate, type State } from './state.ts';

/** Without a generation in memory its bytes are those of the copy. */
export type HeldContent =
  | { readonly version: Published; readonly generation: Release }
  | { readonly version: Published; readonly generation: null; readonly kept: KeptGeneration };

/** The version and the bytes for a goal; null when there are none. */
export function contentOf(goal: Goal, state: State): HeldContent | null {
  const { ledger, session } = state;
  switch (goal.from) {
    case 'candidate':
      return session.candidate && contentOfCandidate(session.candidate);
    case 'published': {
      const { published } = ledger;
      if (published === null) return null;
      // It is put back because what is wanted cannot be had: else that would be.
      const version: Published = published.as === 'desired' ? { ...published, as: 'fallback' } : published;
      return withBytes(version, state);
    }
    case 'pin': {
      const kept = keptAs(state, ledger.pinned?.rendering);
      return kept && withBytes(publishedAs(kept, 'pinned'), state);
    }
    case 'last-known-good': {
      const kept = lastKnownGoodOf(ledger);
      return kept && withBytes(publishedAs(kept, whyLastKnownGood(state)), state);
    }
  }
}

function contentOfCandidate({ generation, version, input }: Candidate): HeldContent | null {
  if (generation === null) return null;
  const { rendering } = generation;
  return { generation, version: { ...version, rendering, input: input.id, moment: null, as: 'desired' } };
}

/** The bytes from memory, or else from the copy. */
function withBytes(version: Published, state: State): HeldContent | null {
  const { held } = state.session;
  if (held?.rendering === version.rendering) return { version, generation: held };
  const kept = keptAs(state, version.rendering);
  return kept && { version, generation: null, kept };
}

function keptAs({ ledger }: State, rendering: string | undefined): KeptGeneration | null {
  return ledger.kept.find((one) => one.rendering === rendering) ?? null;
}

/** Whether the last known good serves because something did not work, or because nothing else can be had. */
function whyLastKnownGood(state: State): PublishedAs {
  const {
    ledger: { published, verdict },
    session,
  } = state;
  const wanted = session.candidate?.generation?.rendering;
  const isWantedBad = wanted !== undefined && blocksOf(state).some(({ rendering }) => rendering === wanted);
  return isWantedBad || (published !== null && isBad(verdict)) ? 'rolled-back' : 'fallback';
}

function publishedAs(kept: KeptGeneration, as: PublishedAs): Published {
  return { ...versionOf(kept), input: kept.input, moment: null, as };
}
