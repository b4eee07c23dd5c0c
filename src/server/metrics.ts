// The metrics in Prometheus text. Loaded, with prom-client, at the first scrape; until then the counts lie in the status.
import { collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import { DURATION_BUCKETS, type Durations } from '../reconcile/journal.ts';
import type { TargetView } from '../reconcile/view.ts';
import { type SourceState, statesOf } from '../source/follow.ts';
import { type Identity, isFresh } from './status.ts';

interface Sample {
  readonly value: number;
  readonly labels: Readonly<Record<string, string>>;
  /** For the parts of a histogram. */
  readonly metricName?: string;
}

interface Metric {
  readonly name: string;
  readonly help: string;
  readonly type: 'gauge' | 'counter' | 'histogram';
  readonly samples: (one: TargetView) => readonly Sample[];
}

const METRICS: readonly Metric[] = [
  {
    name: 'config_sidecar_source_up',
    help: 'Whether the last contact with the source succeeded.',
    type: 'gauge',
    samples: ({ name, source }) =>
      sourcesOf(source).map(({ url, up }) => ({ labels: { target: name, source: url }, value: Number(up) })),
  },
  {
    name: 'config_sidecar_source_last_contact_timestamp_seconds',
    help: 'When the source last answered.',
    type: 'gauge',
    samples: ({ name, source }) =>
      sourcesOf(source).flatMap(({ url, lastContactAt }) =>
        lastContactAt === null
          ? []
          : [{ labels: { target: name, source: url }, value: lastContactAt / 1000 }],
      ),
  },
  {
    name: 'config_sidecar_source_errors_total',
    help: 'Errors of the source by code.',
    type: 'counter',
    samples: ({ name, source }) =>
      sourcesOf(source).flatMap(({ url, errors }) =>
        Object.entries(errors).map(([code, value]) => ({
          labels: { target: name, source: url, code },
          value,
        })),
      ),
  },
  {
    name: 'config_sidecar_attempts_total',
    help: 'What attempts to apply a configuration ended in.',
    type: 'counter',
    samples: ({ name, state }) =>
      Object.entries(state.session.journal.outcomes).map(([outcome, value]) => ({
        labels: { target: name, outcome },
        value,
      })),
  },
  {
    name: 'config_sidecar_reloads_total',
    help: 'Tries to tell the application, by result.',
    type: 'counter',
    samples: ({ name, state }) =>
      Object.entries(state.session.journal.reloads).map(([result, value]) => ({
        labels: { target: name, result },
        value,
      })),
  },
  {
    name: 'config_sidecar_reload_owed',
    help: 'Whether the application has not been told of what is on the volume.',
    type: 'gauge',
    samples: ({ name, state }) => [{ labels: { target: name }, value: Number(state.ledger.owed !== null) }],
  },
  {
    name: 'config_sidecar_last_applied_timestamp_seconds',
    help: 'When the application was last told of a new configuration, or it was published where nobody is told.',
    type: 'gauge',
    samples: ({ name, state }) =>
      state.ledger.appliedAt === null
        ? []
        : [{ labels: { target: name }, value: state.ledger.appliedAt / 1000 }],
  },
  {
    name: 'config_sidecar_generation',
    help: 'Number of publications so far.',
    type: 'gauge',
    samples: ({ name, state }) => [{ labels: { target: name }, value: state.ledger.generation }],
  },
  {
    name: 'config_sidecar_fresh',
    help: 'Whether the source was in contact within STALE_AFTER.',
    type: 'gauge',
    samples: (one) => [{ labels: { target: one.name }, value: Number(isFresh(one)) }],
  },
  {
    name: 'config_sidecar_stage_duration_seconds',
    help: 'How long the stages of an attempt took.',
    type: 'histogram',
    samples: ({ name, state }) =>
      Object.entries(state.session.journal.durations).flatMap(([stage, durations]) =>
        histogram({ target: name, stage }, durations),
      ),
  },
];

/** One for each URL: the same labels twice would spoil the scrape. */
function sourcesOf(source: TargetView['source']): readonly SourceState[] {
  return [...new Map(statesOf(source).map((state) => [state.url, state])).values()];
}

function histogram(labels: Sample['labels'], { buckets, sum, count }: Durations): readonly Sample[] {
  const metricName = 'config_sidecar_stage_duration_seconds';
  return [
    ...DURATION_BUCKETS.map((le, i) => ({
      metricName: `${metricName}_bucket`,
      labels: { ...labels, le: String(le) },
      value: buckets[i] ?? 0,
    })),
    { metricName: `${metricName}_bucket`, labels: { ...labels, le: '+Inf' }, value: count },
    { metricName: `${metricName}_sum`, labels, value: sum },
    { metricName: `${metricName}_count`, labels, value: count },
  ];
}

/** The registry a scrape is answered from; it asks `kept` anew each time. */
export function createRegistry(kept: () => readonly TargetView[], { version }: Identity): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  new Gauge({
    name: 'config_sidecar_build_info',
    help: 'The version that runs; always 1.',
    labelNames: ['version'],
    registers: [registry],
  }).set({ version }, 1);
  for (const { samples, ...metric } of METRICS) {
    const get = async () => ({ ...metric, aggregator: 'sum', values: kept().flatMap((one) => samples(one)) });
    // prom-client asks a metric for nothing but its name and `get`; counts kept elsewhere have no class of theirs.
    registry.registerMetric({ name: metric.name, get } as unknown as Parameters<
      Registry['registerMetric']
    >[0]);
  }
  return registry;
}
