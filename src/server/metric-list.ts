// Every metric of a target: its name, its help, and its values, read off the status and the counts.
import { DURATION_BUCKETS } from '../reconcile/journal.ts';
import type { SourceStatus, TargetStatus } from './status-shape.ts';

/** What a target's metrics are read off. */
export interface Measured {
  readonly name: string;
  readonly status: TargetStatus;
  readonly ready: boolean;
  readonly fresh: boolean;
  /** Number of publications so far. */
  readonly generation: number;
  /** Unix milliseconds; null: never. */
  readonly appliedAt: number | null;
  /** Since the start of the process, by outcome, by result and by stage. */
  readonly outcomes: Readonly<Partial<Record<string, number>>>;
  readonly reloads: Readonly<Partial<Record<string, number>>>;
  readonly durations: Readonly<Partial<Record<string, Histogram>>>;
  /** Errors by source and code. */
  readonly errors: Readonly<Record<string, Readonly<Partial<Record<string, number>>>>>;
}

/** A histogram's counts, one for each bucket of DURATION_BUCKETS. */
interface Histogram {
  readonly buckets: readonly number[];
  readonly sum: number;
  readonly count: number;
}

interface Sample {
  readonly value: number;
  readonly labels: Readonly<Record<string, string>>;
  /** For the parts of a histogram. */
  readonly metricName?: string;
}

export interface Metric {
  readonly name: string;
  readonly help: string;
  readonly type: 'gauge' | 'counter' | 'histogram';
  readonly samples: (one: Measured) => readonly Sample[];
}

// An alert on the increase of a counter fires only when the counter was there, at 0, before: so all of these are.

/** What an attempt can end in. */
export const OUTCOMES: readonly string[] = [
  ...['applied', 'unchanged', 'picked-up', 'rejected', 'blocked', 'pinned', 'rolled-back', 'rollback-failed'],
  ...[
    'refused',
    'target-died',
    'unconfirmed',
    'failed',
    'held-back',
    'no-target',
    'ambiguous',
    'not-permitted',
  ],
  ...['ignored', 'stale-mount'],
];

/** How a try to notify the application can end. */
export const RESULTS: readonly string[] = [
  ...['told', 'picked-up', 'unavailable', 'misconfigured', 'refused', 'unknown', 'not-permitted', 'gone'],
];

export const STAGES: readonly string[] = ['render', 'validate', 'publish', 'reload', 'confirm'];

/** What can be wrong with a source. */
export const SOURCE_CODES: readonly string[] = [
  ...['ambiguous', 'bad-answer', 'bad-key', 'compacted', 'defect', 'denied', 'disconnected'],
  ...['ended', 'failed', 'host-key', 'kubeconfig', 'no-cluster', 'no-git', 'no-leader'],
  ...['no-space', 'not-found', 'proxy', 'redirected', 'silent', 'timeout', 'tls'],
  ...['too-large', 'truncated', 'unreachable', 'unstable', 'unverified', 'went-back', 'wrong-type'],
].map((code) => `source.${code}`);

/** One value for the target, or none. */
const single =
  (read: (one: Measured) => number | boolean | null) =>
  (one: Measured): readonly Sample[] => {
    const value = read(one);
    return value === null ? [] : [{ labels: { target: one.name }, value: Number(value) }];
  };

/** One value for each of the texts, those of `counts` and 0 for the others. */
function counted(
  label: string,
  known: readonly string[],
  { counts, labels }: { readonly counts: Measured['outcomes']; readonly labels: Sample['labels'] },
): readonly Sample[] {
  const all = new Set([...known, ...Object.keys(counts)]);
  return [...all].map((text) => ({ labels: { ...labels, [label]: text }, value: counts[text] ?? 0 }));
}

/** One for each URL: the same labels twice would spoil the scrape. */
function sourcesOf({ sources }: TargetStatus): readonly SourceStatus[] {
  return [...new Map(sources.map((source) => [source.url, source])).values()];
}

/** The Unix time in seconds of an ISO time. */
const seconds = (at: string | null): number | null => (at === null ? null : Date.parse(at) / 1000);

/** Whether the application is known to run what the source has. Where nothing shows what it runs, what was confirmed counts. */
function isInSync({ status: { desired, running, reloadOwed, trial, generations } }: Measured): boolean {
  const runs = running?.rendering ?? generations.find((one) => one.onVolume)?.rendering ?? null;
  return runs !== null && desired?.rendering === runs && !reloadOwed && trial === null;
}

export const METRICS: readonly Metric[] = [
  {
    name: 'config_sidecar_source_up',
    help: 'Whether the last contact with the source succeeded.',
    type: 'gauge',
    samples: ({ name, status }) =>
      sourcesOf(status).map(({ url, up }) => ({ labels: { target: name, source: url }, value: Number(up) })),
  },
  {
    name: 'config_sidecar_source_last_contact_timestamp_seconds',
    help: 'When the source last answered; 0 before the first time.',
    type: 'gauge',
    samples: ({ name, status }) =>
      sourcesOf(status).map(({ url, lastContactAt }) => ({
        labels: { target: name, source: url },
        value: seconds(lastContactAt) ?? 0,
      })),
  },
  {
    name: 'config_sidecar_source_errors_total',
    help: 'Errors of the source by code.',
    type: 'counter',
    samples: ({ name, errors }) =>
      Object.entries(errors).flatMap(([source, counts]) =>
        counted('code', SOURCE_CODES, { counts, labels: { target: name, source } }),
      ),
  },
  {
    name: 'config_sidecar_attempts_total',
    help: 'Attempts to apply a configuration by what they ended in.',
    type: 'counter',
    samples: ({ name, outcomes }) =>
      counted('outcome', OUTCOMES, { counts: outcomes, labels: { target: name } }),
  },
  {
    name: 'config_sidecar_outcome',
    help: 'The current outcome is 1, every other one 0.',
    type: 'gauge',
    samples: ({ name, status }) => {
      const counts = status.outcome === null ? {} : { [status.outcome]: 1 };
      return counted('outcome', OUTCOMES, { counts, labels: { target: name } });
    },
  },
  {
    name: 'config_sidecar_reloads_total',
    help: 'Tries to notify the application by result.',
    type: 'counter',
    samples: ({ name, reloads }) => counted('result', RESULTS, { counts: reloads, labels: { target: name } }),
  },
  {
    name: 'config_sidecar_reload_owed',
    help: 'Whether the application has not been notified of what is on the volume.',
    type: 'gauge',
    samples: single(({ status }) => status.reloadOwed),
  },
  {
    name: 'config_sidecar_ready',
    help: 'Whether a configuration is on the volume.',
    type: 'gauge',
    samples: single(({ ready }) => ready),
  },
  {
    name: 'config_sidecar_in_sync',
    help: 'Whether the application is known to run what the source has.',
    type: 'gauge',
    samples: single(isInSync),
  },
  {
    name: 'config_sidecar_pinned',
    help: 'Whether a generation was chosen by hand and stays.',
    type: 'gauge',
    samples: single(({ status }) => status.pinned),
  },
  {
    name: 'config_sidecar_blocked',
    help: 'Number of configurations that are known not to work and are not tried again.',
    type: 'gauge',
    samples: single(({ status }) => status.blocked.length),
  },
  {
    name: 'config_sidecar_fresh',
    help: 'Whether the source answered within STALE_AFTER.',
    type: 'gauge',
    samples: single(({ fresh }) => fresh),
  },
  {
    name: 'config_sidecar_last_applied_timestamp_seconds',
    help: 'When a configuration of the source was last found to work; 0 before the first time.',
    type: 'gauge',
    samples: single(({ appliedAt }) => (appliedAt ?? 0) / 1000),
  },
  {
    name: 'config_sidecar_generation',
    help: 'Number of publications so far, over restarts.',
    type: 'gauge',
    samples: single(({ generation }) => generation),
  },
  {
    name: 'config_sidecar_stage_duration_seconds',
    help: 'How long the stages of an attempt took.',
    type: 'histogram',
    samples: ({ name, durations }) =>
      STAGES.flatMap((stage) => histogram({ target: name, stage }, durations[stage])),
  },
];

const NONE: Histogram = { buckets: [], sum: 0, count: 0 };

function histogram(labels: Sample['labels'], { buckets, sum, count } = NONE): readonly Sample[] {
  const metricName = 'config_sidecar_stage_duration_seconds';
  const bucket = (le: string, value: number): Sample => {
    return { metricName: `${metricName}_bucket`, labels: { ...labels, le }, value };
  };
  return [
    ...DURATION_BUCKETS.map((le, i) => bucket(String(le), buckets[i] ?? 0)),
    bucket('+Inf', count),
    { metricName: `${metricName}_sum`, labels, value: sum },
    { metricName: `${metricName}_count`, labels, value: count },
  ];
}
