// The campaign: generated sequences of writes and faults against a real store, followed by the real provider and the
// real follow.ts; when the faults stop, the last snapshot is what the store holds, and none on the way was invented.
import * as fc from 'fast-check';
import { followOne } from '../../../src/source/follower.ts';
import type { Content, Provider } from '../../../src/source/provider.ts';
import type { FaultProxy } from '../servers/proxy.ts';
import { History, type Seen, type State, shortState, show, stateOfTree } from './history.ts';
import {
  type Change,
  describeSequence,
  PROXY_FAULTS,
  type ProxyFault,
  type Step,
  sequences,
} from './sequence.ts';

/** A place in a store that one sequence has for itself. */
export interface Place {
  /** Follows this place, through the proxy. A new one for each place. */
  readonly provider: Provider;
  /** null for a source without a network. */
  readonly proxy: FaultProxy | null;
  /**
   * Carries all changes out, at once where the store has transactions, not through the proxy. Gives the revision that a
   * snapshot of the place must have now, or null when that cannot be said. Rejects when the outcome is unknown.
   */
  write(changes: readonly Change[]): Promise<string | null>;
  /** What the store holds here, asked of the store itself. */
  current(): Promise<State>;
  /** What a snapshot's content holds; by default a tree's keys and values. */
  readonly decode?: (content: Content) => State;
  /** What can be done to the server, by name. Only for sequences that have it for themselves. */
  readonly serverFaults?: Readonly<Record<string, ServerFault>>;
  close(): Promise<void>;
}

export interface ServerFault {
  /** Done when the server answers again. Gives the states it made by itself, in order; none when it kept its data. */
  run(): Promise<readonly State[]>;
  /** What was written is kept, so that writing may go on meanwhile. */
  readonly keepsData: boolean;
}

export interface CampaignOptions {
  /** For the report. */
  readonly name: string;
  /** Every snapshot is one state of the store (`whole`), or each key for itself is (`per-key`). Default `whole`. */
  readonly promise?: 'whole' | 'per-key';
  /** Makes the n-th place, empty. */
  readonly open: (at: number) => Promise<Place>;
  /** How many; the environment variable CAMPAIGN_SEQUENCES beats it. Default 200. */
  readonly sequences?: number;
  /** How many at the same time. Default 16; 1 for faults of the server. */
  readonly concurrency?: number;
  /** Default all; give [] for a source without a network. */
  readonly proxyFaults?: readonly ProxyFault[];
  /** Names among `serverFaults` of the places. Default none. */
  readonly serverFaults?: readonly string[];
  /** Default 16. */
  readonly maxSteps?: number;
  /** Default 150,000. */
  readonly largeBytes?: number;
  /** How many times longer the pauses between the steps are, for a source that is seldom asked. Default 1. */
  readonly slowness?: number;
  /** The snapshot must equal the store this soon after the last fault. Default 10 s. */
  readonly settleMs?: number;
  /** Unix milliseconds until which a failed sequence may be made smaller. Default 60 s for that. */
  readonly shrinkMs?: number;
}

export interface CampaignReport {
  readonly seed: number;
  readonly sequences: number;
  readonly writes: number;
  /** By name. */
  readonly faults: Readonly<Record<string, number>>;
  readonly snapshots: number;
  /** What the sources were reported down with, by code. */
  readonly errors: Readonly<Record<string, number>>;
  /** The median and the longest time from the last fault to the last snapshot, in milliseconds. */
  readonly settledMs: { readonly median: number; readonly longest: number };
}

/**
 * Runs all sequences; throws with the seed and the smallest sequence that fails. The environment variable CAMPAIGN_SEED
 * (as the report prints it) repeats a run.
 */
export async function runCampaign(options: CampaignOptions): Promise<CampaignReport> {
  const { sequences: wanted = 200, concurrency = 16, shrinkMs = 60_000 } = options;
  const seed = Number(process.env['CAMPAIGN_SEED'] ?? Date.now() % 2 ** 31);
  const count = Number(process.env['CAMPAIGN_SEQUENCES'] ?? wanted);
  const arbitrary = arbitraryOf(options);
  const all = fc.sample(arbitrary, { seed, numRuns: count });
  const done: Outcome[] = [];
  let failed: { readonly at: number; readonly reason: Error } | null = null;
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < all.length && failed === null) {
      const at = next++;
      const outcome = await runSequence(options, at, all[at] ?? []).catch((thrown: unknown) => {
        failed ??= { at, reason: thrown instanceof Error ? thrown : new Error(String(thrown)) };
        return null;
      });
      if (outcome !== null) done.push(outcome);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, work));
  if (failed !== null) throw await smallest(options, { seed, shrinkMs }, failed);
  const report = reportOf(seed, done);
  console.log(`campaign ${options.name}: ${JSON.stringify(report)}`);
  return report;
}

/** Throws unless at least half of these faults came: chance may leave out a few of many, never most of them. */
export function expectMostFaults({ faults }: CampaignReport, names: readonly string[]): void {
  // A few sequences of one's own need not have them.
  if (process.env['CAMPAIGN_SEQUENCES'] !== undefined) return;
  const absent = names.filter((name) => faults[name] === undefined);
  if (absent.length * 2 > names.length) throw new Error(`No sequence had the faults: ${absent.join(', ')}`);
}

function arbitraryOf({
  proxyFaults = PROXY_FAULTS,
  serverFaults = [],
  maxSteps = 16,
  largeBytes = 150_000,
}: CampaignOptions) {
  return sequences({ proxyFaults, serverFaults, maxSteps, largeBytes });
}

/** Runs the failed sequence and smaller ones again, and says which is the smallest that fails. */
async function smallest(
  options: CampaignOptions,
  { seed, shrinkMs }: { readonly seed: number; readonly shrinkMs: number },
  { at, reason }: { readonly at: number; readonly reason: Error },
): Promise<Error> {
  let place = 1_000_000 + at;
  const property = fc.asyncProperty(arbitraryOf(options), async (steps) => {
    place += 1;
    await runSequence(options, place, steps);
  });
  const path = String(at);
  const details = await fc.check(property, { seed, path, numRuns: 1, interruptAfterTimeLimit: shrinkMs });
  const steps = details.counterexample?.[0];
  const again =
    steps === undefined
      ? `It did not fail when it was run again:\n${describeSequence(fc.sample(arbitraryOf(options), { seed, path, numRuns: 1 })[0] ?? [])}`
      : `The smallest that fails, after ${details.numShrinks} steps (${String(details.errorInstance)}):\n${describeSequence(steps)}`;
  return new Error(
    `campaign ${options.name}, CAMPAIGN_SEED=${seed}, sequence ${at}: ${reason.message}\n${again}`,
  );
}

interface Outcome {
  readonly writes: number;
  readonly faults: readonly string[];
  readonly snapshots: number;
  readonly errors: Readonly<Record<string, number>>;
  readonly settledMs: number;
}

/** Runs one sequence in a place of its own; throws when anything that was promised does not hold. */
async function runSequence(options: CampaignOptions, at: number, steps: readonly Step[]): Promise<Outcome> {
  const place = await options.open(at);
  const controller = new AbortController();
  const decode = (content: Content): State => short((place.decode ?? stateOfTree)(content));
  const seen: Seen[] = [];
  const history = new History({ state: {}, revision: null });
  const followed = followOne(place.provider, {
    signal: controller.signal,
    now: Date.now,
    random: Math.random,
    onNews: ({ snapshot }, news) => {
      if (news === 'snapshot' && snapshot !== null)
        seen.push({ state: decode(snapshot.content), revision: snapshot.revision });
    },
  });
  const fail = (reason: string): Error => new Error([reason, ...explain(history, seen)].join('\n'));
  try {
    const { writes, faults } = await carryOut(place, history, slower(steps, options.slowness));
    heal(place.proxy);
    const startedMs = performance.now();
    const truth = show(short(await place.current()));
    const isSettled = (): boolean => {
      const last = seen.at(-1);
      return followed.state().up && last !== undefined && show(last.state) === truth;
    };
    const { settleMs = 10_000 } = options;
    while (!isSettled()) {
      if (performance.now() - startedMs > settleMs) {
        const error = followed.state().error?.message ?? 'none';
        throw fail(
          `after ${settleMs} ms the snapshot is not what the store holds, ${truth} (last error: ${error})`,
        );
      }
      await pause(5);
    }
    const settledMs = performance.now() - startedMs;
    const wrong =
      options.promise === 'per-key' ? history.contradictionPerKey(seen) : history.contradiction(seen);
    if (wrong !== null) throw fail(wrong);
    const { errors } = followed.state();
    if (errors['internal'] !== undefined) throw fail('an error was not one of ours');
    return { writes, faults, snapshots: seen.length, errors, settledMs };
  } finally {
    controller.abort();
    await followed.done;
    await place.close();
  }
}

function slower(steps: readonly Step[], slowness = 1): readonly Step[] {
  return steps.map((step) => ({ ...step, thenMs: step.thenMs * slowness }));
}

const short = (state: State): State => shortState(Object.entries(state));

function explain(history: History, seen: readonly Seen[]): string[] {
  const last = seen.slice(-12).map(({ state, revision }) => `  ${show(state)} at ${revision}`);
  return ['the store held:', ...history.lines().map((line) => `  ${line}`), 'seen, newest last:', ...last];
}

async function carryOut(
  place: Place,
  history: History,
  steps: readonly Step[],
): Promise<{ readonly writes: number; readonly faults: readonly string[] }> {
  let writes = 0;
  const faults: string[] = [];
  const whole = new Map<string, string>();
  const write = async (changes: readonly Change[]): Promise<void> => {
    if (changes.length === 0) return;
    writes += 1;
    for (const { key, value } of changes) value === null ? whole.delete(key) : whole.set(key, value);
    await place.write(changes).then(
      (revision) => history.wrote(changes, revision),
      () => history.mayHaveWritten(changes),
    );
  };
  for (const step of steps) {
    if (step.kind === 'write') await write(step.changes);
    if (step.kind === 'touch') {
      const value = whole.get(step.key);
      if (value !== undefined) await write([{ key: step.key, value }]);
    }
    if (step.kind === 'proxy') {
      faults.push(step.fault);
      disturb(place.proxy, step.fault, step.amount);
    }
    if (step.kind === 'server') {
      faults.push(step.fault);
      const fault = place.serverFaults?.[step.fault];
      if (fault === undefined) throw new Error(`There is no fault "${step.fault}" at this place`);
      const running = fault.run();
      if (fault.keepsData) await Promise.all([running, write(step.meanwhile)]);
      for (const state of await running) history.became(short(state));
    }
    await pause(step.thenMs);
  }
  return { writes, faults };
}

function disturb(proxy: FaultProxy | null, fault: ProxyFault, amount: number): void {
  if (proxy === null) throw new Error('A place without a proxy has no faults at it');
  heal(proxy);
  if (fault === 'cut') proxy.cut();
  else if (fault === 'cut-after') proxy.cutAfterBytes = amount;
  else if (fault === 'delay') proxy.delayMs = amount;
  else proxy.mode = fault;
}

function heal(proxy: FaultProxy | null): void {
  if (proxy === null) return;
  proxy.mode = 'pass';
  proxy.delayMs = 0;
  proxy.cutAfterBytes = Number.POSITIVE_INFINITY;
}

function reportOf(seed: number, done: readonly Outcome[]): CampaignReport {
  const times = done.map(({ settledMs }) => Math.round(settledMs)).sort((a, b) => a - b);
  const faults: Record<string, number> = {};
  for (const name of done.flatMap((outcome) => outcome.faults)) faults[name] = (faults[name] ?? 0) + 1;
  const errors: Record<string, number> = {};
  for (const [code, count] of done.flatMap((outcome) => Object.entries(outcome.errors)))
    errors[code] = (errors[code] ?? 0) + count;
  return {
    seed,
    sequences: done.length,
    writes: done.reduce((sum, { writes }) => sum + writes, 0),
    faults,
    snapshots: done.reduce((sum, { snapshots }) => sum + snapshots, 0),
    errors,
    settledMs: { median: times[times.length >> 1] ?? 0, longest: times.at(-1) ?? 0 },
  };
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
