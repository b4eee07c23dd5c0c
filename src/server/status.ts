// What is known of every target, as plain data: for /status, /readyz, /metrics, the page and the commands.

import { describeHook } from '../application/reload/describe.ts';
import type { KeptGeneration, Pin, Running } from '../ledger/ledger.ts';
import { isoTime } from '../lib/iso-time.ts';
import { type AttemptedVersion, isOpen } from '../reconcile/journal.ts';
import { blocksOf } from '../reconcile/state.ts';
import type { TargetView } from '../reconcile/view.ts';
import { pathsOf } from '../settings/outputs.ts';
import { type SourceState, statesOf } from '../source/follow.ts';
import type {
  GenerationStatus,
  PinStatus,
  PublicStatus,
  PublicTargetStatus,
  ShownVersion,
  SourceStatus,
  Status,
  TargetStatus,
} from './status-shape.ts';
import { isReady, isUnderWay, nextTryAt, underTrialOf } from './target-state.ts';

export interface Identity {
  readonly version: string;
  readonly instance: string;
}

/** Everything, as of now. */
export function statusOf(kept: readonly TargetView[], { version, instance }: Identity): Status {
  return {
    version,
    instance,
    ready: kept.length > 0 && kept.every((one) => isReady(one)),
    fresh: kept.length > 0 && kept.every((one) => isFresh(one)),
    targets: Object.fromEntries(kept.map((one) => [one.name, targetStatus(one)])),
  };
}

/** Everything, with what takes a look at the machine. */
export async function detailsOf(kept: readonly TargetView[], identity: Identity): Promise<Status> {
  await Promise.all(kept.map(({ inSight }) => inSight.ready()));
  const status = statusOf(kept, identity);
  const entries = kept.map(async ({ name, inSight, difference }) => {
    const more = { processes: inSight.processes(), difference: await difference() };
    return [name, { ...status.targets[name], ...more } as TargetStatus] as const;
  });
  return { ...status, targets: Object.fromEntries(await Promise.all(entries)) };
}

/** What of it every client may know. Each field is named here: a new one is not public by accident. */
export function publicStatusOf({ version, instance, ready, fresh, targets }: Status): PublicStatus {
  const entries = Object.entries(targets).map(([name, target]) => [name, publicTarget(target)] as const);
  return { version, instance, ready, fresh, targets: Object.fromEntries(entries) };
}

/** What the page shows without a token: as the status, and which generations are kept, blocked or on trial. */
export function publicPageOf(status: Status): Status {
  const entries = Object.entries(status.targets).map(([name, target]) => {
    const { trial, underWay, template, generations, blocked } = target;
    const more = { trial, underWay, template, generations, blocked };
    return [name, { ...publicTarget(target), ...more }] as const;
  });
  return { ...status, targets: Object.fromEntries(entries) };
}

function publicTarget(target: TargetStatus): PublicTargetStatus {
  const { output, application, hook, outcome, code, message } = target;
  const { desired, attempted, running, lastKnownGood } = target;
  const { reloadOwed, pinned, nextAttemptAt, sources, preset, history } = target;
  return {
    ...{ output, application, hook, outcome, code, message },
    ...{ desired, attempted, running, lastKnownGood },
    ...{ reloadOwed, pinned, nextAttemptAt, sources, preset },
    history: history.map(({ output: _output, ...report }) => report),
  };
}

/** Whether the source was in contact within STALE_AFTER. */
export function isFresh(
  { source, staleAfterMs }: Pick<TargetView, 'source' | 'staleAfterMs'>,
  now = Date.now(),
): boolean {
  const { lastContactAt } = source.state();
  // A contact that lies in the future says that the clock was set back, and then not how long ago it was.
  return lastContactAt !== null && Math.abs(now - lastContactAt) < staleAfterMs;
}

/** Why the sidecar is not ready, a sentence for each target that is not. */
export function reasonsNotReady(kept: readonly TargetView[]): readonly string[] {
  return kept
    .filter((one) => !isReady(one))
    .map(({ name, state, source }) => {
      const { error } = source.state();
      const { journal } = state.session;
      const why = isOpen(journal) ? journal.current?.message : error?.message;
      return `${name}: ${why ?? 'this sidecar has published no configuration yet'}`;
    });
}

function targetStatus(view: TargetView): TargetStatus {
  const { state, source, template, preset, settings } = view;
  const { ledger, session } = state;
  const { current, history } = session.journal;
  const { owed, running, pinned, kept } = ledger;
  const tryAt = nextTryAt(state);
  const trial = underTrialOf(view);
  return {
    output: pathsOf(settings.OUTPUTS).join(' '),
    application: view.inSight.application(),
    hook: describeHook(settings),
    outcome: current?.outcome ?? null,
    code: current?.code ?? null,
    message: [
      ...(isOpen(session.journal) || current?.code ? [] : silences(view)),
      current?.message ?? '',
    ].join(' '),
    desired: shown(session.candidate?.version ?? null),
    attempted: shown(trial?.version ?? current?.attempted ?? null),
    running: shownRunning(running),
    lastKnownGood: shownGood(kept[0]),
    reloadOwed: owed !== null,
    pinned: pinned !== null,
    pin: pinned && shownPin(pinned),
    trial: trial && { since: isoTime(trial.since), until: isoTime(trial.until), waitsFor: trial.waitsFor },
    underWay: isUnderWay(state),
    nextAttemptAt: tryAt !== null ? isoTime(Date.now() + Math.max(0, tryAt - performance.now())) : null,
    sources: statesOf(source).map(sourceStatus),
    template: template && sourceStatus(template.state()),
    preset,
    generations: generationsOf(view),
    blocked: blocksOf(state, false).map(({ under: _under, at, ...block }) => ({ ...block, at: isoTime(at) })),
    history: history.map(({ attempted: _attempted, stage: _stage, at, ...report }) => ({
      ...report,
      at: isoTime(at),
    })),
  };
}

/** Where nothing else is wrong: since when it is not known any more whether what was newest still is. */
function silences({ source }: TargetView): readonly string[] {
  return statesOf(source).flatMap(({ url, up, lastContactAt, error }) => {
    if (up || lastContactAt === null) return [];
    const reason = error === null ? '' : ` (${error.code})`;
    return [`The source "${url}" has been silent since ${isoTime(lastContactAt)}${reason}. As of then:`];
  });
}

function generationsOf(view: TargetView): readonly GenerationStatus[] {
  const { ledger } = view.state;
  const onVolume = isReady(view) ? ledger.published?.rendering : undefined;
  return ledger.kept.map(({ generation, revision, rendering, confirmedAt }, i) => ({
    ...{ generation, revision, rendering, confirmedAt: isoTime(confirmedAt) },
    onVolume: rendering === onVolume,
    pinned: rendering === ledger.pinned?.rendering,
    lastKnownGood: i === 0,
  }));
}

function shownPin({ generation, at, by, reason }: Pin): PinStatus {
  return { generation, at: at === undefined ? null : isoTime(at), by: by ?? null, reason: reason ?? null };
}

function shownGood(kept: KeptGeneration | undefined): TargetStatus['lastKnownGood'] {
  if (kept === undefined) return null;
  const { revision, digest, rendering, confirmedAt } = kept;
  return { revision, digest, rendering, at: isoTime(confirmedAt) };
}

function shownRunning(running: Running | null): TargetStatus['running'] {
  if (running === null) return null;
  const { revision, digest, rendering } = running.version;
  return { revision, digest, rendering, at: isoTime(running.at), evidence: running.evidence.join(' ') };
}

function sourceStatus({ url, up, snapshot, lastContactAt, lastChangeAt, error }: SourceState): SourceStatus {
  const note = snapshot !== null && 'note' in snapshot ? snapshot.note : undefined;
  return {
    url,
    up,
    lastContactAt: lastContactAt === null ? null : isoTime(lastContactAt),
    lastChangeAt: lastChangeAt === null ? null : isoTime(lastChangeAt),
    ...(typeof note === 'string' && { note }),
    error: error === null ? null : { code: error.code, message: error.message },
  };
}

/** Field by field: what is handed in may have more. */
function shown(version: AttemptedVersion | null): ShownVersion | null {
  if (version === null) return null;
  const { revision, digest, rendering, at } = version;
  return { revision, digest, rendering, at: isoTime(at) };
}
