// How the ledger changes: one pure function for each thing that can happen to it. Only `reduce` calls them.

import type { StagedPart } from '../publish/types.ts';
import {
  type Block,
  type Evidence,
  isBad,
  type KeptGeneration,
  type LastNotified,
  type Ledger,
  lastKnownGoodOf,
  type Published,
  type Trial,
  type TrialFailure,
  versionOf,
} from './ledger.ts';
import type { BootStamp } from './types.ts';

/** More than people read; the oldest go first. */
const MAX_BLOCKED = 50;

/** Where there is a hook, the application has to be notified; since when that is so does not change by another reason. */
function owe(ledger: Ledger, notifies: boolean, since: number): Ledger['owed'] {
  return notifies ? (ledger.owed ?? { since }) : null;
}

/** Before the rename: what will be visible, and that the application is owed a reload for it, if there is a hook. */
export function intend(
  ledger: Ledger,
  version: Published,
  notifies: boolean,
  staged: readonly StagedPart[] = [],
): Ledger {
  const owed = owe(ledger, notifies, version.at);
  const owedBefore = ledger.owed !== null;
  return { ...ledger, intended: { version, owedBefore, ...(staged.length > 0 && { staged }) }, owed };
}

/** After the rename. */
export function carryOut(ledger: Ledger, moment: BootStamp): Ledger {
  if (ledger.intended === null) return ledger;
  const afterDeath = ledger.suspect !== null || ledger.verdict === 'target-died';
  const published = { ...ledger.intended.version, moment, ...(afterDeath && { afterDeath }) };
  const generation = ledger.generation + 1;
  return { ...ledger, generation, published, verdict: 'pending', trial: null, intended: null };
}

/** The application knows of what is published, so nothing is owed any more; whether it works is found out from now on. */
export function markNotified(ledger: Ledger, trial: Trial): Ledger {
  if (ledger.published === null) return { ...ledger, owed: null };
  const version = versionOf(ledger.published);
  const { at, process } = trial;
  const [evidence = null] = trial.evidence as readonly LastNotified['evidence'][];
  const running = evidence === null ? null : { version, at, evidence: [evidence] };
  return {
    ...ledger,
    owed: null,
    told: { version, at, process, evidence },
    trial,
    running,
    verdict: 'pending',
  };
}

/** What is published is tried without a notification. */
export function startTrial(ledger: Ledger, trial: Trial): Ledger {
  return { ...ledger, trial, verdict: 'pending' };
}

/** The trial cannot go on, and the application has to be notified again. */
export function loseTrial(ledger: Ledger, notifies: boolean, now: number): Ledger {
  return { ...ledger, trial: null, owed: owe(ledger, notifies, now) };
}

/** What is published works, and is not blocked any more. */
export function confirm(
  ledger: Ledger,
  { evidence, at }: { readonly evidence: readonly Evidence[]; readonly at: number },
): Ledger {
  const { published } = ledger;
  if (published === null) return ledger;
  const running = evidence.length === 0 ? null : { version: versionOf(published), at, evidence };
  const blocked = ledger.blocked.filter(({ rendering }) => rendering !== published.rendering);
  const appliedAt = published.as === 'desired' ? at : ledger.appliedAt;
  return { ...ledger, trial: null, verdict: 'good', running, blocked, appliedAt };
}

/** There is a copy of it, which makes it the last known good; at most `limit` are kept to roll back to. A pinned one always stays. */
export function addKept(ledger: Ledger, newest: KeptGeneration, limit: number): Ledger {
  const all = [newest, ...ledger.kept.filter(({ rendering }) => rendering !== newest.rendering)];
  return { ...ledger, kept: all.filter((one, i) => i < limit || one.rendering === ledger.pinned?.rendering) };
}

/** At a start: what was on the disk, or what the copies say where the ledger was lost. `now`: Unix milliseconds. */
export function restart(ledger: Ledger, copies: readonly KeptGeneration[], now: number): Ledger {
  return expireSuspect(copies.length === 0 ? ledger : restore(ledger, copies), now);
}

/** The ledger was lost, but not the copies: what they are of is known to work, and numbers go on from theirs. */
export function restore(ledger: Ledger, kept: readonly KeptGeneration[]): Ledger {
  const generation = Math.max(ledger.generation, ...kept.map((one) => one.generation));
  return { ...ledger, kept, generation };
}

/** A copy that cannot be used does not count. A pin stays: what would come in its place was not chosen. */
export function withoutKept(ledger: Ledger, lost: string): Ledger {
  return { ...ledger, kept: ledger.kept.filter(({ rendering }) => rendering !== lost) };
}

/**
 * What is published does not work. The last known good is never blocked: the application is owed another notification of it.
 * What worked longer ago is blocked like anything else, since there is something better to roll back to.
 */
export function recordFailure(
  ledger: Ledger,
  { block, suspectUntil }: TrialFailure,
  notifies: boolean,
): Ledger {
  const process = ledger.trial?.process ?? null;
  const { outcome: verdict, at } = block;
  const isLastKnownGood = lastKnownGoodOf(ledger)?.rendering === block.rendering;
  const bad = { ...ledger, verdict, trial: null, running: verdict === 'refused' ? ledger.running : null };
  if (isLastKnownGood) return { ...bad, owed: owe(ledger, notifies, at) };
  if (suspectUntil !== null) return { ...bad, suspect: { block, process, until: suspectUntil } };
  return blocking(bad, block);
}

function blocking(ledger: Ledger, block: Block): Ledger {
  const others = ledger.blocked.filter(
    (one) => one.rendering !== block.rendering || one.under !== block.under,
  );
  return { ...ledger, blocked: [block, ...others].slice(0, MAX_BLOCKED) };
}

/** The death was one: what was suspected is blocked. */
export function confirmSuspect({ suspect, ...ledger }: Ledger): Ledger {
  const cleared = { ...ledger, suspect: null };
  return suspect === null ? cleared : blocking(cleared, suspect.block);
}

/** A pod that ends is no verdict: what was suspected is tried again at the next start. */
export function dropSuspect(ledger: Ledger): Ledger {
  if (ledger.suspect === null) return ledger;
  const isStill = ledger.published?.rendering === ledger.suspect.block.rendering;
  return { ...ledger, suspect: null, verdict: isStill ? 'pending' : ledger.verdict };
}

/** At a start: a death whose time ran out while no sidecar ran may have been the end of a pod. */
function expireSuspect(ledger: Ledger, now: number): Ledger {
  return ledger.suspect !== null && now >= ledger.suspect.until ? dropSuspect(ledger) : ledger;
}

/** Nothing is blocked any more; the application is notified again of what is on the volume and did not work. */
export function unblock(ledger: Ledger, notifies: boolean, now: number): Ledger {
  const again = { ...ledger, blocked: [], suspect: null };
  if (!isBad(ledger.verdict)) return again;
  return { ...again, verdict: 'pending', owed: owe(ledger, notifies, now) };
}

/**
 * At a start: whether the rename that was intended took place can be read off the volume. If not, a reload is owed
 * only if one was owed before.
 * @param moment when what the volume shows was put there, as far as that is known; by default it is not known.
 */
export function resolveIntention(
  ledger: Ledger,
  rendering: string | null,
  moment: BootStamp = { bootId: null, ticks: null },
): Ledger {
  if (ledger.intended === null) return ledger;
  const { version, owedBefore } = ledger.intended;
  if (version.rendering === rendering) return carryOut(ledger, moment);
  const owed = owedBefore || rendering !== (ledger.published?.rendering ?? null) ? ledger.owed : null;
  return { ...ledger, intended: null, owed };
}

/** What the volume shows is what is wanted, but the ledger did not know: it is unknown whether the application was notified. */
export function adoptVolume(ledger: Ledger, version: Published, notifies: boolean): Ledger {
  const owed = owe(ledger, notifies, version.at);
  // It is another generation than the one before, whatever put it there.
  const generation = ledger.generation + 1;
  return { ...ledger, generation, published: version, verdict: 'pending', trial: null, intended: null, owed };
}
