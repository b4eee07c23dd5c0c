// What is known of everything, as the plain data that /status, /readyz, /metrics and the `status` command tell.

import type { Block, Kept as KeptGeneration, Running, Version } from '../ledger/ledger.ts';
import type { AttemptedVersion, Report } from '../reconcile/attempts.ts';
import type { Target } from '../reconcile/target.ts';
import type { TargetView } from '../reconcile/types.ts';
import type { PresetStatus } from '../settings/presets/describe.ts';
import type { SourceState } from '../source/follow.ts';

export interface SourceStatus {
  readonly url: string;
  readonly up: boolean;
  /** ISO 8601, like every time here; null: never. */
  readonly lastContactAt: string | null;
  readonly lastChangeAt: string | null;
  readonly error: { readonly code: string; readonly message: string } | null;
}

type Shown<V> = Omit<V, 'at'> & { readonly at: string };

export interface TargetStatus {
  readonly outcome: string | null;
  readonly code: string | null;
  readonly message: string;
  readonly desired: Shown<AttemptedVersion> | null;
  readonly attempted: Shown<AttemptedVersion> | null;
  /** What the application is known to run, with the kinds of evidence separated by blanks; null without any. */
  readonly running: (Shown<Version> & { readonly evidence: string }) | null;
  readonly lastKnownGood: Shown<Version> | null;
  readonly reloadOwed: boolean;
  readonly pinned: boolean;
  /** What is on the volume is being tried: nothing newer is published until the verdict. */
  readonly trial: TrialStatus | null;
  /** Whether something is being done that ends in an outcome by itself. */
  readonly underWay: boolean;
  readonly nextAttemptAt: string | null;
  readonly sources: readonly SourceStatus[];
  /** The templates, which are followed like a source; null without TEMPLATE. */
  readonly template: SourceStatus | null;
  /** The known application it is set up for; null without PRESET. */
  readonly preset: PresetStatus | null;
  /** The confirmed generations that are kept, the last known good first. */
  readonly generations: readonly GenerationStatus[];
  /** What is known not to work under the settings as they are, newest first. */
  readonly blocked: readonly (Omit<Block, 'at' | 'under'> & { readonly at: string })[];
  /** What was printed is told only where `withOutputs` says so. */
  readonly history: readonly (Omit<Report, 'at' | 'attempted' | 'stage' | 'output'> & {
    readonly at: string;
    readonly output?: string | null;
  })[];
}

export interface TrialStatus {
  readonly since: string;
  /** When it ends at the latest (`CONFIRM_TIMEOUT`). */
  readonly until: string;
  /** The settings that ask for what has to be seen. */
  readonly waitsFor: readonly string[];
}

export interface GenerationStatus {
  readonly generation: number;
  readonly revision: string;
  readonly rendering: string;
  readonly confirmedAt: string;
  readonly onVolume: boolean;
  readonly pinned: boolean;
  readonly lastKnownGood: boolean;
}

export interface Status {
  readonly version: string;
  readonly instance: string;
  readonly ready: boolean;
  readonly fresh: boolean;
  readonly targets: Readonly<Record<string, TargetStatus>>;
}

export interface Identity {
  readonly version: string;
  readonly instance: string;
}

/** Everything, as of now. `withOutputs`: with what commands and hooks printed, which is not for everybody. */
export function statusOf(
  kept: readonly TargetView[],
  { version, instance }: Identity,
  { withOutputs = false }: { readonly withOutputs?: boolean } = {},
): Status {
  return {
    version,
    instance,
    ready: kept.length > 0 && kept.every(({ target }) => target.isReady),
    fresh: kept.length > 0 && kept.every((one) => isFresh(one)),
    targets: Object.fromEntries(kept.map((one) => [one.name, targetStatus(one, withOutputs)])),
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
    .filter(({ target }) => !target.isReady)
    .map(({ name, target, source }) => {
      const { error } = source.state();
      const why = target.attempts.isOpen ? target.attempts.current?.message : error?.message;
      return `${name}: ${why ?? 'no configuration of ours is on the volume yet'}`;
    });
}

function targetStatus({ target, source, template, preset }: TargetView, withOutputs: boolean): TargetStatus {
  const { current, history } = target.attempts;
  const { owed, running, pinned } = target.ledger;
  const waits = target.triesAgainInMs;
  const trial = target.underTrial;
  return {
    outcome: current?.outcome ?? null,
    code: current?.code ?? null,
    message: current?.message ?? '',
    desired: shown(target.desired),
    attempted: shown(trial?.version ?? current?.attempted ?? null),
    running: shownRunning(running),
    lastKnownGood: shownGood(target.ledger.kept[0]),
    reloadOwed: owed !== null,
    pinned: pinned !== null,
    trial: trial && { since: iso(trial.since), until: iso(trial.until), waitsFor: trial.waitsFor },
    underWay: target.isUnderWay,
    nextAttemptAt: waits !== null ? iso(Date.now() + waits) : null,
    sources: [sourceStatus(source.state())],
    template: template && sourceStatus(template.state()),
    preset,
    generations: generationsOf(target),
    blocked: target.blocked.map(({ under: _under, at, ...block }) => ({ ...block, at: iso(at) })),
    history: history.map(({ attempted: _attempted, stage: _stage, output, at, ...report }) => ({
      ...report,
      ...(withOutputs && { output }),
      at: iso(at),
    })),
  };
}

function generationsOf({ ledger, isReady }: Target): readonly GenerationStatus[] {
  const onVolume = isReady ? ledger.published?.rendering : undefined;
  return ledger.kept.map(({ generation, revision, rendering, confirmedAt }, i) => ({
    ...{ generation, revision, rendering, confirmedAt: iso(confirmedAt) },
    onVolume: rendering === onVolume,
    pinned: rendering === ledger.pinned?.rendering,
    lastKnownGood: i === 0,
  }));
}

function shownGood(kept: KeptGeneration | undefined): TargetStatus['lastKnownGood'] {
  if (kept === undefined) return null;
  const { revision, digest, rendering, confirmedAt } = kept;
  return { revision, digest, rendering, at: iso(confirmedAt) };
}

function shownRunning(running: Running | null): TargetStatus['running'] {
  if (running === null) return null;
  return { ...running.version, at: iso(running.at), evidence: running.evidence.join(' ') };
}

function sourceStatus({ url, up, lastContactAt, lastChangeAt, error }: SourceState): SourceStatus {
  return {
    url,
    up,
    lastContactAt: lastContactAt === null ? null : iso(lastContactAt),
    lastChangeAt: lastChangeAt === null ? null : iso(lastChangeAt),
    error: error === null ? null : { code: error.code, message: error.message },
  };
}

function shown(version: AttemptedVersion | null): Shown<AttemptedVersion> | null {
  return version === null ? null : { ...version, at: iso(version.at) };
}

function iso(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}
