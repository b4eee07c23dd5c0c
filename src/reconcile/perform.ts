// One function for each action: it calls the steps, and yields what happens as it happens. Each event is reduced and saved before
// the step goes on, which is the whole crash protocol: `yield intended; await swap; yield published`. No policy here.

import type { ConfirmResult } from '../application/confirm/confirm.ts';
import type { ObservedProcess } from '../application/process/observe-process.ts';
import type { ReloadContext, ReloadResult } from '../application/reload/hook.ts';
import {
  type BadVerdict,
  type KeptGeneration,
  nextKept,
  type Published,
  type Trial,
  versionOf,
} from '../ledger/ledger.ts';
import type { BootStamp, ProcessId } from '../ledger/types.ts';
import type { Stage } from '../lib/errors.ts';
import { SidecarError, toSidecarError } from '../lib/errors.ts';
import { faultPoint } from '../lib/fault-point.ts';
import { type Random, RETRY, retryDelay, SLOW_RETRY_MS } from '../lib/schedule.ts';
import type { StagedRelease } from '../publish/outputs.ts';
import type { Volume } from '../publish/publisher.ts';
import type { Input } from '../render/input.ts';
import type { Release } from '../render/release.ts';
import { contentOf } from './content.ts';
import type { Action, Goal } from './decide.ts';
import { setbackOf } from './setback.ts';
import type { Candidate, Event, Opened, State, Time } from './state.ts';

/** What the loop needs of the world, one function for each step. */
export interface Steps {
  readonly time: () => Time;
  readonly random: Random;
  /** Takes our secrets out of what commands and hooks printed. */
  readonly mask: (text: string) => string;
  /** UPDATE_FREQUENCY, spread. */
  readonly lookEveryMs: () => number;
  /** Takes the lock, reads what is there and removes left-overs. @throws SidecarError `state.locked`, or what the disk said. */
  readonly open: () => Promise<Omit<Opened, 'moment'> & { readonly volume: Volume }>;
  /** Whether lock and ledger are where they were; when they are not, the lock is given up. */
  readonly isHeld: () => boolean;
  /** Reads the volume, and removes generations whose grace time is over. */
  readonly observe: () => Promise<Volume>;
  readonly observeNow: () => Volume;
  /** What the volume shows. */
  readonly readVolume: () => Release;
  /** When the volume was changed last, as far as its files tell. */
  readonly momentOf: (volume: Volume) => BootStamp;
  /** Now, on the boot clock. */
  readonly moment: () => BootStamp;
  /** Waits until what is visible outlives a crash of the machine. @throws SidecarError of stage `publish`. */
  readonly settled: () => Promise<void>;
  /** Writes all that has to be written, of which nothing is visible yet. */
  readonly stage: (generation: Release) => Promise<StagedRelease>;
  /** @throws SidecarError `state.generation-damaged`. */
  readonly readCopy: (kept: KeptGeneration) => Release;
  readonly writeCopy: (kept: KeptGeneration, generation: Release) => Promise<void>;
  /** Removes the copies of what the saved ledger does not keep. */
  readonly pruneCopies: () => void;
  readonly render: (input: Input, revision: string) => Promise<Release>;
  /** @throws SidecarError of stage `validate`, or what the disk said. */
  readonly validate: (generation: Release, signal: AbortSignal) => Promise<void>;
  readonly findProcess: (published: Published) => ObservedProcess;
  /** Whether a process from before this publication may still be about to die of what was there; until then, by the loop's clock. */
  readonly settlesUntil: (published: Published) => number | null;
  readonly childrenOf: (process: ProcessId) => readonly ProcessId[];
  /** null: there is no hook. */
  readonly notify: (
    context: Omit<ReloadContext, 'output' | 'outputs'>,
    signal: AbortSignal,
  ) => Promise<ReloadResult | null>;
  readonly confirm: (view: ConfirmView, signal: AbortSignal) => Promise<ConfirmResult>;
}

interface ConfirmView {
  readonly trial: Trial;
  readonly published: Published;
  /** The process that the look-up finds now; looked for only when this is read. */
  readonly current: ProcessId | null;
  /** The trial was started by a run before this one. */
  readonly isResumed: boolean;
}

type Events = AsyncGenerator<Event, void>;

/** Nothing answered at CONFIRM_URL. */
export const NO_ANSWER = 'confirm.no-answer';
/** A state directory that cannot be had is asked for again this often: a lock is given up without a word. */
const OPEN_AGAIN_MS = 1_000;

/** Carries out one action. Throws only for what no step should do. */
export function perform(action: Action, state: State, steps: Steps, signal: AbortSignal): Events {
  switch (action.kind) {
    case 'open':
      return open(state, steps);
    case 'observe':
      return observe(state, steps);
    case 'find-process':
      return findProcess(state, steps);
    case 'confirm-suspicion':
      return one({ kind: 'suspicion-confirmed' });
    case 'probe':
      return probe(state, steps, signal);
    case 'render':
      return render(state, steps);
    case 'validate':
      return validate(state, steps, signal);
    case 'publish':
      return publish(action.goal, state, steps);
    case 'adopt':
      return adopt(action.goal, state, steps);
    case 'clear-owed':
      return one({ kind: 'owed-cleared' });
    case 'pick-up':
      return pickUp(state, steps);
    case 'notify':
      return notify(state, steps, signal);
    case 'start-trial':
      return startTrial(state, steps);
  }
}

async function* one(event: Event): Events {
  yield event;
}

async function* open({ ledger, session }: State, steps: Steps): Events {
  try {
    const found = await steps.open();
    const { volume } = found;
    const known = [ledger, found.ledger].flatMap(({ published, intended }) => [
      published?.rendering,
      intended?.version.rendering,
    ]);
    const isKnown = volume.rendering !== null && known.includes(volume.rendering);
    const held = session.held === null && isKnown ? steps.readVolume() : null;
    yield { kind: 'opened', ...found, held, moment: steps.momentOf(volume), everyMs: steps.lookEveryMs() };
  } catch (thrown) {
    yield { kind: 'open-failed', error: failure(thrown, 'publish', steps), retryInMs: OPEN_AGAIN_MS };
  }
}

async function* observe(state: State, steps: Steps): Events {
  if (!steps.isHeld()) return yield { kind: 'closed' };
  yield { kind: 'observed', volume: await steps.observe(), everyMs: steps.lookEveryMs() };
  // What could not be kept before is kept now.
  if (state.ledger.verdict !== 'good') return;
  const { kept, keepError } = await copyOf(state, steps);
  if (keepError !== null) yield { kind: 'keep-failed', error: keepError };
  if (kept === null) return;
  yield { kind: 'kept', kept };
  faultPoint('kept');
  steps.pruneCopies();
}

/** A copy of what is published, unless there is one: it makes a confirmed generation one to roll back to. */
async function copyOf({ ledger, session: { held } }: State, steps: Steps) {
  const kept = nextKept(ledger, steps.time().unixMs);
  if (kept === null || held?.rendering !== kept.rendering) return { kept: null, keepError: null };
  try {
    await steps.writeCopy(kept, held);
    faultPoint('copied');
    return { kept, keepError: null };
  } catch (thrown) {
    return { kept: null, keepError: failure(thrown, 'ledger', steps) };
  }
}

async function* findProcess({ ledger: { published } }: State, steps: Steps): Events {
  if (published === null) return;
  const { fact, id } = steps.findProcess(published);
  const until = fact.kind === 'ready' && published.afterDeath === true ? steps.settlesUntil(published) : null;
  yield { kind: 'process-seen', id, fact: until === null ? fact : { kind: 'settling', until } };
}

async function* render({ ledger: { published }, session: { input } }: State, steps: Steps): Events {
  if (input === null) return;
  // Data that was published keeps the revision it was published with.
  const revision = published?.input === input.id ? published.revision : input.snapshot.revision;
  const version = { revision, digest: input.digest, rendering: null, at: steps.time().unixMs };
  let candidate: Candidate;
  try {
    const generation = await steps.render(input, revision);
    candidate = { input, generation, version: { ...version, rendering: generation.rendering }, error: null };
  } catch (thrown) {
    candidate = { input, generation: null, version, error: failure(thrown, 'render', steps) };
  }
  yield { kind: 'rendered', candidate };
}

async function* validate({ session }: State, steps: Steps, signal: AbortSignal): Events {
  const generation = session.candidate?.generation ?? null;
  const isHeld = steps.isHeld();
  if (generation === null || !isHeld) yield { kind: 'validation-ended' };
  // The copy must not bring back a state directory that is not ours any more.
  if (!isHeld) yield { kind: 'closed' };
  if (generation === null || !isHeld) return;
  const { rendering } = generation;
  const { failures } = session.checked?.rendering === rendering ? session.tries.validate : { failures: 0 };
  const retryInMs = retryDelay(failures + 1, RETRY, steps.random);
  try {
    await steps.validate(generation, signal);
    yield { kind: 'validated', rendering, retryInMs, error: null };
  } catch (thrown) {
    if (signal.aborted) yield { kind: 'validation-ended' };
    else yield { kind: 'validated', rendering, retryInMs, error: failure(thrown, 'validate', steps) };
  }
}

async function* publish(goal: Goal, state: State, steps: Steps): Events {
  const startedAt = steps.time().ms;
  const retryInMs = retryDelay(state.session.tries.publish.failures + 1, RETRY, steps.random);
  const content = yield* contentFor(goal, state, steps);
  if (!steps.isHeld()) return yield { kind: 'closed' };
  if (content instanceof SidecarError || content === null)
    return yield { kind: 'publish-failed', error: content, retryInMs };
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
    const volume = steps.observeNow();
    const left = { volume, everyMs: steps.lookEveryMs(), moment: steps.momentOf(volume) };
    return yield { kind: 'publish-failed', error: failure(thrown, 'publish', steps), retryInMs, left };
  }
  const moment = steps.moment();
  // Written, flushed and renamed a moment ago: to read one output back would tell nothing new.
  const volume: Volume = staged.mustLook
    ? await steps.observe()
    : { rendering: generation.rendering, changedAt: steps.time().unixMs, problem: null };
  const look = { volume, everyMs: steps.lookEveryMs(), moment };
  yield { kind: 'published', generation, startedAt, ...look };
  faultPoint('published');
}

async function* adopt(goal: Goal, state: State, steps: Steps): Events {
  const content = yield* contentFor(goal, state, steps);
  const retryInMs = retryDelay(state.session.tries.publish.failures + 1, RETRY, steps.random);
  if (content instanceof SidecarError || content === null)
    return yield { kind: 'publish-failed', error: content, retryInMs };
  const { volume } = state.session;
  const moment = volume === null ? null : steps.momentOf(volume);
  yield { kind: 'adopted', version: { ...content.version, moment } };
}

/** What is to be on the volume; null where there is nothing. A copy that is damaged is one no more. */
async function* contentFor(goal: Goal, state: State, steps: Steps) {
  const content = contentOf(goal, state);
  if (content === null || content.generation !== null)
    return content as { generation: Release; version: Published } | null;
  try {
    return { ...content, generation: steps.readCopy(content.kept) };
  } catch (thrown) {
    yield { kind: 'copy-lost', rendering: content.kept.rendering } satisfies Event;
    return failure(thrown, 'ledger', steps);
  }
}

/** The process started with what is on the volume, so that it need not be notified. */
async function* pickUp({ ledger, session, policy }: State, steps: Steps): Events {
  const notBefore = ledger.published?.at ?? 0;
  const beginning = {
    how: 'picked-up',
    process: session.process?.id ?? null,
    evidence: ['started'],
    notBefore,
  } as const;
  yield { kind: 'notified', result: 'picked-up', trial: trialOf(beginning, policy, steps) };
  faultPoint('told');
}

/** There is nothing to notify the application of; what is on the volume is tried all the same. */
async function* startTrial({ ledger, session, policy }: State, steps: Steps): Events {
  const notBefore = ledger.published?.at ?? 0;
  const beginning = {
    how: 'published',
    process: session.process?.id ?? null,
    evidence: [],
    notBefore,
  } as const;
  yield { kind: 'trial-started', trial: null, next: trialOf(beginning, policy, steps) };
}

async function* notify(state: State, steps: Steps, signal: AbortSignal): Events {
  const { ledger, session, policy } = state;
  const { published, told } = ledger;
  if (published === null) return;
  const process = session.process?.id ?? null;
  const beginning = {
    ...({ how: 'told', process, notBefore: steps.time().unixMs, toldFrom: steps.moment().ticks } as const),
    children: policy.proof.workers && process !== null ? steps.childrenOf(process) : [],
  };
  faultPoint('reload');
  const { revision } = published;
  const context = { process, revision, previousRevision: told?.version.revision ?? null };
  const result = await steps.notify(context, signal);
  if (result === null || (result.kind !== 'told' && signal.aborted)) return;
  faultPoint('delivered');
  const isUnknown = result.kind === 'owed' && result.class === 'unknown';
  if (result.kind === 'told' || (isUnknown && canProve(state, published))) {
    const evidence = result.kind === 'told' && result.evidence !== null ? [result.evidence] : [];
    // Where it is not known whether it was notified, that can be found out.
    const trial = trialOf({ ...beginning, evidence }, policy, steps);
    yield { kind: 'notified', result: isUnknown ? 'unknown' : 'told', trial };
    return faultPoint('told');
  }
  const setback = setbackOf(result, session, { random: steps.random, nowMs: steps.time().ms });
  const error = errorOf(result, steps);
  if (setback.outcome !== 'refused') return yield { kind: 'notify-failed', ...setback, error };
  yield trialFailed({ outcome: 'refused', error, isReplaced: true }, state, steps, setback.result);
  faultPoint('condemned');
}

/** Whether a look can tell that the application took this very version, though the hook did not answer. */
function canProve({ ledger, session, policy: { proof } }: State, { digest }: Published): boolean {
  if (proof.workers && (session.process?.id ?? null) !== null) return true;
  // The same data under another template has the same name.
  return proof.byTime || (proof.byName && ledger.told?.version.digest !== digest);
}

async function* probe(state: State, steps: Steps, signal: AbortSignal): Events {
  const { ledger, session, policy } = state;
  const { trial, published } = ledger;
  if (trial === null || published === null) return;
  // Of a run before this one nothing is known of the process.
  let seen = policy.isNamed && session.process === null ? steps.findProcess(published) : null;
  const view = {
    ...{ trial, published, isResumed: !session.hasTried },
    get current() {
      if (policy.isNamed) seen ??= steps.findProcess(published);
      return seen?.id ?? null;
    },
  };
  const result = await steps.confirm(view, signal);
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
      const next = {
        ...trialOf({ ...trial, evidence, process: result.process }, policy, steps),
        restarts: false,
      };
      return yield { kind: 'trial-started', trial, next };
    }
    case 'confirmed': {
      faultPoint('confirm');
      // What the ledger says to work must be what the volume shows after a crash of the machine.
      await steps.settled();
      yield { kind: 'confirmed', trial, evidence: result.evidence, ...(await copyOf(state, steps)) };
      faultPoint('kept');
      return steps.pruneCopies();
    }
    case 'died':
    case 'unconfirmed': {
      if (isNotThereYet(result, state))
        return yield { kind: 'unanswered', trial, error: notThereYet(result, steps) };
      const isDeath = result.kind === 'died';
      const how = {
        outcome: isDeath ? 'target-died' : 'unconfirmed',
        isReplaced: !isDeath || result.replaced,
      } as const;
      yield trialFailed({ ...how, error: errorOf(result, steps) }, state, steps);
      faultPoint('condemned');
    }
  }
}

/** Nothing answers at CONFIRM_URL, and nothing was ever confirmed: that says nothing about the configuration. */
function isNotThereYet(result: ConfirmResult, { ledger }: State): boolean {
  return result.kind === 'unconfirmed' && result.code === NO_ANSWER && ledger.kept.length === 0;
}

function notThereYet(
  result: { readonly code: string; readonly message: string },
  steps: Steps,
): SidecarError {
  const message = `${result.message}. The application is probably not there yet: nothing was confirmed before. CONFIRM_URL is asked until it answers.`;
  return errorOf({ ...result, message }, steps);
}

/** `isReplaced`: it is known already that the application did not just end. */
function trialFailed(
  {
    outcome,
    error,
    isReplaced,
  }: { readonly outcome: BadVerdict; readonly error: SidecarError; readonly isReplaced: boolean },
  { ledger, session, policy }: State,
  steps: Steps,
  result?: string,
): Event {
  const { published, trial, kept } = ledger;
  if (published === null) throw new Error('a trial of nothing failed');
  const at = steps.time().unixMs;
  const block = {
    ...versionOf(published),
    outcome,
    code: error.code,
    message: error.message,
    under: policy.under,
    at,
  };
  const workedBefore = kept[0]?.rendering === published.rendering;
  const retryInMs = workedBefore
    ? retryDelay(session.tries.renotify.failures + 1, RETRY, steps.random)
    : SLOW_RETRY_MS;
  const failure = { block, suspectUntil: isReplaced ? null : at + policy.confirmTimeoutMs };
  return { kind: 'trial-failed', trial, failure, error, retryInMs, ...(result !== undefined && { result }) };
}

type Beginning = Pick<Trial, 'how' | 'process' | 'evidence' | 'notBefore' | 'toldFrom'> & {
  readonly children?: Trial['children'];
};

function trialOf({ children = [], ...beginning }: Beginning, policy: State['policy'], steps: Steps): Trial {
  const restarts = beginning.how === 'told' && policy.restarts;
  // In this order: a pause between the two makes the notification look earlier, which does no harm.
  const moment = steps.moment();
  return { ...beginning, children, restarts, moment, at: steps.time().unixMs };
}

function failure(thrown: unknown, stage: Stage, { mask }: Steps): SidecarError {
  const error = toSidecarError(thrown, stage);
  const { code, output, message } = error;
  if (output === undefined) return error;
  return new SidecarError(message, { code, stage: error.stage, output: mask(output) });
}

function errorOf(
  { code, message, ...rest }: { code: string; message: string; output?: string },
  { mask }: Steps,
): SidecarError {
  const output = rest.output === undefined ? {} : { output: mask(rest.output) };
  return new SidecarError(message, { code, stage: 'reload', ...output });
}
