// What is known of everything, as the plain data that /status, /readyz, /metrics and the `status` command tell.
import type { AttemptedVersion, Report } from './attempts.ts';
import type { Followed, SourceState } from './follow.ts';
import type { Told, Version } from './ledger.ts';
import type { Target } from './target.ts';

/** One target with what it follows. */
export interface Kept {
  readonly name: string;
  readonly target: Target;
  readonly source: Followed;
  /** The followed templates; null without TEMPLATE. */
  readonly template: Followed | null;
  readonly staleAfterMs: number;
}

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
  /** What the application is known to run, with the evidence; null without any. */
  readonly running: (Shown<Version> & { readonly evidence: string }) | null;
  readonly lastKnownGood: null;
  readonly reloadOwed: boolean;
  readonly pinned: boolean;
  readonly nextAttemptAt: string | null;
  readonly sources: readonly SourceStatus[];
  /** The templates, which are followed like a source; null without TEMPLATE. */
  readonly template: SourceStatus | null;
  readonly history: readonly (Omit<Report, 'at' | 'attempted' | 'stage'> & { readonly at: string })[];
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

/** Everything, as of now. */
export function statusOf(kept: readonly Kept[], { version, instance }: Identity): Status {
  return {
    version,
    instance,
    ready: kept.length > 0 && kept.every(({ target }) => target.isReady),
    fresh: kept.length > 0 && kept.every((one) => isFresh(one)),
    targets: Object.fromEntries(kept.map((one) => [one.name, targetStatus(one)])),
  };
}

/** Whether the source was in contact within STALE_AFTER. */
export function isFresh(
  { source, staleAfterMs }: Pick<Kept, 'source' | 'staleAfterMs'>,
  now = Date.now(),
): boolean {
  const { lastContactAt } = source.state();
  // A contact that lies in the future says that the clock was set back, and then not how long ago it was.
  return lastContactAt !== null && Math.abs(now - lastContactAt) < staleAfterMs;
}

/** Why the sidecar is not ready, a sentence for each target that is not. */
export function reasonsNotReady(kept: readonly Kept[]): readonly string[] {
  return kept
    .filter(({ target }) => !target.isReady)
    .map(({ name, target, source }) => {
      const { error } = source.state();
      const why = target.attempts.isOpen ? target.attempts.current?.message : error?.message;
      return `${name}: ${why ?? 'no configuration of ours is on the volume yet'}`;
    });
}

function targetStatus({ target, source, template }: Kept): TargetStatus {
  const { current, history } = target.attempts;
  const { owed, told } = target.ledger;
  const waits = target.triesAgainInMs;
  return {
    outcome: current?.outcome ?? null,
    code: current?.code ?? null,
    message: current?.message ?? '',
    desired: shown(target.desired),
    attempted: shown(current?.attempted ?? null),
    running: running(told),
    lastKnownGood: null,
    reloadOwed: owed !== null,
    pinned: false,
    nextAttemptAt: waits !== null ? iso(Date.now() + waits) : null,
    sources: [sourceStatus(source.state())],
    template: template && sourceStatus(template.state()),
    history: history.map(({ attempted: _attempted, stage: _stage, at, ...report }) => ({
      ...report,
      at: iso(at),
    })),
  };
}

function running(told: Told | null): TargetStatus['running'] {
  if (told === null || told.evidence === null) return null;
  return { ...told.version, at: iso(told.at), evidence: told.evidence };
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
