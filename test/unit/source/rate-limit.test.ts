// The bucket that bounds how often something is asked.
import { expect, it } from 'vitest';
import { createRateLimit } from '../../../src/source/rate-limit.ts';

it('serves a burst at once, then at its rate, and fills up again in a rest', () => {
  let now = 0;
  const take = createRateLimit({ burst: 3, perSecond: 2 }, () => now);
  const waited = Array.from({ length: 6 }, () => {
    const wait = take();
    now += wait;
    return wait;
  });
  expect(waited).toEqual([0, 0, 0, 500, 500, 500]);
  now += 60_000;
  expect([take(), take(), take(), take()]).toEqual([0, 0, 0, 500]);
});
