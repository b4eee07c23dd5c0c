// The metrics in Prometheus text. Loaded, with prom-client, at the first scrape; until then the counts lie in the targets.
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import { droppedLines } from '../lib/log.ts';
import type { TargetView } from '../reconcile/view.ts';
import { statesOf } from '../source/follow.ts';
import { METRICS, type Measured } from './metric-list.ts';
import { type Identity, isFresh, statusOf } from './status.ts';

/** prom-client's gauges with the name of a counter; what they add up is there without them. */
const MISNAMED = ['handles', 'requests', 'resources'].map((what) => `nodejs_active_${what}_total`);

/** The registry a scrape is answered from; it asks `kept` again each time. */
export function createRegistry(kept: () => readonly TargetView[], identity: Identity): Registry {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  for (const name of MISNAMED) registry.removeSingleMetric(name);
  new Gauge({
    name: 'config_sidecar_build_info',
    help: 'The version that runs; always 1.',
    labelNames: ['version'],
    registers,
  }).set({ version: identity.version }, 1);
  new Counter({
    name: 'config_sidecar_log_lines_dropped_total',
    help: 'Log lines that were dropped because nothing read them.',
    registers,
    collect() {
      this.reset();
      this.inc(droppedLines());
    },
  });
  const all = onceATurn(() => kept().map((one) => measured(one, identity)));
  for (const { samples, ...metric } of METRICS) {
    const get = async () => {
      const values = all().flatMap((one) => samples(one));
      return { ...metric, aggregator: 'sum', values };
    };
    // prom-client asks a metric for nothing but its name and `get`; counts kept elsewhere have no class of theirs.
    registry.registerMetric({ name: metric.name, get } as unknown as Parameters<
      Registry['registerMetric']
    >[0]);
  }
  return registry;
}

/** All metrics of a scrape are read off the same facts, and those are made once. */
function onceATurn<T>(make: () => T): () => T {
  let made: { readonly value: T } | null = null;
  return () => {
    if (made === null) {
      made = { value: make() };
      setImmediate(() => {
        made = null;
      });
    }
    return made.value;
  };
}

function measured(view: TargetView, identity: Identity): Measured {
  const { name, state, source } = view;
  const { ready, targets } = statusOf([view], identity);
  const status = targets[name];
  if (status === undefined) throw new Error(`There is no status of ${name}`);
  const { outcomes, reloads, durations } = state.session.journal;
  const { generation, appliedAt } = state.ledger;
  const errors = Object.fromEntries(statesOf(source).map((one) => [one.url, one.errors]));
  return {
    ...{ name, status, ready, fresh: isFresh(view), generation, appliedAt },
    ...{ outcomes, reloads, durations, errors },
  };
}
