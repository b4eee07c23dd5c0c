// Bytes that come in parts are gathered as they came, and nothing of the buffers they came in is kept.
import { expect, it } from 'vitest';
import { Gathered } from '../../../src/lib/gathered.ts';

it.each([[[]], [[0]], [[1, 2, 3]], [[65_535, 1, 1]], [[65_536, 65_536]], [[200_000, 1, 70_000]]])(
  'parts of %j bytes',
  (sizes) => {
    const parts = sizes.map((size, n) => Buffer.alloc(size, n + 1));
    const gathered = new Gathered();
    for (const part of parts) gathered.add(part);
    const whole = Buffer.concat(parts);
    // As a socket reuses its buffer.
    for (const part of parts) part.fill(0);
    expect(gathered.size).toBe(whole.length);
    expect(gathered.take().equals(whole)).toBe(true);
    expect([gathered.size, gathered.take().length]).toEqual([0, 0]);
  },
);
