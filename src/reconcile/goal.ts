// What the volume should show, which version that is, and where its bytes are. Pure, but for the copy that is read.

import {
  isBad,
  type KeptGeneration,
  type Ledger,
  type Published,
  type PublishedAs,
  versionOf,
} from '../ledger/ledger.ts';
import type { Release } from '../render/release.ts';
import { blocksOf, type Session, type State } from './state.ts';
import type { Steps } from './steps.ts';

/** What the volume should show, and where its bytes are. */
export interface Goal {
  readonly rendering: string;
  readonly from: 'candidate' | 'published' | 'last-known-good' | 'pin';
}

/** All of the state, and what follows from it. */
export interface Known extends Ledger, Session {
  readonly policy: State['policy'];
  /** What was chosen by hand and can be published. */
  readonly pin: string | null;
  /** The last known good. */
  readonly good: string | null;
  /** The volume shows what was published. */
  readonly isShown: boolean;
  readonly blocks: readonly string[];
}

/** See `Known`. */
export function knownOf(state: State): Known {
  const { policy, session, ledger } = state;
  const { published, pinned, kept } = ledger;
  const isPinKept = pinned !== null && kept.some(({ rendering }) => rendering === pinned.rendering);
  return {
    ...{ ...ledger, ...session, policy },
    pin: isPinKept ? pinned.rendering : null,
    good: kept[0]?.rendering ?? null,
    isShown: published !== null && published.rendering === session.volume?.rendering,
    blocks: blocksOf(state).map(({ rendering }) => rendering),
  };
}

/**
 * What the volume should show, the first of: the pin; what is on trial, until its verdict; the newest that may be published
 * and is not known to fail; what is there, if that is not known to fail; the last known good. Where there is none to roll
 * back to, what failed stays, and is better than nothing.
 */
export function goalOf(known: Known): Goal | null {
  const { trial, verdict, candidate, volume, pin, pinned, good, policy } = known;
  if (pin !== null) return { rendering: pin, from: 'pin' };
  const there = publishedGoal(known);
  const isEmpty = volume?.rendering === null;
  const lastKnownGood = good === null ? null : ({ rendering: good, from: 'last-known-good' } as const);
  if (trial !== null && there !== null) return there;
  // There is no copy any more of what was chosen by hand, and what is wanted now was rolled back.
  if (pinned !== null) return there ?? (isEmpty ? lastKnownGood : null);
  const newest = candidate?.version.rendering ?? null;
  const wanted =
    newest !== null && isAcceptable(known, newest)
      ? ({ rendering: newest, from: 'candidate' } as const)
      : null;
  if (wanted !== null && !isBlocked(known, wanted.rendering)) return wanted;
  if (there !== null && !isBlocked(known, there.rendering) && !isBad(verdict)) return there;
  if (lastKnownGood !== null && (isEmpty || (policy.rollsBack && there !== null))) return lastKnownGood;
  return there ?? (isEmpty ? wanted : null);
}

/** What was published, while the volume shows it or we could show it again. */
function publishedGoal({ published, kept, held, isShown }: Known): Goal | null {
  if (published === null) return null;
  const { rendering } = published;
  const hasBytes = held?.rendering === rendering || kept.some((one) => one.rendering === rendering);
  return isShown || hasBytes ? { rendering, from: 'published' } : null;
}

/** What is known to work is never blocked. */
export function isBlocked({ blocks, good }: Known, rendering: string): boolean {
  return rendering !== good && blocks.includes(rendering);
}

/** On the volume already, or not to be validated, or validated. */
function isAcceptable({ checked, volume, policy }: Known, rendering: string): boolean {
  if (!policy.validates || rendering === volume?.rendering) return true;
  return checked?.rendering === rendering && checked.error === null;
}

/** What is published for a goal. */
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
