// The campaign of several sources: the built program follows a file tree, an HTTP document, Consul and etcd at once, under
// generated writes and faults of each network. The volume ends at the merge, and shows a mixture of moments only in passing.
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  type Held,
  type MergedSource,
  mergeOf,
  NAMES,
  openSources,
  type Servers,
  type SourceName,
  serveDocuments,
} from '../support/campaign/merged-sources.ts';
import { startSidecar } from '../support/e2e/sidecar.ts';
import { until } from '../support/e2e/until.ts';
import { startConsul } from '../support/servers/consul.ts';
import { startEtcd } from '../support/servers/etcd.ts';
import { startHttpSource } from '../support/servers/http-source.ts';

const DEBOUNCE_MS = 50;
/** The document is asked for this often, a tenth more or less. */
const POLL_MS = 200;
/** A busy machine, a file that must lie still for a moment, a write to the volume: how late everything may be besides. */
const SLACK_MS = 2_000;
/** What a black hole takes to be noticed, and the longest pause before a source is asked again. */
const SETTLE_MS = 45_000;
const SEQUENCES = Number(process.env['CAMPAIGN_SEQUENCES'] ?? 24);
const AT_ONCE = 4;
const SEED = Number(process.env['CAMPAIGN_SEED'] ?? Date.now() % 2 ** 31);

type Step = { readonly thenMs: number } & (
  | { readonly kind: 'write'; readonly source: SourceName; readonly common: string | null }
  | { readonly kind: 'fault'; readonly source: SourceName; readonly fault: Fault }
);
const FAULTS = ['refuse', 'cut', 'hold', 'delay', 'black-hole', 'pass'] as const;
type Fault = (typeof FAULTS)[number];

const networked = fc.constantFrom<SourceName>('http', 'consul', 'etcd');
const write = fc.record({
  kind: fc.constant('write' as const),
  source: fc.constantFrom(...NAMES),
  common: fc.option(fc.constantFrom('x', 'y', 'z')),
  thenMs: fc.constantFrom(0, 0, 5, 60, 250),
});
const fault = fc.record({
  kind: fc.constant('fault' as const),
  source: networked,
  fault: fc.oneof(
    { weight: 12, arbitrary: fc.constantFrom(...FAULTS.filter((name) => name !== 'black-hole')) },
    { weight: 1, arbitrary: fc.constant('black-hole' as const) },
  ),
  thenMs: fc.constantFrom(0, 20, 150, 600),
});
const steps = fc.record({
  /** A source that cannot be reached at the start: nothing may be published before it answers. */
  closed: fc.option(networked),
  before: fc.array(fc.oneof({ weight: 3, arbitrary: write }, { weight: 2, arbitrary: fault }), {
    maxLength: 14,
  }),
  /** Without faults: here the volume must follow. */
  after: fc.array(write, { minLength: 4, maxLength: 14 }),
});
interface Sequence {
  readonly closed: SourceName | null;
  readonly before: readonly Step[];
  readonly after: readonly Step[];
}

let servers: Servers;
beforeAll(async () => {
  const [etcd, consul, http] = await Promise.all([startEtcd(), startConsul(), startHttpSource()]);
  servers = { etcd, consul, http, documents: new Map() };
  serveDocuments(servers);
});
afterAll(() => Promise.all([servers?.etcd.end(), servers?.consul.end(), servers?.http.stop()]));

it('the volume ends at the merge of what four sources hold, and is never long at what they never held at one time', async () => {
  const all = fc.sample(steps, { seed: SEED, numRuns: SEQUENCES }) as readonly Sequence[];
  const longest: number[] = [];
  const report = { shown: 0, faults: 0, writes: 0 };
  const work = async (): Promise<void> => {
    for (let at = next++; at < all.length; at = next++) {
      const sequence = all[at] as Sequence;
      const run = await runSequence(at, sequence).catch((thrown: unknown) => {
        throw new Error(`CAMPAIGN_SEED=${SEED}, sequence ${at}: ${JSON.stringify(sequence)}`, {
          cause: thrown,
        });
      });
      longest.push(run.settledMs);
      report.shown += run.shown;
      report.writes += run.writes;
      report.faults += sequence.before.filter(({ kind }) => kind === 'fault').length;
    }
  };
  let next = 0;
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  console.log(
    `campaign several sources: seed ${SEED}, ${JSON.stringify({ ...report, longestSettledMs: Math.max(...longest) })}`,
  );
}, 1_800_000);

/** When each source held what: the time a write began, and the time by which it was done. */
type Log = Record<SourceName, { readonly held: Held; readonly fromMs: number; readonly doneMs: number }[]>;

async function runSequence(at: number, { closed, before, after }: Sequence) {
  const directory = mkdtempSync(join(tmpdir(), 'config-sidecar-campaign-'));
  const id = `run${process.pid}x${at}`;
  const sources = await openSources(servers, { id, directory });
  const log: Log = { file: [], http: [], consul: [], etcd: [] };
  const held = (): Record<SourceName, Held> =>
    Object.fromEntries(NAMES.map((name) => [name, log[name].at(-1)?.held])) as Record<SourceName, Held>;
  const put = async (name: SourceName, common: string | null): Promise<void> => {
    const next = { count: (log[name].at(-1)?.held.count ?? 0) + 1, common };
    const fromMs = performance.now();
    await sources[name].write(next);
    log[name].push({ held: next, fromMs, doneMs: performance.now() });
  };
  for (const name of NAMES) await put(name, null);
  if (closed !== null) disturb(sources[closed], 'refuse');
  const output = join(directory, 'out.json');
  const variables = {
    PATH: process.env['PATH'] ?? '',
    SOURCE: NAMES.map((name) => sources[name].url).join(' '),
    OUTPUT: output,
    DEBOUNCE: `${DEBOUNCE_MS}ms`,
    UPDATE_FREQUENCY: `${POLL_MS}ms`,
    RELOAD_MIN_INTERVAL: '0',
    STALE_AFTER: '10m',
  };
  const sidecar = await startSidecar(variables, directory, {});
  const watching = watchOutput(output);
  const carryOut = async (list: readonly Step[]): Promise<void> => {
    for (const step of list) {
      if (step.kind === 'write') await put(step.source, step.common);
      else disturb(sources[step.source], step.fault);
      await pause(step.thenMs);
    }
  };
  const settle = async (): Promise<number> => {
    const startedMs = performance.now();
    while (!isDeepStrictEqual(watching.now(), mergeOf(held()))) {
      if (performance.now() - startedMs > SETTLE_MS) {
        throw new Error(
          `the volume shows ${JSON.stringify(watching.now())}, the sources hold ${JSON.stringify(mergeOf(held()))}\n${sidecar.output().slice(-3_000)}`,
        );
      }
      await pause(5);
    }
    return performance.now() - startedMs;
  };
  try {
    if (closed !== null) {
      await pause(600);
      expect(existsSync(output)).toBe(false);
      disturb(sources[closed], 'pass');
    }
    await carryOut(before);
    for (const name of NAMES) disturb(sources[name], 'pass');
    // A connection that was lost in a black hole would only be found out later.
    for (const name of NAMES) sources[name].proxy?.cut();
    const healedAt = Date.now();
    const settledMs = await settle();
    await until('every source was in contact since', async () =>
      (await sidecar.target()).sources.every(
        ({ up, lastContactAt }) => up && Date.parse(lastContactAt ?? '') > healedAt,
      ),
    );
    const quietMs = performance.now();
    await carryOut(after);
    await settle();
    const shown = watching.shown();
    for (const { data } of shown) expect(wasWritten(data, log), JSON.stringify(data)).toBe(true);
    expectForward(shown.map(({ data }) => data));
    for (const { data, fromMs, untilMs } of shown.filter((one) => one.fromMs > quietMs)) {
      const brokenMs = brokenSince(data, log);
      const boundMs = brokenMs + DEBOUNCE_MS + POLL_MS + SLACK_MS;
      expect(untilMs, `${JSON.stringify(data)} was shown from ${fromMs} to ${untilMs}`).toBeLessThan(boundMs);
    }
    const writes = NAMES.reduce((sum, name) => sum + log[name].length, 0);
    return { settledMs, shown: shown.length, writes };
  } finally {
    watching.stop();
    await sidecar.end('SIGKILL');
    await Promise.all(NAMES.map((name) => sources[name].close()));
    rmSync(directory, { recursive: true, force: true });
  }
}

interface Published {
  readonly counts: Readonly<Record<SourceName, string>>;
  readonly common?: string;
}

interface Shown {
  readonly data: Published;
  readonly fromMs: number;
  untilMs: number;
}

/** Looks at the volume all the time. */
function watchOutput(path: string) {
  const shown: Shown[] = [];
  let text = '';
  const look = (): void => {
    const now = performance.now();
    const last = shown.at(-1);
    if (last !== undefined) last.untilMs = now;
    const found = existsSync(path) ? readFileSync(path, 'utf8') : '';
    if (found === text) return;
    text = found;
    shown.push({ data: JSON.parse(found), fromMs: now, untilMs: now });
  };
  const timer = setInterval(look, 4);
  return {
    now: () => shown.at(-1)?.data,
    shown: (): readonly Shown[] => shown,
    stop: () => clearInterval(timer),
  };
}

const countOf = (data: Published, name: SourceName): number => Number(data.counts[name]);

/** All sources are there, each with something that was written to it. */
function wasWritten(data: Published, log: Log): boolean {
  return NAMES.every((name) => log[name].some(({ held }) => held.count === countOf(data, name)));
}

/** No source goes backwards. */
function expectForward(list: readonly Published[]): void {
  for (const [at, data] of list.entries()) {
    const before = list[at - 1];
    if (before === undefined) continue;
    for (const name of NAMES) {
      expect(
        countOf(data, name),
        `${name} went backwards: ${JSON.stringify([before, data])}`,
      ).toBeGreaterThanOrEqual(countOf(before, name));
    }
  }
}

/**
 * Since when what is shown is no longer what all sources held at one time: since the oldest of its parts was replaced;
 * never, while it is what they hold.
 */
function brokenSince(data: Published, log: Log): number {
  const ends = NAMES.map((name) => {
    const at = log[name].findIndex(({ held }) => held.count === countOf(data, name));
    return log[name][at + 1]?.doneMs ?? Number.POSITIVE_INFINITY;
  });
  return Math.min(...ends);
}

function disturb({ proxy }: MergedSource, name: Fault): void {
  if (proxy === null) return;
  proxy.mode = 'pass';
  proxy.delayMs = 0;
  if (name === 'cut') proxy.cut();
  else if (name === 'delay') proxy.delayMs = 40;
  else proxy.mode = name;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
