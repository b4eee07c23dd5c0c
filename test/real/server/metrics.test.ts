import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished, vi } from 'vitest';
import { SidecarError } from '../../../src/lib/errors.ts';
import { createLog } from '../../../src/lib/log.ts';
import { sleep } from '../../../src/lib/wait.ts';
import { type RunningTarget, startTarget } from '../../../src/reconcile/start-target.ts';
import { OUTCOMES, RESULTS, SOURCE_CODES, STAGES } from '../../../src/server/metric-list.ts';
import { createRegistry } from '../../../src/server/metrics.ts';
import type { Observation, OpenProvider } from '../../../src/source/provider.ts';
import { programsOf } from '../../support/presets/programs.ts';
import { load } from '../../support/settings/settings-loading.ts';

const document = (revision: string, text: string): Observation => ({
  kind: 'snapshot',
  snapshot: {
    revision,
    content: {
      kind: 'document',
      bytes: Buffer.from(text),
      name: 'app.json',
      contentType: null,
      pointer: null,
    },
  },
});

/** A source that fails once, then gives a document, then one that cannot be read. */
const open: OpenProvider = () => {
  let watches = 0;
  return {
    source: 'test://store/app.json',
    async *watch(signal) {
      watches += 1;
      if (watches === 1)
        throw new SidecarError('Cannot read it.', { code: 'source.timeout', stage: 'source' });
      yield document('1', '{"a": 1}');
      await sleep(200, signal);
      yield document('2', '{"a": ');
      while (!signal.aborted) await sleep(3_600_000, signal);
    },
  };
};

async function keeping(): Promise<{ readonly one: RunningTarget; readonly path: string }> {
  const directory = mkdtempSync(join(tmpdir(), 'metrics-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const path = join(directory, 'app.json');
  const log = createLog({ level: 'error', format: 'json', write: () => {} });
  const one = startTarget({
    name: 'default',
    loaded: await load({ OUTPUT: path }),
    env: {},
    open,
    instance: 'test',
    log,
  });
  onTestFinished(() => one.stop());
  return { one, path };
}

/** What `promtool check metrics` says of them, which is to be nothing. */
async function expectNothingToSay(text: string): Promise<void> {
  const { path, env } = programsOf('prometheus');
  const child = execFile(path('promtool'), ['check', 'metrics'], { env });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: string) => (said += chunk));
  child.stdin?.end(text);
  const code = await new Promise((resolve) => child.once('close', resolve));
  expect({ code, said }).toEqual({ code: 0, said: '' });
}

/** The samples by name with labels. */
async function scrape(one: RunningTarget): Promise<ReadonlyMap<string, number>> {
  const text = await createRegistry(() => [one], { version: '1.2.3', instance: 'test' }).metrics();
  await expectNothingToSay(text);
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => {
      const parts = /^([a-zA-Z_:][\w:]*(?:\{.*\})?) (\S+)$/.exec(line);
      if (parts === null) throw new Error(`Cannot read the line ${line}`);
      return [parts[1] ?? '', Number(parts[2])] as const;
    }),
  );
}

it('the metrics agree with what happened', async () => {
  const startedAt = Date.now() / 1000;
  const { one, path } = await keeping();
  await vi.waitFor(() => expect(one.state.session.journal.current?.outcome).toBe('rejected'), {
    timeout: 20_000,
  });
  const samples = await scrape(one);
  const at = (name: string): number | undefined => samples.get(`config_sidecar_${name}`);
  expect(at('build_info{version="1.2.3"}')).toBe(1);
  expect(at('source_up{target="default",source="test://store/app.json"}')).toBe(1);
  expect(
    at('source_errors_total{target="default",source="test://store/app.json",code="source.timeout"}'),
  ).toBe(1);
  expect(
    at('source_last_contact_timestamp_seconds{target="default",source="test://store/app.json"}'),
  ).toBeGreaterThanOrEqual(startedAt);
  expect(at('attempts_total{target="default",outcome="applied"}')).toBe(1);
  expect(at('attempts_total{target="default",outcome="rejected"}')).toBe(1);
  expect(at('attempts_total{target="default",outcome="rolled-back"}')).toBe(0);
  expect(at('reloads_total{target="default",result="refused"}')).toBe(0);
  expect(at('outcome{target="default",outcome="rejected"}')).toBe(1);
  expect(at('outcome{target="default",outcome="applied"}')).toBe(0);
  expect(at('ready{target="default"}')).toBe(1);
  expect(at('in_sync{target="default"}')).toBe(0);
  expect(at('pinned{target="default"}')).toBe(0);
  expect(at('blocked{target="default"}')).toBe(0);
  expect(at('reload_owed{target="default"}')).toBe(0);
  expect(at('generation{target="default"}')).toBe(1);
  expect(at('fresh{target="default"}')).toBe(1);
  const appliedAt = at('last_applied_timestamp_seconds{target="default"}') ?? 0;
  expect(appliedAt).toBeGreaterThanOrEqual(startedAt);
  expect(appliedAt).toBeLessThanOrEqual(Date.now() / 1000);
  expect(at('stage_duration_seconds_count{target="default",stage="publish"}')).toBe(1);
  expect(at('stage_duration_seconds_bucket{target="default",stage="publish",le="+Inf"}')).toBe(1);
  expect(at('stage_duration_seconds_count{target="default",stage="render"}')).toBe(2);
  expect(samples.get('process_cpu_seconds_total')).toBeGreaterThan(0);
  expect(readFileSync(path, 'utf8')).toBe('{"a": 1}');
});

it('the buckets of a histogram grow up to its count', async () => {
  const { one } = await keeping();
  await vi.waitFor(() => expect(one.state.session.journal.current?.outcome).toBe('rejected'), {
    timeout: 20_000,
  });
  const buckets = [...(await scrape(one))].filter(([name]) =>
    name.startsWith('config_sidecar_stage_duration_seconds_bucket{target="default",stage="render"'),
  );
  const counts = buckets.map(([, value]) => value);
  expect(counts.length).toBeGreaterThan(10);
  expect(counts).toEqual([...counts].sort((a, b) => a - b));
  expect(counts.at(-1)).toBe(2);
});

it('every series is there at 0 before anything has happened', async () => {
  const { one } = await keeping();
  const samples = await scrape(one);
  const labelsOf = (name: string, label: string): readonly string[] =>
    [...samples.keys()].flatMap((key) =>
      key.startsWith(`config_sidecar_${name}{`)
        ? [new RegExp(`${label}="([^"]*)"`).exec(key)?.[1] ?? '']
        : [],
    );
  for (const name of ['attempts_total', 'outcome']) expect(labelsOf(name, 'outcome')).toEqual(OUTCOMES);
  expect(labelsOf('reloads_total', 'result')).toEqual(RESULTS);
  expect(labelsOf('source_errors_total', 'code')).toEqual(SOURCE_CODES);
  expect(labelsOf('stage_duration_seconds_count', 'stage')).toEqual(STAGES);
  for (const name of ['ready', 'in_sync', 'pinned', 'blocked', 'fresh', 'last_applied_timestamp_seconds'])
    expect([name, samples.get(`config_sidecar_${name}{target="default"}`)]).toEqual([name, 0]);
  expect(samples.get('config_sidecar_log_lines_dropped_total')).toBe(0);
});

it('a sidecar that has not started to do anything has metrics too', async () => {
  const text = await createRegistry(() => [], { version: '1.2.3', instance: 'test' }).metrics();
  expect(text).toContain('config_sidecar_build_info{version="1.2.3"} 1\n');
  expect(text).toContain('# TYPE config_sidecar_attempts_total counter\n');
});
