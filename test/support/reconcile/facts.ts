// A state written down in a few facts, and a decision in a few words, so that one example of the policy is one line.

import type { Obstacle, ProcessFact } from '../../../src/application/types.ts';
import type { Block, KeptGeneration, Published, Trial, Verdict } from '../../../src/ledger/ledger.ts';
import { SidecarError } from '../../../src/lib/errors.ts';
import type { Action, Decision } from '../../../src/reconcile/decide.ts';
import type { Goal } from '../../../src/reconcile/goal.ts';
import type { Policy } from '../../../src/reconcile/policy.ts';
import { type Candidate, NOT_TRIED, type State, startOf, type Tries } from '../../../src/reconcile/state.ts';
import type { Input } from '../../../src/render/input.ts';
import type { Release } from '../../../src/render/release.ts';
import type { Hook } from './contents.ts';

/** Everything that decides what comes next. Times are milliseconds of the loop's clock. */
export interface Facts {
  readonly now: number;
  readonly limits: Policy['limits'];
  readonly asked: boolean;
  readonly askUntil: number;
  readonly input: { readonly id: string; readonly changes: State['session']['changes'] } | null;
  readonly rendered: { readonly input: string; readonly rendering: string | null } | null;
  readonly checked: { readonly rendering: string; readonly passed: boolean; readonly retryAt: number } | null;
  readonly validates: boolean;
  readonly isValidating?: boolean;
  readonly volume: { readonly rendering: string | null; readonly lookedAt: number } | null;
  readonly published: {
    readonly rendering: string;
    readonly held: boolean;
    readonly verdict: Verdict;
  } | null;
  readonly publishedAt: number | null;
  readonly publishRetryAt: number;
  readonly blocked: readonly string[];
  readonly lastKnownGood: string | null;
  readonly pinned: string | null;
  readonly isPinLost?: boolean;
  readonly goesBack: boolean;
  readonly owed: boolean;
  readonly tellRetryAt: number;
  readonly hook: Hook;
  /** Looked up just now; null when none is named. */
  readonly process: ProcessFact | null;
  readonly trial: { readonly lookAt: number } | null;
  readonly suspect: { readonly isReplaced: boolean; readonly until: number } | null;
}

/** A decision: the action, or how long to wait and what for. */
export type Step =
  | { readonly kind: Exclude<Action['kind'], 'publish' | 'adopt'> }
  | { readonly kind: 'publish' | 'adopt'; readonly from: Goal['from'] }
  | { readonly kind: 'wait'; readonly until: number; readonly obstacle: Obstacle | null };

const LOOK_EVERY_MS = 60_000;
const OLD = { pid: 7, startTicks: 100 };
const NEW = { pid: 8, startTicks: 200 };

/** The decision in a few words. */
export function stepOf({ action, waits }: Decision): Step {
  if (action === null) {
    const obstacle = waits.find((wait) => wait.obstacle !== undefined)?.obstacle ?? null;
    return { kind: 'wait', until: Math.min(...waits.map(({ until }) => until)), obstacle };
  }
  return 'goal' in action ? { kind: action.kind, from: action.goal.from } : { kind: action.kind };
}

/** The state in which these are the facts. */
export function stateOf(facts: Facts): State {
  const start = startOf(policyOf(facts));
  const { published, volume, suspect, pinned, isPinLost = false } = facts;
  const kept = [facts.lastKnownGood, pinned].flatMap((rendering) =>
    rendering === null ? [] : [keptOf(rendering)],
  );

  const isReplaced = suspect?.isReplaced === true;
  return {
    ...start,
    ledger: {
      ...start.ledger,
      ...{
        published: published && publishedOf(published.rendering),
        verdict: published?.verdict ?? 'pending',
        kept,
      },
      ...{
        owed: facts.owed ? { since: 1 } : null,
        trial: facts.trial && TRIAL,
        blocked: facts.blocked.map(blockOf),
      },
      suspect: suspect && { block: blockOf('suspected'), process: OLD, until: suspect.until },
      pinned: pinned !== null || isPinLost ? { rendering: pinned ?? 'lost', generation: 1 } : null,
    },
    session: {
      ...start.session,
      ...{ isOpen: true, isKnown: true, isAsked: facts.asked, isValidating: facts.isValidating === true },
      ...{
        input: facts.input && inputOf(facts.input.id),
        changes: facts.input?.changes ?? { first: 0, latest: 0 },
      },
      ...{
        candidate: candidateOf(facts.rendered),
        checked: checkedOf(facts.checked),
        publishedAt: facts.publishedAt,
      },
      volume: volume && {
        ...{ rendering: volume.rendering, changedAt: null, problem: null, seenAt: volume.lookedAt },
        ...{ dueAt: volume.lookedAt + LOOK_EVERY_MS, moment: { bootId: null, ticks: null } },
      },
      held: published?.held ? generationOf(published.rendering) : null,
      process: facts.process && { fact: facts.process, id: isReplaced ? NEW : OLD, seenAt: facts.now },
      probeAt: facts.trial?.lookAt ?? 0,
      suspectUntil: suspect?.until ?? 0,
      publishing: retryAt(facts.publishRetryAt),
      notifying: { ...NOT_TRIED, ...retryAt(facts.tellRetryAt) },
    },
  };
}

function retryAt(dueAt: number): Tries {
  return { failures: dueAt === 0 ? 0 : 1, dueAt, error: null };
}

function checkedOf(checked: Facts['checked']): State['session']['checked'] {
  if (checked === null) return null;
  const { rendering, passed } = checked;
  const error = new SidecarError('It is refused.', { code: 'validate.command', stage: 'validate' });
  return { rendering, ...retryAt(checked.retryAt), error: passed ? null : error };
}

function policyOf({ hook, process, validates, goesBack, limits, askUntil, suspect }: Facts): Policy {
  return {
    ...{
      validates,
      limits,
      askUntil,
      notifies: hook !== 'none',
      rollsBack: goesBack,
      under: 'settings',
    },
    ...{ isNamed: process !== null || suspect !== null, restarts: false, keeps: 5 },
    ...{ confirmTimeoutMs: 30_000, reloadWaitMs: 60_000, lookEveryMs: LOOK_EVERY_MS },
    proof: { workers: false, byName: false, byTime: false },
  };
}

const version = (rendering: string) => ({ revision: rendering, digest: rendering, rendering, at: 1 });

function publishedOf(rendering: string): Published {
  return { ...version(rendering), input: 'i', moment: null, as: 'desired' };
}

function keptOf(rendering: string): KeptGeneration {
  return { ...version(rendering), generation: 1, input: 'i', confirmedAt: 1 };
}

function blockOf(rendering: string): Block {
  return {
    ...version(rendering),
    under: 'settings',
    outcome: 'refused',
    code: 'reload.status',
    message: 'It says no.',
  };
}

function candidateOf(rendered: Facts['rendered']): Candidate | null {
  if (rendered === null) return null;
  const { rendering, input } = rendered;
  const generation = rendering === null ? null : generationOf(rendering);
  return { input: inputOf(input), version: { ...version(''), rendering }, generation, error: null };
}

function generationOf(rendering: string): Release {
  return { parts: [], rendering };
}

function inputOf(id: string): Input {
  const snapshot = { revision: id, content: { kind: 'tree', entries: [] } } as const;
  return { id, digest: id, snapshot, templates: null };
}

const TRIAL: Trial = {
  ...{ process: OLD, how: 'told', restarts: false, children: [], evidence: [] },
  ...{ at: 1, notBefore: 1, moment: { bootId: null, ticks: null } },
};
