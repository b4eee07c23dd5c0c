// The policy: from the facts to the one next step. Pure; the rules are a list and the first that matches wins.
import type { Obstacle, ProcessFact } from '../application/types.ts';
import type { Verdict } from '../ledger/ledger.ts';
import { type Changes, debounceDue } from '../lib/schedule.ts';

/** What an attempt can end in (README, "What one sees"). */
export type Outcome =
  | 'applied'
  | 'unchanged'
  | 'picked-up'
  | 'rejected'
  | 'blocked'
  | 'pinned'
  | 'rolled-back'
  | 'rollback-failed'
  | 'refused'
  | 'target-died'
  | 'unconfirmed'
  | 'failed'
  | 'held-back'
  | 'no-target'
  | 'ambiguous'
  | 'not-permitted'
  | 'ignored'
  | 'stale-mount';

/** Everything `decide` may look at. Times are milliseconds of one monotonic clock. */
export interface Facts {
  readonly now: number;
  readonly limits: {
    readonly debounceMs: number;
    readonly debounceMaxMs: number;
    readonly minIntervalMs: number;
    /** This instance's share of SPLAY. */
    readonly splayMs: number;
    /** How often the volume is looked at. */
    readonly lookEveryMs: number;
  };
  /** Whether the source and the templates have answered or failed: until then it is not known what is wanted. */
  readonly asked: boolean;
  /** When the source has had its time, and is taken to have been asked. */
  readonly askUntil: number;
  /** The newest data with its templates, by digest, and since when it waits to be rendered (null: it does not). */
  readonly input: { readonly id: string; readonly changes: Changes } | null;
  /** What the newest rendered input came to; `rendering` null when it was rejected. */
  readonly rendered: { readonly input: string; readonly rendering: string | null } | null;
  /** The verdict of VALIDATE_COMMAND; null when there is none yet. `retryAt`: when a refusal may be tried again. */
  readonly checked: { readonly rendering: string; readonly passed: boolean; readonly retryAt: number } | null;
  readonly validates: boolean;
  /** VALIDATE_COMMAND is being asked just now. */
  readonly isValidating?: boolean;
  /** What the volume shows, and when that was looked at; null = it must be looked at. */
  readonly volume: { readonly rendering: string | null; readonly lookedAt: number } | null;
  /** What the ledger has as published: whether we still hold its bytes, and whether it is known to work. */
  readonly published: {
    readonly rendering: string;
    readonly held: boolean;
    readonly verdict: Verdict;
  } | null;
  /** When the last publication of this run began; null before the volume first showed what is wanted. */
  readonly publishedAt: number | null;
  /** Not before this may a failed publication be tried again. */
  readonly publishRetryAt: number;
  /** The renderings known not to work, or suspected of it. */
  readonly blocked: readonly string[];
  /** The rendering that was confirmed last; null while there is none to go back to. */
  readonly lastKnownGood: string | null;
  /** The rendering somebody went back to and stays with. */
  readonly pinned: string | null;
  /** There is no copy any more of what somebody went back to. */
  readonly isPinLost?: boolean;
  /** ROLLBACK. */
  readonly goesBack: boolean;
  /** The application has not been told of what is on the volume. */
  readonly owed: boolean;
  /** Not before this may it be told (again). */
  readonly tellRetryAt: number;
  readonly hook: 'none' | 'signal' | 'http' | 'command';
  /** The named process, looked up now; null when none is named or nobody asks. */
  readonly process: ProcessFact | null;
  /** What is on the volume is being tried: when to look next whether it works. */
  readonly trial: { readonly lookAt: number } | null;
  /** The application died of what was published: whether another process has its place, and when to wait no longer. */
  readonly suspect: { readonly isReplaced: boolean; readonly until: number } | null;
}

/** What to do next. Every step but `wait` changes the facts; `wait` ends early when something new comes. */
export type Step =
  | { readonly kind: 'look' }
  | { readonly kind: 'render' }
  | { readonly kind: 'validate' }
  | { readonly kind: 'publish'; readonly what: Goal['what'] }
  | { readonly kind: 'adopt'; readonly what: Goal['what'] }
  | { readonly kind: 'reload' }
  | { readonly kind: 'settle'; readonly why: 'picked-up' | 'no-hook' }
  | { readonly kind: 'try' }
  | { readonly kind: 'confirm' }
  | { readonly kind: 'block' }
  | { readonly kind: 'wait'; readonly until: number; readonly obstacle: Obstacle | null };

/** A rendering the volume should show, and where its bytes are. */
interface Goal {
  readonly rendering: string;
  readonly what: 'rendered' | 'published' | 'last-known-good' | 'pinned';
}

/** What the application is about to be told of, or tried with, must have been seen on the volume this recently. */
export const LOOK_BEFORE_RELOAD_MS = 1_000;

/** How often a process that is not ready to be told is looked at again. */
export const PROCESS_LOOK_MS = 250;

type Rule = (facts: Facts) => Step | null;

/** The rules in order. */
const RULES: readonly Rule[] = [
  lookAtVolume,
  blockSuspect,
  confirmTrial,
  waitForSource,
  renderChange,
  validateRendering,
  publishGoal,
  adoptVolume,
  tellApplication,
  beginTrial,
];

/** The next step. Total: there is always one, at least a wait. */
export function decide(facts: Facts): Step {
  for (const rule of RULES) {
    const step = rule(facts);
    if (step !== null) return step;
  }
  return { kind: 'wait', until: nextDue(facts), obstacle: null };
}

/** The volume is looked at first of all, every UPDATE_FREQUENCY, and whenever somebody has written there. */
function lookAtVolume({ volume, now, limits }: Facts): Step | null {
  return volume === null || now >= volume.lookedAt + limits.lookEveryMs ? { kind: 'look' } : null;
}

/** A death is a verdict once the application is back, or has not come back in time; a pod that ends never gets there. */
function blockSuspect({ suspect, now }: Facts): Step | null {
  return suspect !== null && (suspect.isReplaced || now >= suspect.until) ? { kind: 'block' } : null;
}

/**
 * Whether what is on the volume works is found out before anything else happens to it; while it shows something else,
 * what is seen proves nothing for or against what was published.
 */
function confirmTrial({ trial, volume, published, now }: Facts): Step | null {
  if (trial === null || now < trial.lookAt || !shows(volume, published)) return null;
  return wasSeenLately(volume, now) ? { kind: 'confirm' } : { kind: 'look' };
}

/** At a start nothing is decided before the source had its chance: an owed reload may be overtaken by a change. */
function waitForSource(facts: Facts): Step | null {
  if (facts.asked || facts.now >= facts.askUntil || facts.pinned !== null) return null;
  return { kind: 'wait', until: Math.min(facts.askUntil, nextDue(facts)), obstacle: null };
}

/** Debounce, interval and splay put a change off, except the first publication after a start. */
function renderChange(facts: Facts): Step | null {
  return needsRender(facts) && facts.now >= renderDue(facts) ? { kind: 'render' } : null;
}

/** Also while the one before is tried: after a bad verdict only what has passed already may take its place at once. */
function validateRendering(facts: Facts): Step | null {
  const { rendered, checked, validates, volume, now, pinned } = facts;
  if (!validates || facts.isValidating || pinned !== null) return null;
  if (rendered === null || rendered.rendering === null) return null;
  if (rendered.rendering === volume?.rendering || isBlocked(facts, rendered.rendering)) return null;
  if (needsRender(facts)) return null;
  if (checked?.rendering !== rendered.rendering) return { kind: 'validate' };
  return !checked.passed && now >= checked.retryAt ? { kind: 'validate' } : null;
}

/** What the volume should show goes there; so does what it showed before, when somebody changed that meanwhile. */
function publishGoal(facts: Facts): Step | null {
  const goal = goalOf(facts);
  if (goal === null || goal.rendering === facts.volume?.rendering) return null;
  return facts.now >= publishDue(facts, goal) ? { kind: 'publish', what: goal.what } : null;
}

/** The volume shows what is wanted, but the ledger does not know: it was lost, or we died right after the rename. */
function adoptVolume(facts: Facts): Step | null {
  const goal = goalOf(facts);
  if (goal === null || goal.rendering !== facts.volume?.rendering) return null;
  return facts.published?.rendering === goal.rendering ? null : { kind: 'adopt', what: goal.what };
}

/**
 * A reload is owed for what the volume shows, and for nothing else. What did not work and had to stay is taken up by a
 * process that starts with it, and then tried again.
 */
function tellApplication(facts: Facts): Step | null {
  const { owed, hook, process, now, published, tellRetryAt, trial } = facts;
  if (trial !== null || published === null || facts.volume === null) return null;
  const isBad = isVerdictBad(published.verdict);
  if (!owed && !isBad) return null;
  if (hook === 'none' && owed) return { kind: 'settle', why: 'no-hook' };
  if (!shows(facts.volume, published)) return null;
  // A verdict beats a process that started with it: what is to be taken back is not tried once more meanwhile.
  if (isBad && goalOf(facts)?.rendering !== published.rendering) return null;
  if (process?.kind === 'started-after') return { kind: 'settle', why: 'picked-up' };
  if (!mayTell(facts)) return null;
  if (process?.kind === 'obstacle') return waitForProcess(facts, now + PROCESS_LOOK_MS, process.obstacle);
  if (process?.kind === 'settling') return waitForProcess(facts, process.until, null);
  if (now < tellRetryAt) return null;
  return wasSeenLately(facts.volume, now) ? { kind: 'reload' } : { kind: 'look' };
}

/**
 * What is not known to fail is told until it is taken; so is the last known good, and what is blocked but pinned. Other
 * things that did not work are not tried again by themselves, also when they had to be put on the volume once more; only
 * where there is nothing to go back to they are, slowly, unless they killed the application. A verdict of other settings is none.
 */
function mayTell(facts: Facts): boolean {
  const { hook, published, goesBack, owed, pinned } = facts;
  if (hook === 'none' || published === null) return false;
  const { verdict, rendering } = published;
  const isBad = isVerdictBad(verdict);
  if (!isBlocked(facts, rendering)) return isBad || owed;
  return isBad ? goesBack && verdict !== 'target-died' : owed && rendering === pinned;
}

function waitForProcess(facts: Facts, until: number, obstacle: Obstacle | null): Step {
  return { kind: 'wait', until: Math.min(until, nextDue(facts)), obstacle };
}

/** What is on the volume and whoever is to know of it knows: whether it works is to be found out. */
function beginTrial(facts: Facts): Step | null {
  const { trial, owed, published, volume, process, now } = facts;
  if (trial !== null || owed || published === null) return null;
  if (published.verdict !== 'pending' && !isVerdictOfOthers(facts, published)) return null;
  if (!shows(volume, published)) return null;
  if (process?.kind === 'obstacle') return waitForProcess(facts, now + PROCESS_LOOK_MS, process.obstacle);
  if (process?.kind === 'settling') return waitForProcess(facts, process.until, null);
  return { kind: 'try' };
}

/**
 * It did not work under other settings and had to stay, and by now nobody is to be told, so that only a trial is left. A
 * process that is named may still run something else, and be about to die of it: that one has to start anew.
 */
function isVerdictOfOthers(facts: Facts, { rendering, verdict }: NonNullable<Facts['published']>): boolean {
  if (facts.hook !== 'none' || facts.process !== null || rendering === facts.lastKnownGood) return false;
  if (!isVerdictBad(verdict)) return false;
  return !isBlocked(facts, rendering) && goalOf(facts)?.rendering === rendering;
}

/**
 * What the volume should show, the first of: the pin; what is tried, until its verdict; the newest that may be published
 * and is not known to fail; what is there, if that is not known to fail; the last known good. Where there is none to go
 * back to, what failed stays, and is better than nothing.
 */
function goalOf(facts: Facts): Goal | null {
  const { pinned, trial, rendered, published, lastKnownGood, goesBack, volume } = facts;
  if (pinned !== null) return { rendering: pinned, what: 'pinned' };
  const there = publishedGoal(facts);
  const isEmpty = volume?.rendering === null;
  if (trial !== null && there !== null) return there;
  // Somebody did not want what is wanted now.
  if (facts.isPinLost) return there ?? (isEmpty ? lastKnownGoodGoal(facts) : null);
  const newest = rendered?.rendering ?? null;
  const wanted = newest !== null && isAcceptable(facts, newest) ? newest : null;
  if (wanted !== null && !isBlocked(facts, wanted)) return { rendering: wanted, what: 'rendered' };
  if (there !== null && !isBlocked(facts, there.rendering) && !isVerdictBad(published?.verdict)) return there;
  if (lastKnownGood !== null && (isEmpty || (goesBack && there !== null))) return lastKnownGoodGoal(facts);
  if (there !== null) return there;
  return wanted !== null && isEmpty ? { rendering: wanted, what: 'rendered' } : null;
}

function lastKnownGoodGoal({ lastKnownGood }: Facts): Goal | null {
  return lastKnownGood === null ? null : { rendering: lastKnownGood, what: 'last-known-good' };
}

/** What was published, while the volume shows it or we could show it again. */
function publishedGoal({ published, volume }: Facts): Goal | null {
  if (published === null || !(published.held || volume?.rendering === published.rendering)) return null;
  return { rendering: published.rendering, what: 'published' };
}

function shows(volume: Facts['volume'], published: Facts['published']): boolean {
  return volume !== null && published !== null && volume.rendering === published.rendering;
}

function wasSeenLately(volume: Facts['volume'], now: number): boolean {
  return volume !== null && now - volume.lookedAt <= LOOK_BEFORE_RELOAD_MS;
}

/** Whether a trial ended badly. */
export function isVerdictBad(verdict: Verdict | undefined): boolean {
  return verdict !== undefined && verdict !== 'pending' && verdict !== 'good';
}

/** What is known to work is never blocked. */
function isBlocked({ blocked, lastKnownGood }: Facts, rendering: string): boolean {
  return rendering !== lastKnownGood && blocked.includes(rendering);
}

/** On the volume already, or not to be validated, or validated. */
function isAcceptable({ validates, checked, volume }: Facts, rendering: string): boolean {
  if (!validates || rendering === volume?.rendering) return true;
  return checked?.rendering === rendering && checked.passed;
}

function needsRender({ input, rendered }: Facts): boolean {
  return input !== null && input.id !== rendered?.input;
}

function renderDue({ input, limits, publishedAt }: Facts): number {
  if (input === null) return Number.POSITIVE_INFINITY;
  if (publishedAt === null) return 0;
  const quiet = debounceDue(input.changes, limits.debounceMs, limits.debounceMaxMs) + limits.splayMs;
  return Math.max(quiet, publishedAt + limits.minIntervalMs);
}

/** Going back, and what takes the place of something that does not work, wait for no timing. */
function publishDue({ publishedAt, published, limits, publishRetryAt }: Facts, { what }: Goal): number {
  const isUrgent = what === 'last-known-good' || what === 'pinned' || isVerdictBad(published?.verdict);
  if (publishedAt === null || isUrgent) return publishRetryAt;
  return Math.max(publishRetryAt, publishedAt + limits.minIntervalMs);
}

/** The earliest moment at which one of the rules above may match without anything new. */
function nextDue(facts: Facts): number {
  const { volume, limits, checked, process, now, trial, suspect } = facts;
  const goal = goalOf(facts);
  const never = Number.POSITIVE_INFINITY;
  const due = [
    volume === null ? now : volume.lookedAt + limits.lookEveryMs,
    needsRender(facts) ? renderDue(facts) : never,
    checked !== null && !checked.passed ? checked.retryAt : never,
    goal !== null && goal.rendering !== volume?.rendering ? publishDue(facts, goal) : never,
    mayTell(facts) && (process === null || process.kind === 'ready') ? facts.tellRetryAt : never,
    trial === null ? never : trial.lookAt,
    suspect === null ? never : Math.min(suspect.until, now + PROCESS_LOOK_MS),
    watchesForStart(facts) ? now + PROCESS_LOOK_MS : never,
  ];
  const future = due.filter((at) => at > now);
  return Math.min(...future, now + limits.lookEveryMs);
}

/** What did not work and stays is watched for a process that starts with it. */
function watchesForStart(facts: Facts): boolean {
  const { published, process, trial } = facts;
  if (process === null || published === null || trial !== null) return false;
  return isVerdictBad(published.verdict) || isBlocked(facts, published.rendering);
}

/**
 * Whether something is being done that ends in an outcome by itself: not what waits for the application, or was put off by
 * a failure.
 */
export function isUnderWay(facts: Facts): boolean {
  const { trial, published, process, volume, now, owed } = facts;
  if (needsRender(facts) || trial !== null || facts.isValidating) return true;
  if (process?.kind === 'obstacle') return false;
  const goal = goalOf(facts);
  const isToPublish = goal !== null && goal.rendering !== volume?.rendering && now >= facts.publishRetryAt;
  const isToTell = owed && mayTell(facts) && now >= facts.tellRetryAt;
  return isToPublish || isToTell || (published?.verdict === 'pending' && !owed);
}
