// The bucket that bounds how often something is asked.
import { expect, it } from 'vitest';
import { createPace } from '../../../src/source/pace.ts';

it('serves a burst at once, then at its rate, and fills up again in a rest', () => {
  let now = 0;
  const take = createPace({ burst: 3, perSecond: 2 }, () => now);
  const waited = Array.from({ length: 6 }, () => {
    const wait = take();
    now += wait;
    return wait;
  });
  expect(waited).toEqual([0, 0, 0, 500, 500, 500]);
  now += 60_000;
  expect([take(), take(), take(), take()]).toEqual([0, 0, 0, 500]);
});
