// The policy: from the state to the one next action, and until when to wait where there is none. Pure. The rules are a list; the
// first that returns an action wins, and the waits of those before it say why nothing else is done.

import { isBad } from '../ledger/ledger.ts';
import { debounceDue } from '../lib/schedule.ts';
import { type Goal, goalOf, isBlocked, type Known, knownOf } from './goal.ts';
import type { State, Wait } from './state.ts';

/** Each changes the state, so that the next decision is another. */
export type Action =
  | { readonly kind: 'open' | 'observe' | 'find-process' | 'render' | 'validate' }
  | { readonly kind: 'pick-up' | 'notify' | 'start-trial' | 'probe' | 'confirm-suspicion' }
  | { readonly kind: 'publish' | 'adopt'; readonly goal: Goal };

export interface Decision {
  readonly action: Action | null;
  readonly waits: readonly Wait[];
}

/** What the rules look at: all of the state, and what follows from it. */
interface View extends Known {
  readonly now: number;
  readonly goal: Goal | null;
}

type Rule = (view: View) => Action | Wait | null;

/** How recently the volume must have been seen by an action that relies on what it shows. */
const FRESH_VOLUME_MS = 1_000;
const NEEDS_VOLUME: readonly Action['kind'][] = ['notify', 'probe'];
/** The process is looked up right before it is used. */
const FRESH_PROCESS_MS = 50;
const NEEDS_PROCESS: readonly Action['kind'][] = ['notify', 'pick-up', 'start-trial'];
/** How often a process that cannot be notified yet is looked up. */
const PROCESS_EVERY_MS = 250;

/** The rules in order. */
const RULES: readonly Rule[] = [
  openState,
  observeVolume,
  findProcess,
  confirmSuspicion,
  probeTrial,
  askSource,
  tryUnnotified,
  renderInput,
  validateCandidate,
  publishGoal,
  adoptVolume,
  notifyApplication,
  startTrial,
];

/** The next action. Total: where there is none there is at least one wait. `now`: milliseconds of the loop's clock. */
export function decide(state: State, now: number, rules = RULES): Decision {
  const known = knownOf(state);
  const view = { ...known, now, goal: goalOf(known) };
  const waits: Wait[] = [];
  for (const rule of rules) {
    const found = rule(view);
    if (found === null) continue;
    if ('kind' in found) return { action: firstFor(found, view), waits };
    waits.push(found);
    if (found.holdsUp === true) break;
  }
  return { action: null, waits };
}

/** What an action relies on is looked at first, unless it was a moment ago. */
function firstFor(action: Action, { volume, process, now }: View): Action {
  const isOld = (seen: { readonly seenAt: number } | null, maxMs: number): boolean =>
    seen !== null && now - seen.seenAt > maxMs;
  if (NEEDS_VOLUME.includes(action.kind) && isOld(volume, FRESH_VOLUME_MS)) return { kind: 'observe' };
  if (NEEDS_PROCESS.includes(action.kind) && isOld(process, FRESH_PROCESS_MS))
    return { kind: 'find-process' };
  return action;
}

/** Without the lock nothing is done. A copy being validated would be taken for a left-over. */
function openState({ isOpen, isValidating, opening, now }: View): Action | Wait | null {
  if (isOpen) return null;
  const until = isValidating ? Number.POSITIVE_INFINITY : opening.dueAt;
  return now >= until ? { kind: 'open' } : { until, holdsUp: true };
}

/** The volume is looked at first of all, every UPDATE_FREQUENCY, and when it is not known what it shows. */
function observeVolume({ volume, now }: View): Action | Wait {
  const until = volume?.dueAt ?? now;
  return now >= until ? { kind: 'observe' } : { until };
}

/**
 * The process is looked up while something is owed or suspected, or what is on the volume is not known to work: again and
 * again where it is in the way, and where it may start again with what did not work.
 */
function findProcess(view: View): Action | Wait | null {
  const { published, owed, suspect, verdict, trial, process, policy, now } = view;
  if (!policy.isNamed || published === null) return null;
  if (owed === null && suspect === null && (verdict === 'good' || trial !== null)) return null;
  if (process === null) return { kind: 'find-process' };
  const { seenAt, fact } = process;
  const mayStart = trial === null && (isBad(verdict) || isBlocked(view, published.rendering));
  const isWatched = fact.kind === 'obstacle' || suspect !== null || mayStart;
  const settledAt = fact.kind === 'settling' ? fact.until : Number.POSITIVE_INFINITY;
  const until = isWatched ? seenAt + PROCESS_EVERY_MS : settledAt;
  return now >= until ? { kind: 'find-process' } : { until };
}

/** A death is a verdict once the application is back, or has not come back in time; a pod that ends never gets there. */
function confirmSuspicion({ suspect, suspectUntil, process, now }: View): Action | Wait | null {
  if (suspect === null) return null;
  // An orphaned worker of the dead one is older.
  const isReplaced = process?.id != null && process.id.startTicks > (suspect.process?.startTicks ?? 0);
  return isReplaced || now >= suspectUntil ? { kind: 'confirm-suspicion' } : { until: suspectUntil };
}

/**
 * Whether what is on the volume works is found out before anything else happens to it; while it shows something else,
 * what is seen proves nothing for or against what was published.
 */
function probeTrial({ trial, probeAt, isShown, now }: View): Action | Wait | null {
  if (trial === null || !isShown) return null;
  return probeAt === null || now >= probeAt ? { kind: 'probe' } : { until: probeAt, settles: true };
}

/** At a start nothing is decided before the source had its chance: an owed reload may be overtaken by a change. */
function askSource({ isAsked, pin, policy: { askUntil }, now }: View): Wait | null {
  if (isAsked || now >= askUntil || pin !== null) return null;
  return { until: askUntil, settles: true, holdsUp: true };
}

/**
 * An application that watches its files itself has what is published by now: that is on trial before anything newer takes its
 * place, or the newer one is blamed for what the older one does.
 */
function tryUnnotified(view: View): Action | Wait | null {
  const { notifies, isNamed } = view.policy;
  return notifies || !isNamed ? null : startTrial(view);
}

/** Debounce, interval and splay put a change off, except the first publication after a start. */
function renderInput(view: View): Action | Wait | null {
  if (!needsRender(view)) return null;
  const { changes, publishedAt, policy, now } = view;
  const { debounceMs, debounceMaxMs, splayMs, minIntervalMs } = policy.limits;
  const quiet = debounceDue(changes, debounceMs, debounceMaxMs) + splayMs;
  const until = publishedAt === null ? now : Math.max(quiet, publishedAt + minIntervalMs);
  return now >= until ? { kind: 'render' } : { until, settles: true };
}

/**
 * Also during a trial: after a bad verdict only what has passed already may take its place at once. Otherwise what is being
 * validated is waited for.
 */
function validateCandidate(view: View): Action | Wait | null {
  const { trial, isValidating, candidate, volume, checked, policy, pin, now } = view;
  if (isValidating) return { until: Number.POSITIVE_INFINITY, settles: true, holdsUp: trial === null };
  const rendering = candidate?.version.rendering ?? null;
  if (!policy.validates || pin !== null || rendering === null || needsRender(view)) return null;
  if (rendering === volume?.rendering || isBlocked(view, rendering)) return null;
  if (checked?.rendering !== rendering) return { kind: 'validate' };
  if (checked.error === null) return null;
  const until = checked.dueAt;
  return now >= until ? { kind: 'validate' } : { until, retries: true };
}

/**
 * What the volume should show goes there; so does what it showed before, when it was changed by others. Rolling back, and
 * what takes the place of something that does not work, wait for no timing.
 */
function publishGoal(view: View): Action | Wait | null {
  const { verdict, published, volume, publishing, publishedAt, goal, policy, now } = view;
  if (goal === null || goal.rendering === volume?.rendering) return null;
  const { dueAt } = publishing;
  const isUrgent =
    goal.from === 'last-known-good' || goal.from === 'pin' || (published !== null && isBad(verdict));
  const until =
    publishedAt === null || isUrgent ? dueAt : Math.max(dueAt, publishedAt + policy.limits.minIntervalMs);
  if (now >= until) return { kind: 'publish', goal };
  return { until, ...(now < dueAt ? { retries: true } : { settles: true }) };
}

/** The volume shows what is wanted, but the ledger does not know: it was lost, or we died right after the rename. */
function adoptVolume({ published, volume, goal }: View): Action | null {
  if (goal === null || goal.rendering !== volume?.rendering) return null;
  return published?.rendering === goal.rendering ? null : { kind: 'adopt', goal };
}

/**
 * A reload is owed for what the volume shows, and for nothing else. What did not work and had to stay is picked up by a
 * process that starts with it, and then tried again.
 */
function notifyApplication(view: View): Action | Wait | null {
  const { owed, published, trial, verdict, process, notifying, now, isShown, goal } = view;
  const isFailed = isBad(verdict);
  if (trial !== null || published === null || (owed === null && !isFailed)) return null;
  // A verdict beats a process that started with it: what is to be rolled back is not tried once more meanwhile.
  if (!isShown || (isFailed && goal?.rendering !== published.rendering)) return null;
  if (process?.fact.kind === 'started-after') return { kind: 'pick-up' };
  if (!mayNotify(view)) return null;
  const { dueAt } = notifying;
  const wait = waitForProcess(view, now >= dueAt);
  if (wait !== null) return wait;
  return now >= dueAt ? { kind: 'notify' } : { until: dueAt, retries: true };
}

/** The application knows what is on the volume: whether that works is to be found out. */
function startTrial(view: View): Action | Wait | null {
  const { trial, owed, published, verdict, isShown } = view;
  if (trial !== null || owed !== null || published === null || !isShown) return null;
  if (verdict !== 'pending' && !isVerdictOfOthers(view, published.rendering)) return null;
  return waitForProcess(view, true) ?? { kind: 'start-trial' };
}

/** Until the process can be notified. */
function waitForProcess({ process, now }: View, settles: boolean): Wait | null {
  if (process?.fact.kind === 'obstacle')
    return { until: process.seenAt + PROCESS_EVERY_MS, obstacle: process.fact.obstacle };
  if (process?.fact.kind === 'settling' && now < process.fact.until)
    return { until: process.fact.until, settles };
  return null;
}

/**
 * What is not known to fail is notified of until that arrives; so is the last known good, and what is blocked but pinned. Other
 * things that did not work are not tried again by themselves, also when they had to be put on the volume once more; only
 * where there is nothing to roll back to they are, slowly, unless they killed the application.
 */
function mayNotify(view: View): boolean {
  const { published, owed, verdict, policy, pin } = view;
  if (!policy.notifies || published === null) return false;
  if (!isBlocked(view, published.rendering)) return isBad(verdict) || owed !== null;
  return isBad(verdict)
    ? policy.rollsBack && verdict !== 'target-died'
    : owed !== null && published.rendering === pin;
}

/**
 * It did not work under other settings and had to stay, and by now there is no hook, so that only a trial is left. A
 * process that is named may still run something else, and be about to die of it: that one has to start again.
 */
function isVerdictOfOthers(view: View, rendering: string): boolean {
  const { verdict, policy, good, goal } = view;
  if (policy.notifies || policy.isNamed || rendering === good || !isBad(verdict)) return false;
  return !isBlocked(view, rendering) && goal?.rendering === rendering;
}

function needsRender({ input, candidate }: View): boolean {
  return input !== null && input.id !== candidate?.input.id;
}
