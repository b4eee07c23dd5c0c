// A change that arrives while the application is starting: the short form of `npm run early-start`.
import { expect, test } from 'vitest';
import { runCampaign } from '../../support/application/process/early-campaign.ts';

test('no application dies of a change that arrives while it starts, and each ends with the new configuration', async () => {
  const seed = Date.now() % 1_000_000;
  const languages = ['c', 'go', 'node', 'python', 'shell'] as const;
  const runs = await runCampaign({ runs: 10, languages, slots: 12, seed });
  const failed = runs.filter(({ end }) => end !== 'new configuration');
  expect(failed, `seed ${seed}`).toEqual([]);
  expect(new Set(runs.map(({ start }) => start.language)).size).toBeGreaterThanOrEqual(3);
  // Otherwise the delays would not fall into the start any more.
  expect(runs.some(({ told }) => told > 0)).toBe(true);
});
