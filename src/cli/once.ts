// One pass: from the source to the application, then an exit code.

import { LOCKED } from '../ledger/state-directory.ts';
import { EXIT } from '../lib/exit-codes.ts';
import { errorFields } from '../lib/log.ts';
import { sleep } from '../lib/wait.ts';
import type { Outcome } from '../reconcile/decide.ts';
import { type Keeping, type KeepOptions, keep } from '../reconcile/keep.ts';
import type { Waiting } from '../reconcile/waiting.ts';

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
export async function once(options: KeepOptions, signal: AbortSignal): Promise<number> {
  let settle: (code: number) => void = () => {};
  const settled = new Promise<number>((resolve) => {
    settle = resolve;
  });
  let keeping: Keeping | null = null;
  const onWait = (waiting: Waiting): void => {
    const code = keeping === null ? undefined : verdict(keeping, waiting);
    if (code !== undefined) settle(code);
  };
  const { ONCE_TIMEOUT } = options.loaded.settings;
  keeping = keep({ ...options, onWait, asksForMs: ONCE_TIMEOUT });
  const timeUp = new AbortController();
  // Ended before it was done: not 0, or an init container would let the application start without a configuration.
  signal.addEventListener('abort', () => settle(EXIT.unexpected), { once: true });
  void sleep(ONCE_TIMEOUT, timeUp.signal).then(async () => {
    if (timeUp.signal.aborted || keeping === null) return;
    // The last known good serves then, where there is one: that takes a moment.
    if (isSilent(keeping)) await servesLastKnownGood(keeping, timeUp.signal);
    if (!timeUp.signal.aborted) settle(outOfTime(keeping, options));
  });
  const code = await settled;
  timeUp.abort();
  // Our own end is none of a pod: what was seen to die stays under suspicion.
  await keeping.stop({ handsOver: !signal.aborted });
  return code;
}

/** How long the last known good may take to the volume when the source has had its time. */
const FALLBACK_MS = 5_000;
const LOOK_MS = 20;

function isSilent({ source, template }: Keeping): boolean {
  return source.state().snapshot === null || template?.state().snapshot === null;
}

async function servesLastKnownGood({ target }: Keeping, signal: AbortSignal): Promise<void> {
  // And whoever is there to be told of it is: a telling that is cut off would be made again by the next run.
  const isDone = (): boolean =>
    showsLastKnownGood(target) && !(target.ledger.owed !== null && target.isUnderWay);
  for (let waited = 0; waited < FALLBACK_MS && !isDone(); waited += LOOK_MS) {
    if (target.ledger.kept.length === 0) return;
    await sleep(LOOK_MS, signal);
  }
}

function showsLastKnownGood({ isReady, ledger }: Keeping['target']): boolean {
  const rendering = ledger.published?.rendering;
  return isReady && rendering !== undefined && ledger.kept.some((one) => one.rendering === rendering);
}

/** What the pass has come to, or undefined while it is under way. */
function verdict({ target }: Keeping, waiting: Waiting): number | undefined {
  const { owed, obstacle, settling, tries, lastReload } = waiting;
  const { current } = target.attempts;
  // A hook that says no is asked three times, and then there is the way back.
  const isRefusing = lastReload === 'refused' && current?.outcome === 'failed';
  const isUnderWay = owed && obstacle === null && (lastReload === null || isRefusing);
  if (current === null || current.code === LOCKED || settling || tries || isUnderWay) return undefined;
  if (current.outcome === 'failed' && current.stage !== 'reload') return EXIT.publishing;
  // Telling of what was published before is not the pass: the source has not answered yet.
  if (target.desired === null) return undefined;
  if (current.outcome !== 'failed') return EXIT_BY_OUTCOME[current.outcome];
  // What is not there yet reads the file when it starts, and the sidecar that runs beside it tells the rest.
  return lastReload === 'unavailable' ? EXIT.done : EXIT.reload;
}

function outOfTime(keeping: Keeping, { log }: KeepOptions): number {
  const { source, template, target } = keeping;
  if (isSilent(keeping) && showsLastKnownGood(target)) return EXIT.done;
  const { url } = source.state();
  const error = source.state().error ?? template?.state().error ?? null;
  const { current } = target.attempts;
  if (current?.outcome === 'failed' && current.stage !== 'reload') return EXIT.publishing;
  const silence = isSilent(keeping) ? { message: 'The source has not answered within ONCE_TIMEOUT.' } : {};
  log.error('out of time', { source: url, ...(error === null ? silence : errorFields(error)) });
  return error === null && !isSilent(keeping) ? EXIT.reload : EXIT.source;
}
