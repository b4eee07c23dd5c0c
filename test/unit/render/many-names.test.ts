// Data with very many names at its top: it is not copied for each template.
import { expect, it } from 'vitest';
import { createMap } from '../../../src/render/document/value.ts';
import { openTemplates } from '../../../src/render/template/template.ts';
import { threadTimeMs } from '../../support/thread-time.ts';

it('a template over data with 100,000 names is rendered a thousand times in no time', async () => {
  const data = createMap();
  for (let n = 0; n < 100_000; n += 1) data[`name${n}`] = `value ${n}`;
  const files = new Map([['one', '{{ name7 }} {% increment count %}{{ entry }}']]);
  const render = await openTemplates(files, { maxBytes: 100 });
  const texts = new Set<string>();
  const before = threadTimeMs();
  for (let n = 0; n < 1_000; n += 1) {
    texts.add(await render('one', Object.assign(Object.create(data), { entry: n % 2 })));
  }
  // Copied, they would take a minute.
  expect(threadTimeMs() - before).toBeLessThan(2_000);
  expect([...texts]).toEqual(['value 7 00', 'value 7 01']);
});
