// The policy: from the facts to the one next step. Pure; the rules are a list and the first that matches wins.
import { type Changes, debounceDue } from './schedule.ts';

/** What an attempt can end in, as far as this version goes (README, "What one sees"). */
export type Outcome =
  | 'applied'
  | 'unchanged'
  | 'picked-up'
  | 'rejected'
  | 'refused'
  | 'failed'
  | 'held-back'
  | 'no-target'
  | 'ambiguous'
  | 'not-permitted'
  | 'ignored'
  | 'stale-mount';

/** Why the application cannot be told just now, with what a person needs to know. */
export interface Obstacle {
  readonly outcome: 'held-back' | 'no-target' | 'ambiguous' | 'not-permitted' | 'ignored' | 'stale-mount';
  readonly code: string;
  readonly message: string;
}

/** The named process as it is at this moment. */
export type ProcessFact =
  /** It started after the publication: it has read the new files. */
  | { readonly kind: 'started-after' }
  | { readonly kind: 'ready' }
  /** Nothing is wrong, it is only too young to be told. */
  | { readonly kind: 'settling'; readonly until: number }
  | { readonly kind: 'obstacle'; readonly obstacle: Obstacle };

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
  /** What the volume shows, and when that was looked at; null = it must be looked at. */
  readonly volume: { readonly rendering: string | null; readonly lookedAt: number } | null;
  /** The rendering the ledger has as published, and whether we still hold its bytes. */
  readonly published: { readonly rendering: string; readonly held: boolean } | null;
  /** When the last publication of this run began; null before the volume first showed what is wanted. */
  readonly publishedAt: number | null;
  /** Not before this may a failed publication be tried again. */
  readonly publishRetryAt: number;
  /** A reload that was not delivered; null when nothing is owed. */
  readonly owed: { readonly retryAt: number } | null;
  readonly hook: 'none' | 'signal' | 'http' | 'command';
  /** The named process, looked up now; null when none is named or nothing is owed. */
  readonly process: ProcessFact | null;
}

/** What to do next. Every step but `wait` changes the facts; `wait` ends early when something new comes. */
export type Step =
  | { readonly kind: 'look' }
  | { readonly kind: 'render' }
  | { readonly kind: 'validate' }
  | { readonly kind: 'publish'; readonly what: 'rendered' | 'published' }
  | { readonly kind: 'adopt' }
  | { readonly kind: 'reload' }
  | { readonly kind: 'settle'; readonly why: 'picked-up' | 'no-hook' }
  | { readonly kind: 'wait'; readonly until: number; readonly obstacle: Obstacle | null };

/** What the application is about to be told of must have been seen on the volume this recently. */
export const LOOK_BEFORE_RELOAD_MS = 1_000;

/** How often a process that is not ready to be told is looked at again. */
export const PROCESS_LOOK_MS = 250;

type Rule = (facts: Facts) => Step | null;

/** The rules in order. */
const RULES: readonly Rule[] = [
  lookAtVolume,
  waitForSource,
  renderChange,
  validateRendering,
  publishGoal,
  adoptVolume,
  tellApplication,
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

/** At a start nothing is decided before the source had its chance: an owed reload may be overtaken by a change. */
function waitForSource(facts: Facts): Step | null {
  if (facts.asked || facts.now >= facts.askUntil) return null;
  return { kind: 'wait', until: Math.min(facts.askUntil, nextDue(facts)), obstacle: null };
}

/** Debounce, interval and splay put a change off, except the first publication after a start. */
function renderChange(facts: Facts): Step | null {
  return needsRender(facts) && facts.now >= renderDue(facts) ? { kind: 'render' } : null;
}

function validateRendering(facts: Facts): Step | null {
  const { rendered, checked, validates, volume, now } = facts;
  if (!validates || rendered === null || rendered.rendering === null) return null;
  if (rendered.rendering === volume?.rendering || needsRender(facts)) return null;
  if (checked?.rendering !== rendered.rendering) return { kind: 'validate' };
  return !checked.passed && now >= checked.retryAt ? { kind: 'validate' } : null;
}

/** What is wanted goes to the volume; so does what was published before, when somebody changed it meanwhile. */
function publishGoal(facts: Facts): Step | null {
  const goal = goalOf(facts);
  if (goal === null || goal.rendering === facts.volume?.rendering) return null;
  return facts.now >= publishDue(facts) ? { kind: 'publish', what: goal.what } : null;
}

/** The volume shows what is wanted, but the ledger does not know: it was lost, or we died right after the rename. */
function adoptVolume(facts: Facts): Step | null {
  const goal = goalOf(facts);
  const there = goal !== null && goal.rendering === facts.volume?.rendering;
  return there && facts.published?.rendering !== goal.rendering ? { kind: 'adopt' } : null;
}

/** A reload is owed for what the volume shows, and for nothing else. */
function tellApplication(facts: Facts): Step | null {
  const { owed, hook, process, now, volume, published } = facts;
  if (owed === null) return null;
  if (hook === 'none') return { kind: 'settle', why: 'no-hook' };
  if (volume === null || published === null || volume.rendering !== published.rendering) return null;
  if (process?.kind === 'started-after') return { kind: 'settle', why: 'picked-up' };
  if (process?.kind === 'obstacle') return waitForProcess(facts, now + PROCESS_LOOK_MS, process.obstacle);
  if (process?.kind === 'settling') return waitForProcess(facts, process.until, null);
  if (now < owed.retryAt) return null;
  return now - volume.lookedAt > LOOK_BEFORE_RELOAD_MS ? { kind: 'look' } : { kind: 'reload' };
}

function waitForProcess(facts: Facts, until: number, obstacle: Obstacle | null): Step {
  return { kind: 'wait', until: Math.min(until, nextDue(facts)), obstacle };
}

/** The rendering the volume should show: the newest that may be published, else the one that was. */
function goalOf(
  facts: Facts,
): { readonly rendering: string; readonly what: 'rendered' | 'published' } | null {
  const { rendered, published } = facts;
  if (rendered !== null && rendered.rendering !== null && isAcceptable(facts, rendered.rendering)) {
    return { rendering: rendered.rendering, what: 'rendered' };
  }
  return published?.held ? { rendering: published.rendering, what: 'published' } : null;
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

function publishDue({ publishedAt, limits, publishRetryAt }: Facts): number {
  return publishedAt === null ? publishRetryAt : Math.max(publishRetryAt, publishedAt + limits.minIntervalMs);
}

/** The earliest moment at which one of the rules above may match without anything new. */
function nextDue(facts: Facts): number {
  const { volume, limits, checked, owed, process, now } = facts;
  const goal = goalOf(facts);
  const due = [
    volume === null ? now : volume.lookedAt + limits.lookEveryMs,
    needsRender(facts) ? renderDue(facts) : Number.POSITIVE_INFINITY,
    checked !== null && !checked.passed ? checked.retryAt : Number.POSITIVE_INFINITY,
    goal !== null && goal.rendering !== volume?.rendering ? publishDue(facts) : Number.POSITIVE_INFINITY,
    owed !== null && (process === null || process.kind === 'ready') ? owed.retryAt : Number.POSITIVE_INFINITY,
  ];
  const future = due.filter((at) => at > now);
  return Math.min(...future, now + limits.lookEveryMs);
}
