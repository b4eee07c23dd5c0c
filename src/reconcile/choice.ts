// What goes on the volume for each goal that `decide` names: the bytes, and the version they are published as.

import { type Kept, lastKnownGoodOf, type Published, type PublishedAs, versionOf } from '../ledger/ledger.ts';
import type { Generation } from '../render/generation.ts';
import type { Candidate } from './candidate.ts';
import { isVerdictBad, type Step } from './decide.ts';
import type { Publication } from './publication.ts';

/** What is to be on the volume. */
export type Goal = Extract<Step, { kind: 'publish' }>['what'];

export interface Choice {
  readonly generation: Generation;
  readonly version: Published;
}

export interface ChoiceParts {
  readonly candidate: Pick<Candidate, 'generation' | 'publishable'>;
  readonly publication: Pick<Publication, 'ledger' | 'held' | 'copyOf'>;
  /** Whether a rendering is known not to work, or suspected of it. */
  readonly isBlocked: (rendering: string) => boolean;
}

/**
 * The bytes and the version for a goal; null when there are none.
 * @throws SidecarError when a copy is damaged; it is none from then on.
 */
export function choose(goal: Goal, parts: ChoiceParts): Choice | null {
  const { candidate, publication } = parts;
  switch (goal) {
    case 'rendered':
      return both(candidate.generation, candidate.publishable);
    case 'published':
      return both(bytesPublished(parts), publishedAgain(parts));
    case 'pinned': {
      const kept = keptAs(parts, publication.ledger.pinned?.rendering);
      return kept && { generation: publication.copyOf(kept), version: publishedAs(kept, 'pinned') };
    }
    case 'last-known-good': {
      const kept = lastKnownGoodOf(publication.ledger);
      return kept && { generation: publication.copyOf(kept), version: publishedAs(kept, whyGoodOne(parts)) };
    }
  }
}

function both(generation: Generation | null, version: Published | null): Choice | null {
  return generation === null || version === null ? null : { generation, version };
}

/** Of what was published last: from memory, or else from its copy. */
function bytesPublished(parts: ChoiceParts): Generation | null {
  const { publication } = parts;
  if (publication.held !== null) return publication.held;
  const kept = keptAs(parts, publication.ledger.published?.rendering);
  return kept && publication.copyOf(kept);
}

/** It is put back because what is wanted cannot be had: else that would be. */
function publishedAgain({ publication }: ChoiceParts): Published | null {
  const { published } = publication.ledger;
  return published?.as === 'desired' ? { ...published, as: 'fallback' } : published;
}

function keptAs({ publication }: ChoiceParts, rendering: string | undefined): Kept | null {
  return publication.ledger.kept.find((one) => one.rendering === rendering) ?? null;
}

/** Whether the last known good serves because something did not work, or because nothing else can be had. */
function whyGoodOne({ candidate, publication, isBlocked }: ChoiceParts): PublishedAs {
  const { published, verdict } = publication.ledger;
  const wanted = candidate.generation?.rendering;
  const isWantedBad = wanted !== undefined && isBlocked(wanted);
  return isWantedBad || (published !== null && isVerdictBad(verdict)) ? 'rolled-back' : 'fallback';
}

function publishedAs(kept: Kept, as: PublishedAs): Published {
  return { ...versionOf(kept), input: kept.input, moment: null, as };
}
