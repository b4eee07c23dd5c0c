// One pass: from the source to the application, then an exit code.

import { NO_ANSWER } from '../application/confirm/confirm.ts';
import { LOCKED } from '../ledger/state-directory.ts';
import { EXIT } from '../lib/exit-codes.ts';
import { errorFields } from '../lib/log.ts';
import { sleep } from '../lib/wait.ts';
import type { Outcome } from '../reconcile/journal.ts';
import { type RunningTarget, startTarget, type TargetOptions } from '../reconcile/start-target.ts';
import type { State } from '../reconcile/state.ts';
import { isReady, isUnderWay } from '../server/target-state.ts';

/** For an outcome after which `once` ends; undefined where there is more to come. */
const EXIT_BY_OUTCOME: Readonly<Partial<Record<Outcome, number>>> = {
  applied: EXIT.done,
  unchanged: EXIT.done,
  'picked-up': EXIT.done,
  rejected: EXIT.refused,
  blocked: EXIT.refused,
  pinned: EXIT.done,
  'rolled-back': EXIT.reload,
  'rollback-failed': EXIT.reload,
  'target-died': EXIT.reload,
  unconfirmed: EXIT.reload,
  refused: EXIT.reload,
  ambiguous: EXIT.reload,
  'not-permitted': EXIT.reload,
  ignored: EXIT.reload,
  'stale-mount': EXIT.reload,
  // An application that is not there yet reads the file when it starts.
  'no-target': EXIT.done,
  'held-back': EXIT.done,
};

/**
 * Asks the source until ONCE_TIMEOUT, applies what it says, and resolves to the exit code. An application or a hook
 * that is not there yet is no failure; a refusal ends at once.
 */
export async function once(options: TargetOptions, signal: AbortSignal): Promise<number> {
  let settle: (code: number) => void = () => {};
  const settled = new Promise<number>((resolve) => {
    settle = resolve;
  });
  const onRest = (state: State): void => {
    const code = verdict(state);
    if (code !== undefined) settle(code);
  };
  const { ONCE_TIMEOUT } = options.loaded.settings;
  let known: KnownGood | null = null;
  const onOpen = (): void => {
    known ??= target.state.ledger.kept.map(({ rendering }) => rendering);
    options.onOpen?.();
  };
  const target = startTarget({ ...options, onRest, onOpen, asksForMs: ONCE_TIMEOUT });
  const timeUp = new AbortController();
  // Ended before it was done: not 0, or an init container would let the application start without a configuration.
  signal.addEventListener('abort', () => settle(EXIT.unexpected), { once: true });
  void sleep(ONCE_TIMEOUT, timeUp.signal).then(async () => {
    if (timeUp.signal.aborted) return;
    // The last known good serves then, where there is one: that takes a moment.
    if (isSilent(target)) await servesLastKnownGood(target, known ?? [], timeUp.signal);
    if (!timeUp.signal.aborted) settle(outOfTime(target, known ?? [], options));
  });
  const code = await settled;
  timeUp.abort();
  // The end of this process is not the end of the pod: a death that was seen stays suspect.
  await target.stop({ handsOver: !signal.aborted });
  return code;
}

/** How long the last known good may take to the volume when the source has had its time. */
const FALLBACK_MS = 5_000;
const LOOK_MS = 20;

/** Renderings that were confirmed before this pass: what it only notifies of, since the source is silent, is not its result. */
type KnownGood = readonly string[];

function isSilent({ source, template }: RunningTarget): boolean {
  return source.state().snapshot === null || template?.state().snapshot === null;
}

async function servesLastKnownGood(
  target: RunningTarget,
  known: KnownGood,
  signal: AbortSignal,
): Promise<void> {
  // The application is notified of it too: a notification that is cut off would be made again by the next run.
  const isDone = (): boolean =>
    showsLastKnownGood(target, known) && !(target.state.ledger.owed !== null && isUnderWay(target.state));
  for (let waited = 0; waited < FALLBACK_MS && !isDone(); waited += LOOK_MS) {
    if (known.length === 0) return;
    await sleep(LOOK_MS, signal);
  }
}

function showsLastKnownGood(target: RunningTarget, known: KnownGood): boolean {
  const { published, kept } = target.state.ledger;
  const isKept = kept.some(({ rendering }) => rendering === published?.rendering);
  return isReady(target) && isKept && published !== null && known.includes(published.rendering);
}

/** What the pass has come to, where the loop rests; undefined while there is more to come. */
function verdict(state: State): number | undefined {
  const { session } = state;
  const { journal } = session;
  const { current } = journal;
  // An application that does not answer yet reads the file when it starts.
  if (current?.outcome === 'no-target' && current.code === NO_ANSWER) return EXIT.done;
  if (current === null || current.code === LOCKED || isUnderWay(state) || isAwaited(state)) return undefined;
  if (current.outcome === 'failed' && current.stage !== 'reload') return EXIT.publishing;
  // To notify of what was published before is not the pass: the source has not answered yet.
  if (session.candidate === null) return undefined;
  if (current.outcome !== 'failed') return EXIT_BY_OUTCOME[current.outcome];
  // What is not there yet reads the file when it starts, and the sidecar that runs beside it does the rest.
  return session.notifying.lastResult === 'unavailable' ? EXIT.done : EXIT.reload;
}

/** What `run` would leave for later, and one pass waits for. */
function isAwaited({ ledger, session }: State): boolean {
  const { owed, published, suspect } = ledger;
  const { notifying, obstacle, journal } = session;
  const outcome = journal.current?.outcome;
  // A hook that says no is asked three times, and then there is the way back.
  const isRefusing = notifying.lastResult === 'refused' && outcome === 'failed';
  const isRollingBack = published?.as === 'rolled-back' && outcome !== 'rollback-failed';
  const isFirst = obstacle === null && (notifying.lastResult === null || isRefusing);
  return suspect !== null || (owed !== null && (isRollingBack || isFirst));
}

function outOfTime(target: RunningTarget, known: KnownGood, { log }: TargetOptions): number {
  const { source, template, state } = target;
  const { url } = source.state();
  const error = source.state().error ?? template?.state().error ?? null;
  if (isSilent(target) && showsLastKnownGood(target, known)) {
    const reason = error === null ? '' : `: ${error.message}`;
    const message = `The source has not answered within ONCE_TIMEOUT${reason}. The last known good configuration is used.`;
    log.warn('out of time', { source: url, ...(error !== null && { code: error.code }), message });
    return EXIT.done;
  }
  const { current } = state.session.journal;
  if (current?.outcome === 'failed' && current.stage !== 'reload') return EXIT.publishing;
  const isUnanswered = isSilent(target);
  const message = isUnanswered ? neverAnswered(url, error) : notFinished(current?.message ?? null);
  log.error('out of time', { source: url, ...(error !== null && errorFields(error)), message });
  return error === null && !isUnanswered ? EXIT.reload : EXIT.source;
}

function neverAnswered(url: string, error: { readonly message: string } | null): string {
  if (error !== null) return error.message;
  return `Cannot read the source "${url}": it has not answered within ONCE_TIMEOUT. Check that it runs and can be reached from here, or set a longer ONCE_TIMEOUT.`;
}

function notFinished(latest: string | null): string {
  const since = latest === null ? '' : ` ${latest}`;
  return `The pass was not finished within ONCE_TIMEOUT: set a longer one, or correct what delays it.${since}`;
}
