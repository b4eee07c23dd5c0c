// What one change reads: the processes are looked at on the way of every change.
import { readFileSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { fileJob, publishedValue } from '../../support/e2e/backing.ts';
import { createPlace } from '../../support/e2e/place.ts';
import { until } from '../../support/e2e/until.ts';

/** Reads of the thread that does the work, so far. */
function readsOf(pid: number): number {
  return Number(/^syscr: (\d+)$/m.exec(readFileSync(`/proc/${pid}/task/${pid}/io`, 'latin1'))?.[1]);
}

test('changes within a second of each other take few reads each, whatever stands above the application', async (context) => {
  const place = createPlace(context);
  const job = fileJob(place);
  const app = await place.app({ config: job.config });
  const now = { DEBOUNCE: '0s', RELOAD_MIN_INTERVAL: '0s' };
  const sidecar = await place.start({ ...job.variables, ...now, APP_PROCESS: place.name });
  await sidecar.outcome('applied');
  const reads: number[] = [];
  for (let i = 0; i < 40; i += 1) {
    const before = readsOf(sidecar.pid);
    job.set(`value ${i}`);
    await until('it was notified', () => publishedValue(app.told().at(-1) ?? '{}') === `value ${i}`);
    // What follows the notification: the trial, the ledger, the copy.
    await wait(50);
    reads.push(readsOf(sidecar.pid) - before);
  }
  // Others start processes meanwhile, and a look a second is a whole one: the cheapest change counts.
  expect(Math.min(...reads)).toBeLessThanOrEqual(30);
});
