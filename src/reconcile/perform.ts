// One function for each action: it calls the steps, and yields what happens as it happens. Each event is reduced and saved before
// the step goes on, which is the whole crash protocol: `yield intended; await swap; yield published`. No policy here.

import { NO_ANSWER, notThereYet } from '../application/confirm/confirm.ts';
import { canProve } from '../application/confirm/evidence.ts';
import { setbackOf } from '../application/reload/setback.ts';
import { nextKept, type Trial } from '../ledger/ledger.ts';
import { SidecarError, toSidecarError } from '../lib/errors.ts';
import { faultPoint } from '../lib/fault-point.ts';
import type { StagedRelease } from '../publish/outputs.ts';
import type { Action } from './decide.ts';
import { contentOf, type Goal, type GoalContent } from './goal.ts';
import type { Copied, Event, SeenVolume, State } from './state.ts';
import type { Steps } from './steps.ts';

type Events = AsyncGenerator<Event, void>;

/** Carries out one action. Throws only for what no step should do. */
export function perform(action: Action, state: State, steps: Steps, signal: AbortSignal): Events {
  if (action.kind === 'publish') return publish(action.goal, state, steps);
  if (action.kind === 'adopt') return adopt(action.goal, state, steps);
  return ACTIONS[action.kind](state, steps, signal);
}

type Plain = (state: State, steps: Steps, signal: AbortSignal) => Events;

const ACTIONS: Readonly<Record<Exclude<Action['kind'], 'publish' | 'adopt'>, Plain>> = {
  ...{ open, observe, probe, render, validate, notify },
  'find-process': findProcess,
  'confirm-suspicion': confirmSuspicion,
  'pick-up': pickUp,
  'start-trial': startTrial,
};

async function* open({ ledger, session }: State, steps: Steps): Events {
  try {
    const found = await steps.open();
    const { volume } = found;
    const known = [ledger, found.ledger].flatMap(({ published, intended }) => [
      published?.rendering,
      intended?.version.rendering,
    ]);
    const isKnown = volume.rendering !== null && known.includes(volume.rendering);
    yield { kind: 'opened', ...found, held: session.held ?? (isKnown ? steps.readVolume() : null) };
  } catch (thrown) {
    yield { kind: 'open-failed', error: toSidecarError(thrown, 'publish') };
  }
}

async function* observe(state: State, steps: Steps): Events {
  if (!steps.isHeld()) return yield { kind: 'closed' };
  yield { kind: 'observed', volume: await steps.observe() };
  // What could not be kept before is kept now.
  if (state.ledger.verdict !== 'good') return;
  const copied = await copyOf(state, steps);
  if (copied.kept !== null || copied.keepError !== null) yield { kind: 'kept', ...copied };
  if (copied.kept === null) return;
  faultPoint('kept');
  steps.pruneCopies();
}

/** A copy of what is published, unless there is one: it makes a confirmed generation one to roll back to. */
async function copyOf({ ledger, session: { held } }: State, steps: Steps): Promise<Copied> {
  const kept = nextKept(ledger, steps.time().unixMs);
  if (kept === null || held?.rendering !== kept.rendering) return { kept: null, keepError: null };
  try {
    await steps.writeCopy(kept, held);
    faultPoint('copied');
    return { kept, keepError: null };
  } catch (thrown) {
    return { kept: null, keepError: toSidecarError(thrown, 'ledger') };
  }
}

async function* findProcess({ ledger: { published } }: State, steps: Steps): Events {
  if (published !== null) yield { kind: 'process-seen', ...steps.findProcess(published) };
}

async function* confirmSuspicion(): Events {
  yield { kind: 'suspicion-confirmed' };
}

async function* render({ ledger: { published }, session: { input } }: State, steps: Steps): Events {
  if (input === null) return;
  // Data that was published keeps the revision it was published with.
  const revision = published?.input === input.id ? published.revision : input.snapshot.revision;
  const version = { revision, digest: input.digest, rendering: null, at: steps.time().unixMs };
  try {
    const generation = await steps.render(input, revision);
    const { rendering } = generation;
    const candidate = { input, generation, version: { ...version, rendering }, error: null };
    yield { kind: 'rendered', candidate };
  } catch (thrown) {
    const error = toSidecarError(thrown, 'render');
    yield { kind: 'rendered', candidate: { input, generation: null, version, error } };
  }
}

async function* validate({ session }: State, steps: Steps, signal: AbortSignal): Events {
  const { candidate } = session;
  // The copy must not bring back a state directory that is not ours any more.
  if (!steps.isHeld()) return yield { kind: 'closed' };
  if (candidate === null || candidate.generation === null) return;
  const { rendering } = candidate.generation;
  try {
    await steps.validate(candidate.generation, signal);
    yield { kind: 'validated', rendering, error: null };
  } catch (thrown) {
    if (!signal.aborted) yield { kind: 'validated', rendering, error: toSidecarError(thrown, 'validate') };
  }
}

async function* publish(goal: Goal, state: State, steps: Steps): Events {
  const startedAt = steps.time().ms;
  if (!steps.isHeld()) return yield { kind: 'closed' };
  const content = yield* contentFor(goal, state, steps);
  if (content === null) return;
  const { generation, version } = content;
  const isUrgent = goal.from === 'last-known-good' || goal.from === 'pin';
  let staged: StagedRelease | null = null;
  try {
    staged = await steps.stage(generation);
    const intended = { ...version, at: steps.time().unixMs, moment: null };
    yield { kind: 'intended', version: intended, isUrgent, staged: staged.parts };
    faultPoint('intended');
    await staged.swap();
  } catch (thrown) {
    await staged?.discard();
    const error = toSidecarError(thrown, 'publish');
    return yield { kind: 'publish-failed', error, left: steps.observeNow() };
  }
  const moment = steps.moment();
  // Written, flushed and renamed a moment ago: reading one output back would add nothing.
  const volume: Omit<SeenVolume, 'moment'> = staged.mustLook
    ? await steps.observe()
    : { rendering: generation.rendering, changedAt: steps.time().unixMs, problem: null };
  yield { kind: 'published', generation, startedAt, volume: { ...volume, moment } };
  faultPoint('published');
}

async function* adopt(goal: Goal, state: State, steps: Steps): Events {
  const content = yield* contentFor(goal, state, steps);
  const moment = state.session.volume?.moment ?? null;
  if (content !== null) yield { kind: 'adopted', version: { ...content.version, moment } };
}

/** What is to be on the volume; null: it cannot be had. A copy that is damaged is one no more. */
async function* contentFor(
  goal: Goal,
  state: State,
  { readCopy }: Steps,
): AsyncGenerator<Event, GoalContent | null> {
  try {
    return contentOf(goal, state, readCopy);
  } catch (thrown) {
    yield { kind: 'copy-lost', rendering: goal.rendering };
    yield { kind: 'publish-failed', error: toSidecarError(thrown, 'ledger') };
    return null;
  }
}

/** The process started with what is on the volume, so that it need not be notified. */
async function* pickUp(state: State, steps: Steps): Events {
  const trial = trialOf(state, steps, { how: 'picked-up', evidence: ['started'] });
  yield { kind: 'notified', result: 'picked-up', next: trial };
  faultPoint('told');
}

/** There is nothing to notify the application of; what is on the volume is tried all the same. */
async function* startTrial(state: State, steps: Steps): Events {
  const next = trialOf(state, steps, { how: 'published', evidence: [] });
  yield { kind: 'trial-started', trial: null, next };
}

async function* notify(state: State, steps: Steps, signal: AbortSignal): Events {
  const { ledger, session, policy } = state;
  const { published, told } = ledger;
  if (published === null) return;
  const process = session.process?.id ?? null;
  const before = {
    ...({ how: 'told', notBefore: steps.time().unixMs, toldFrom: steps.moment().ticks } as const),
    children: policy.proof.workers && process !== null ? steps.childrenOf(process) : [],
  };
  faultPoint('reload');
  const { revision } = published;
  const context = { process, revision, previousRevision: told?.version.revision ?? null };
  const result = await steps.notify(context, signal);
  if (result === null || (result.kind !== 'told' && signal.aborted)) return;
  faultPoint('delivered');
  const isUnknown = result.kind === 'owed' && result.class === 'unknown';
  // Where it is not known whether it was notified, that can be found out.
  if (result.kind === 'told' || (isUnknown && canProve(policy.proof, { process, published, told }))) {
    const evidence = result.kind === 'told' && result.evidence !== null ? [result.evidence] : [];
    const next = trialOf(state, steps, { ...before, evidence });
    yield { kind: 'notified', result: isUnknown ? 'unknown' : 'told', next };
    return faultPoint('told');
  }
  const error = errorOf(result);
  const { outcome, tries } = setbackOf(result, session.notifying, steps.time());
  if (outcome !== 'refused') return yield { kind: 'notify-failed', outcome, tries, error };
  yield { kind: 'trial-failed', trial: null, outcome, error, isReplaced: true, result: tries.lastResult };
  faultPoint('condemned');
}

async function* probe(state: State, steps: Steps, signal: AbortSignal): Events {
  const { ledger, session, policy } = state;
  const { trial, published } = ledger;
  if (trial === null || published === null) return;
  // Of a run before this one nothing is known of the process.
  let seen = policy.isNamed && session.process === null ? steps.findProcess(published) : null;
  const current = () => {
    if (policy.isNamed) seen ??= steps.findProcess(published);
    return seen?.id ?? null;
  };
  const isResumed = session.probeAt === null;
  const result = await steps.confirm({ trial, published, current, isResumed }, signal);
  if (seen !== null) yield { kind: 'process-seen', ...seen };
  // A sidecar that ends gives no verdict.
  if (signal.aborted) return;
  switch (result.kind) {
    case 'pending':
      return yield { kind: 'probed', trial, inMs: result.inMs };
    case 'absent':
      return yield { kind: 'trial-lost', trial };
    case 'restarted': {
      // It came after the notification, so it has read what that was about.
      const evidence = [...trial.evidence, 'started'] as const;
      const next = trialOf(state, steps, { ...trial, evidence, process: result.process });
      return yield { kind: 'trial-started', trial, next: { ...next, restarts: false } };
    }
    case 'confirmed': {
      faultPoint('confirm');
      const copying = copyOf(state, steps);
      // What the ledger says to work must be what the volume shows after a crash of the machine.
      await steps.settled();
      yield { kind: 'confirmed', trial, evidence: result.evidence, ...(await copying) };
      faultPoint('kept');
      return steps.pruneCopies();
    }
    case 'died':
    case 'unconfirmed': {
      // Nothing was ever confirmed: that nothing answers says nothing about the configuration.
      if (result.code === NO_ANSWER && ledger.kept.length === 0)
        return yield { kind: 'unanswered', trial, error: errorOf(notThereYet(result)) };
      const outcome = result.kind === 'died' ? 'target-died' : 'unconfirmed';
      const isReplaced = result.kind !== 'died' || result.replaced;
      yield { kind: 'trial-failed', trial, outcome, error: errorOf(result), isReplaced };
      faultPoint('condemned');
    }
  }
}

/** A trial that begins now, of the process that was seen last. */
function trialOf(
  { ledger: { published }, session, policy }: State,
  steps: Steps,
  beginning: Pick<Trial, 'how' | 'evidence'> & Partial<Trial>,
): Trial {
  const process = session.process?.id ?? null;
  const restarts = beginning.how === 'told' && policy.restarts;
  const known = { process, children: [], notBefore: published?.at ?? 0, ...beginning, restarts };
  // In this order: a pause between the two makes the notification look earlier, which does no harm.
  const moment = steps.moment();
  return { ...known, moment, at: steps.time().unixMs };
}

function errorOf(said: { readonly code: string; readonly message: string; readonly output?: string }) {
  const { code, message, output } = said;
  return new SidecarError(message, { code, stage: 'reload', ...(output !== undefined && { output }) });
}
