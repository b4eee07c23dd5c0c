// What a crash of the machine leaves: the order of the writes, flushes and renames of the built program, as it makes them.
import { readFileSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { severalOutputs } from '../../support/e2e/outputs.ts';
import { createPlace } from '../../support/e2e/place.ts';
import { until } from '../../support/e2e/until.ts';

interface Step {
  readonly kind: 'written' | 'flushed' | 'renamed';
  readonly path: string;
  /** Of a ledger that says that what is published works. */
  readonly confirms?: true;
  /** What was renamed: a file, a directory, or a link. */
  readonly from?: string;
}

const RECORDER = resolve(import.meta.dirname, '../../support/publish/record-disk.cjs');

test('no name leads to bytes that are not on the disk, and nothing is confirmed before its names are', async (context) => {
  const place = createPlace(context);
  const { variables, set, shown } = severalOutputs(place);
  const record = place.at('record.jsonl');
  // Some changes are of one output, the others of both.
  const value = (i: number) => ({ one: `${i}`, two: i > 3 ? `${i}` : '0' });
  set(value(0));
  const env = { ...variables, DISK_RECORD: record };
  const sidecar = await place.start(env, { nodeWords: ['--require', RECORDER] });
  await sidecar.outcome('applied');
  for (let i = 1; i <= 5; i += 1) {
    set(value(i));
    await until('the change is applied', () => sidecar.logs('applied').length === i + 1);
    expect(shown('out/one.conf')).toBe(`one ${i}\n`);
  }
  await sidecar.end();
  const steps = readFileSync(record, 'utf8')
    .trim()
    .split('\n')
    .map((line): Step => JSON.parse(line));
  const outputs = [place.at('out'), place.at('dir')];
  const swaps = steps.flatMap((step, at) =>
    step.kind === 'renamed' && outputs.includes(dirname(step.path)) ? [{ ...step, at }] : [],
  );
  // The directory that `..data` leads to is staged under another name as well.
  const named = (name: RegExp): number => swaps.filter(({ path }) => name.test(path)).length;
  expect([named(/one\.conf$/), named(/\.\.gen-\w+$/), named(/\.\.data$/)]).toEqual([6, 3, 3]);
  for (const { at, from = '' } of swaps) expect(unflushed(steps.slice(0, at), from)).toEqual([]);
  const confirmations = steps.flatMap(({ kind, path }, at) => {
    const isLedger = kind === 'flushed' && basename(path).startsWith('ledger.');
    return isLedger && steps[at - 1]?.confirms ? [at] : [];
  });
  expect(confirmations.length).toBe(6);
  for (const at of confirmations) expect(unsettled(steps.slice(0, at), outputs)).toEqual([]);
});

/** Files of a path, or below it, that were written and not flushed since; and directories with such new names. */
function unflushed(steps: readonly Step[], path: string): readonly string[] {
  const open = new Set<string>();
  for (const step of steps) {
    if (step.kind === 'flushed') open.delete(step.path);
    if (step.kind !== 'written' || (step.path !== path && !step.path.startsWith(`${path}/`))) continue;
    open.add(step.path);
    if (step.path !== path) open.add(dirname(step.path));
  }
  return [...open];
}

/** Directories of outputs in which a name has changed that is not on the disk. */
function unsettled(steps: readonly Step[], outputs: readonly string[]): readonly string[] {
  return outputs.filter((output) => {
    const changed = steps.findLastIndex(({ kind, path }) => kind === 'renamed' && dirname(path) === output);
    return changed > steps.findLastIndex(({ kind, path }) => kind === 'flushed' && path === output);
  });
}
